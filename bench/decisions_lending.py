"""`decisions.lending`: the lending example of the public DMN kit, its whole requirement graph.

The value is one applicant through the graph: `Strategy` and `Routing`, the two decisions that lead to all others but
the last, each a judgement of its own. The model and the case are read from the kit at run time; every result node of
the kit is checked first.
"""

from __future__ import annotations

import os
from pathlib import Path

from lxml import etree

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.tck import run_folder, value_of
from quanheng.kernel.errors import NotFound
from quanheng.testing.bench import Measured, interleaved_seconds, looped

CASES = "{http://www.omg.org/spec/DMN/20160719/testcase}"
FOLDER = "compliance-level-3/0004-lending"
TOP = ("Strategy", "Routing")
REPEATS = 2_000


def kit() -> Path:
    """The example's folder in the kit.

    Raises
    ------
    NotFound : the kit is not on this machine
    """
    shared = os.environ.get("QUANHENG_SHARED", Path(__file__).resolve().parents[2] / "shared")
    folder = Path(shared) / "tck" / FOLDER
    if not folder.is_dir():
        cure = "Point QUANHENG_SHARED at the folder that holds it."
        raise NotFound("the DMN kit is not on this machine", where=str(folder), cure=cure)
    return folder


def run(quick: bool = False) -> Measured:
    """Microseconds for the whole graph, and for each decision of it."""
    folder = kit()
    failed = [result for result in run_folder(folder) if result.status != "SUCCESS"]
    if failed:
        raise AssertionError(f"the kit expects another result: {failed[0]}")
    model = read_model((folder / "0004-lending.dmn").read_bytes(), "0004-lending.dmn", strict=False)
    case = etree.parse(folder / "0004-lending-test-01.xml").getroot().find(f"{CASES}testCase")
    assert case is not None
    given = {node.get("name"): value_of(node) for node in case.findall(f"{CASES}inputNode")}
    calls = {}
    for name in model.decisions:
        policy = compile_decision(model, name)
        values = [given.get(one.name) for one in policy.inputs]
        calls[name] = looped(policy, [values] * REPEATS)
    seconds = interleaved_seconds(calls, 3 if quick else 7)
    took = {name: round(taken / REPEATS * 1e6, 3) for name, taken in seconds.items()}
    extra: dict[str, object] = {"decisions_us": took, "decisions_in_graph": len(calls)}
    return Measured(round(sum(took[name] for name in TOP), 3), "us", {}, extra)


if __name__ == "__main__":
    print(run())
