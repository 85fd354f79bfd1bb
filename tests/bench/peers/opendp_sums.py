"""Times OpenDP's Polars API on what `bench sums` asks, on plaintext in memory; prints JSON.

Arguments: subjects, values, events of each subject, runs. Rows of a subject truncated to as many as each has, epsilon 1.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import opendp.prelude as dp
import polars as pl

subjects, values, events, runs = map(int, sys.argv[1:5])
warnings.simplefilter("ignore")
dp.enable_features("contrib")
rows = subjects * events
random = np.random.default_rng(1)
data = pl.DataFrame(
    {
        "subject": np.arange(rows, dtype=np.int64) // events,
        "category": random.integers(0, values, rows),
        "amount": random.integers(1, 101, rows) * 100,
    }
).lazy()
keys = pl.LazyFrame({"category": list(range(values))})


def ask():
    context = dp.Context.compositor(
        data=data,
        privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("subject")),
        privacy_loss=dp.loss_of(epsilon=1.0),
        split_evenly_over=1,
        margins=[dp.polars.Margin(by=["category"], max_groups=values, max_length=2 * rows)],
    )
    asked = [dp.len(signed=True), pl.col("amount").fill_null(0).dp.sum((0, 10_000))]
    query = context.query().truncate_per_group(events).group_by("category").agg(*asked).with_keys(keys)
    return query.release().collect()


times = []
for _ in range(runs + 1):
    start = time.perf_counter()
    ask()
    times.append((time.perf_counter() - start) * 1000)
print(json.dumps({"name": f"OpenDP-Polars {version('opendp')}", "times_ms": sorted(times[1:])}))
