"""Asks DuckDB what the benchmark asks of sealed blocks, on plaintext in memory, exactly; prints JSON.

Arguments: portrait|breakdown|sums, subjects, fields, values, events of each subject, threads, runs.
Where there are two natural ways to ask, both are timed and the faster one is reported.
"""

import json
import sys
import time

import duckdb

asked = sys.argv[1]
subjects, fields, values, events, threads, runs = map(int, sys.argv[2:8])
db = duckdb.connect(":memory:")
db.execute(f"SET threads = {threads}")
db.execute("SET enable_progress_bar = false")
half = f"c0 < {values // 2}"


def code(row, salt):
    return f"(hash({row} * 1000 + {salt}) % {values})::UTINYINT"


def portrait():
    """Every value of every column: grouping sets, or a query a column."""
    names = [f"c{k}" for k in range(fields)]
    columns = ", ".join(f"{code('i', k)} AS c{k}" for k in range(fields))
    db.execute(f"CREATE TABLE people AS SELECT {columns} FROM range({subjects}) AS r(i)")
    sets = ", ".join(f"({name})" for name in names)
    return [
        [f"SELECT {', '.join(names)}, count(*) FROM people WHERE {half} GROUP BY GROUPING SETS ({sets})"],
        [f"SELECT {name}, count(*) FROM people WHERE {half} GROUP BY {name}" for name in names],
    ]


def breakdown():
    """How many people had an event of each category within 90 days: a distinct count, or two groupings."""
    db.execute(f"CREATE TABLE people AS SELECT i::UINTEGER AS person, {code('i', 0)} AS c0 FROM range({subjects}) AS r(i)")
    db.execute(
        f"""CREATE TABLE orders AS SELECT (i // {events})::UINTEGER AS person, {code('i', 1)} AS category,
            TIMESTAMP '2025-06-15' - to_microseconds(8640000000000 // {events} * ({events} - i % {events})) AS moment
            FROM range({subjects * events}) AS r(i)"""
    )
    counted = f"""FROM orders JOIN people USING (person)
        WHERE {half} AND moment >= TIMESTAMP '2025-06-15' - INTERVAL 90 DAY AND moment < TIMESTAMP '2025-06-15'"""
    return [
        [f"SELECT category, count(DISTINCT person) {counted} GROUP BY category"],
        [f"SELECT category, count(*) FROM (SELECT person, category {counted} GROUP BY ALL) GROUP BY category"],
    ]


def sums():
    """How many events of each category and what they cost, whoever they are of: nothing is clipped."""
    db.execute(
        f"""CREATE TABLE orders AS SELECT (i // {events})::UINTEGER AS person, {code('i', 1)} AS category,
            (hash(i) % 100)::BIGINT * 100 AS amount FROM range({subjects * events}) AS r(i)"""
    )
    return [["SELECT category, count(*), sum(amount) FROM orders GROUP BY category"]]


def measure(queries):
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        for query in queries:
            db.execute(query).fetchall()
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times[1:])


ways = [measure(queries) for queries in {"portrait": portrait, "breakdown": breakdown, "sums": sums}[asked]()]
best = min(ways, key=lambda times: times[len(times) // 2])
print(json.dumps({"name": f"DuckDB {duckdb.__version__}", "times_ms": best}))
