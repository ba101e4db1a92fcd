"""`decisions.table3700` and `decisions.compile`: 3,700 rating rows (`rating.py`), judged and compiled.

zen-engine judges the same cells on its fastest path; results are checked equal before anything is timed.
`decisions.compile` starts fresh processes: its value is the time from the first import to a policy that has judged.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import rating
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.testing.bench import Measured, interleaved_seconds, looped

SAMPLES = 4_000
FLOATS = ("age", "vehicle_class", "bonus_class")
FRESH = """
import sys, time, tracemalloc
sys.path.insert(0, {root!r})
from bench import rating
xml = rating.dmn()
start = time.perf_counter()
from quanheng.decisions.dmn import compile_decision, read_model
imported = time.perf_counter()
model = read_model(xml, "rating.dmn")
read = time.perf_counter()
policy = compile_decision(model, "factor")
policy(("R01", 33, 11, 4))
end = time.perf_counter()
del model
if {traced}:
    tracemalloc.start()
    kept = compile_decision(read_model(xml, "rating.dmn"), "factor")
    print(tracemalloc.get_traced_memory()[0])
else:
    print(end - start, imported - start, read - imported, end - read)
"""


def run(quick: bool = False) -> Measured:
    """Microseconds a judgement; zen in the same run, taking turns."""
    import zen

    rows = rating.samples(400 if quick else SAMPLES)
    model = read_model(rating.dmn(), "rating.dmn")
    policy, floating = (compile_decision(model, "factor", floats=one) for one in ((), FLOATS))
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rating": rating.jdm()}}})
    names = [one.name for one in policy.inputs]
    contexts = [dict(zip(names, row, strict=True)) for row in rows]
    missed = 0
    for row, context in zip(rows, contexts, strict=True):
        found, theirs = policy(row).result, engine.evaluate("rating", context)["result"]
        missed += found is None
        if not _same(found, theirs):
            raise AssertionError(f"the engines differ for {context}: {found} and {theirs}")
    decimals, floats = (
        [tuple(kind(one) if isinstance(one, int) else one for one in row) for row in rows] for kind in (Decimal, float)
    )
    assert [floating(row).trace for row in floats] == [policy(row).trace for row in rows]
    texts = [json.dumps(context) for context in contexts]
    calls = {
        "quanheng": looped(policy, rows),
        "decimal": looped(policy, decimals),
        "float": looped(floating, floats),
        "zen_dict": looped(lambda one: engine.evaluate("rating", one), contexts),
        "zen_json": looped(lambda one: engine.evaluate("rating", one), texts),
    }
    seconds = interleaved_seconds(calls, 3 if quick else 7)
    took = {name: round(taken / len(rows) * 1e6, 3) for name, taken in seconds.items()}
    extra = {"checked_equal": len(rows), "without_hit": missed, "trace": True, "decimal_us": took["decimal"]}
    extra |= {"float_us": took["float"]}
    return Measured(took["quanheng"], "us", {"zen": min(took["zen_dict"], took["zen_json"])}, extra)


def _same(found: Any, theirs: Any) -> bool:
    """zen gives floats, and an empty context or null where no row matches."""
    if found is None:
        return not theirs or theirs.get("factor") is None
    return bool(theirs and abs(float(found) - theirs["factor"]) < 1e-9)


def compiled(quick: bool = False) -> Measured:
    """Seconds from nothing imported to a table that has judged, in fresh processes; bytes that one policy holds."""
    times = [[float(one) for one in _fresh(False).split()] for _ in range(2 if quick else 5)]
    total, imports, read, made = (statistics.median(column) for column in zip(*times, strict=True))
    extra = {
        "rows": rating.ROWS,
        "import_s": round(imports, 3),
        "read_s": round(read, 3),
        "compile_s": round(made, 3),
        "bytes_per_table": int(_fresh(True)),
    }
    return Measured(round(total, 3), "s", {}, extra)


def _fresh(traced: bool) -> str:
    code = FRESH.format(root=str(Path(__file__).resolve().parents[1]), traced=traced)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


if __name__ == "__main__":
    print(run())
    print(compiled())
