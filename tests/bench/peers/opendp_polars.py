"""OpenDP's Polars API: rows of a subject truncated, values clamped, keys public; Laplace noise or Gaussian in zCDP."""

import warnings

import opendp.prelude as dp
import polars as pl

from common import setting, task

warnings.simplefilter("ignore")
dp.enable_features("contrib")
cents = (pl.col("amount") * 100).round().cast(pl.Int64)
data = pl.read_csv(task["file"]).with_columns(cents).lazy()
size = data.select(pl.len()).collect().item()


# One table a field, all of one shape, so that one measurement does for all: finding its scale takes longer than running it.
tables = [data.select("subject", "amount", key=field) for field in task["fields"]]
keys = pl.LazyFrame({"key": task["keys"]})


def measurement(loss, rows):
    """For one field, at its share of the loss."""
    context = dp.Context.compositor(
        data=tables[0],
        privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("subject")),
        privacy_loss=loss,
        split_evenly_over=len(tables),
        margins=[dp.polars.Margin(by=["key"], max_groups=len(task["keys"]), max_length=2 * size)],
    )
    asked = [dp.len(signed=True)]
    if task["sums"]:
        asked.append(pl.col("amount").fill_null(0).dp.sum((0, task["cap"] * 100)))
    return context.query().truncate_per_group(rows).group_by("key").agg(*asked).with_keys(keys).resolve()


def run(measurement):
    counts, sums = [], []
    for table in tables:
        rows = {row["key"]: row for row in measurement(table).collect().to_dicts()}
        counts += [rows[key]["len"] for key in task["keys"]]
        sums += [rows[key]["amount"] / 100 for key in task["keys"] if task["sums"]]
    return counts, sums


for rows in task["rows"]:
    for noise, loss in [("Laplace", {"epsilon": task["epsilon"]}), ("Gaussian in zCDP", {"rho": task["rho"]})]:
        resolved = measurement(dp.loss_of(**loss), rows)
        setting(f"{rows} rows, {noise}", lambda: run(resolved))
