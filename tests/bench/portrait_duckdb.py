"""Counts the values of every column over half of a plaintext in-memory table, in DuckDB; prints JSON.

Arguments: subjects, fields, values, threads, runs. Two ways to ask are timed, grouping sets and one query a column,
and the faster one is reported.
"""

import json
import sys
import time

import duckdb

subjects, fields, values, threads, runs = map(int, sys.argv[1:6])
db = duckdb.connect(":memory:")
db.execute(f"SET threads = {threads}")
columns = ", ".join(f"(hash(i * {fields} + {k}) % {values})::UTINYINT AS c{k}" for k in range(fields))
db.execute(f"CREATE TABLE people AS SELECT {columns} FROM range({subjects}) AS r(i)")

names = [f"c{k}" for k in range(fields)]
half = f"c0 < {values // 2}"
sets = ", ".join(f"({name})" for name in names)
grouping_sets = [f"SELECT {', '.join(names)}, count(*) FROM people WHERE {half} GROUP BY GROUPING SETS ({sets})"]
one_each = [f"SELECT {name}, count(*) FROM people WHERE {half} GROUP BY {name}" for name in names]


def measure(queries):
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        for query in queries:
            db.execute(query).fetchall()
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times[1:])


both = {"grouping sets": measure(grouping_sets), "a query a column": measure(one_each)}
best = min(both, key=lambda way: both[way][len(both[way]) // 2])
print(json.dumps({"version": duckdb.__version__, "way": best, "times_ms": both[best]}))
