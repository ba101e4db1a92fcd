"""The standard as tables: every line of `standard/*.feel` is an expression and what it gives, by both engines.

`expression → value`; `→ REFUSED` where the text is no FEEL. A text of several lines goes on until its arrow.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from quanheng.feel import compile_expression, judge
from quanheng.feel.operators import equal
from quanheng.feel.values import Run
from quanheng.kernel.errors import ExpressionError

FILES = sorted((Path(__file__).parent / "standard").glob("*.feel"))
NOW_MS = 1_764_000_000_000


def rows_of(file: Path) -> list[tuple[str, str]]:
    """The rows of one file; `# ` starts a heading."""
    rows, waiting = [], ""
    for line in file.read_text(encoding="utf-8").split("\n"):
        if not waiting and (line.startswith("# ") or not line.strip()):
            continue
        waiting += line
        if " → " in line:
            text, _, expected = waiting.rpartition(" → ")
            rows.append((text, expected))
            waiting = ""
        else:
            waiting += "\n"
    assert not waiting, f"{file.name}: no arrow after {waiting!r}"
    return rows


def same(found: object, wanted: object) -> bool:
    """Equal, of the same kind, null only where null is wanted."""
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in found)
    if found is None or wanted is None:
        return found is wanted
    return isinstance(found, list) == isinstance(wanted, list) and equal(found, wanted) is True


def answers(text: str) -> list[object]:
    """What the generated code and the judge say; `REFUSED` where the text does not parse."""
    found: list[object] = []
    try:
        found.append(compile_expression(text, {}, strict=False).run(Run.at(NOW_MS), ()))
    except ExpressionError:
        found.append("REFUSED")
    try:
        found.append(judge.evaluate(text, {}, {}, strict=False, now_ms=NOW_MS).value)
    except ExpressionError:
        found.append("REFUSED")
    return found


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_row_of_the_standard(file: Path) -> None:
    wrong = []
    for text, expected in rows_of(file):
        wanted = "REFUSED" if expected == "REFUSED" else answers(expected)[0]
        for engine, found in zip(("compiled", "judge"), answers(text), strict=True):
            if not same(found, wanted):
                wrong.append(f"{engine}: {text} gave {found!r}, not {expected}")
    assert not wrong, f"{len(wrong)} rows\n" + "\n".join(wrong)


def test_there_are_rows() -> None:
    assert sum(len(rows_of(file)) for file in FILES) > 1000
