"""What the peers' scripts share: a task is read from standard input, settings go to standard output, one JSON line each.

A task: file (CSV: subject, amount, fields), keys (public), fields, cap (of a row's amount), sums (whether amounts are
asked for), epsilon and delta (one total for all fields), rho (what it is in zCDP), repeats, and the grid.
"""

import json
import sys
import time

task = json.load(sys.stdin)


def setting(name, run):
    """Runs a setting as often as asked; `run` gives (counts, sums), by field and key; sums may be empty."""
    start = time.perf_counter()
    try:
        runs = [dict(zip(("counts", "sums"), run())) for _ in range(task["repeats"])]
    except Exception as problem:  # A peer that can't do something is said so, not left out.
        print(json.dumps({"setting": name, "problem": repr(problem)[:300]}), flush=True)
        return
    print(json.dumps({"setting": name, "seconds": time.perf_counter() - start, "runs": runs}), flush=True)
