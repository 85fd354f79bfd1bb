"""SmartNoise SQL: some rows of a subject at random, values clamped, keys public."""

import warnings

import pandas as pd
from snsql import Privacy, from_df

from common import setting, task

warnings.simplefilter("ignore")
data = pd.read_csv(task["file"])
queries = [
    f"SELECT {field}, COUNT(*) AS n{', SUM(amount) AS s' if task['sums'] else ''} FROM p.t GROUP BY {field}"
    for field in task["fields"]
]


def reader(epsilon, rows, data=data):
    """Epsilon is a column's. Without `censor_dims` no key is withheld, as befits public ones."""
    table = {
        "row_privacy": False,
        "max_ids": rows,
        "sample_max_ids": True,
        "censor_dims": False,
        "rows": len(data),
        "subject": {"type": "int", "private_id": True},
        "amount": {"type": "float", "lower": 0.0, "upper": float(task["cap"])},
    }
    table |= {field: {"type": "string", "cardinality": len(task["keys"])} for field in task["fields"]}
    privacy = Privacy(epsilon=epsilon, delta=task["delta"] / len(queries))
    return from_df(data, privacy=privacy, metadata={"": {"p": {"t": table}}})


def share(rows):
    """The largest epsilon of a column at which its own accountant says that all queries cost at most the total."""
    low, high = 0.0, task["epsilon"]
    for _ in range(20):
        middle = (low + high) / 2
        epsilon, delta = reader(middle, rows, data.head(1)).get_privacy_cost(queries)
        fits = epsilon <= task["epsilon"] * (1 + 1e-9) and delta <= task["delta"] * (1 + 1e-9)
        low, high = (middle, high) if fits else (low, middle)
    return low


def run(epsilon, rows):
    counts, sums = [], []
    for query in queries:
        answer = {row[0]: row[1:] for row in reader(epsilon, rows).execute(query)[1:]}
        missing = [0] * (1 + task["sums"])
        counts += [float(answer.get(key, missing)[0]) for key in task["keys"]]
        sums += [float(answer.get(key, missing)[1]) for key in task["keys"] if task["sums"]]
    return counts, sums


for rows in task["rows"]:
    epsilon = share(rows)
    setting(f"{rows} rows, epsilon {epsilon:.3f} a column", lambda: run(epsilon, rows))
