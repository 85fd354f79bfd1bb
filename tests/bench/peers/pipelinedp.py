"""PipelineDP on its local back end: rows of a subject, or groups and rows or sums in a group, bounded; keys public."""

import csv
import logging

import pipeline_dp
from pipeline_dp import Metrics, NoiseKind

from common import setting, task

logging.disable(logging.CRITICAL)
with open(task["file"]) as file:
    data = list(csv.DictReader(file))


def run(accountant, bounds):
    """All fields under one accountant."""
    budget = accountant(total_epsilon=task["epsilon"], total_delta=task["delta"])
    engine = pipeline_dp.DPEngine(budget, pipeline_dp.LocalBackend())
    metrics = [Metrics.COUNT] + [Metrics.SUM] * task["sums"]
    answers = []
    for field in task["fields"]:
        extractors = pipeline_dp.DataExtractors(
            privacy_id_extractor=lambda row: row["subject"],
            partition_extractor=lambda row, field=field: row[field],
            value_extractor=lambda row: float(row["amount"]),
        )
        params = pipeline_dp.AggregateParams(metrics=metrics, **bounds)
        answers.append(engine.aggregate(data, params, extractors, public_partitions=task["keys"]))
    budget.compute_budgets()
    answers = [dict(answer) for answer in answers]
    counts = [float(answer[key].count) for answer in answers for key in task["keys"]]
    sums = [float(answer[key].sum) for answer in answers for key in task["keys"] if task["sums"]]
    return counts, sums


naive, pld = ("", pipeline_dp.NaiveBudgetAccountant), (", PLD", pipeline_dp.PLDBudgetAccountant)
several = len(task["fields"]) > 1
# The second accountant is tighter where there is something to compose, and slow.
accountants = [pld] if several else [naive, pld] if task["sums"] else [naive]
values = {"min_value": 0, "max_value": task["cap"]} if task["sums"] else {}
if several:
    task |= {"rows": task["rows"][:2], "groups": task["groups"][:2]}
for name, accountant in accountants:
    for rows in task["rows"]:
        bounds = {"noise_kind": NoiseKind.LAPLACE, "max_contributions": rows} | values
        setting(f"{rows} rows, Laplace{name}", lambda: run(accountant, bounds))
    for noise in [NoiseKind.GAUSSIAN] if several else [NoiseKind.LAPLACE, NoiseKind.GAUSSIAN]:
        for groups, most, total in task["groups"]:
            bounds = {"noise_kind": noise, "max_partitions_contributed": groups, "max_contributions_per_partition": most}
            sums = {"min_sum_per_partition": 0, "max_sum_per_partition": total} if task["sums"] else {}
            of = f" of {total}" if task["sums"] else ""
            setting(f"{groups} groups x {most} rows{of}, {noise.name.title()}{name}", lambda: run(accountant, bounds | sums))
