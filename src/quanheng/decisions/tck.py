"""Runs the public DMN Technology Compatibility Kit: folders of a model and a file of test cases each.

A test case passes when every result node equals what the kit expects; `errorResult="true"` expects null. Numbers are
compared after rounding to the digits that the kit states. Java functions (`0076-feel-external-java`) are not run.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_decision
from quanheng.feel.functions import temporal_literal
from quanheng.feel.operators import equal, is_number
from quanheng.feel.values import Range, number_of
from quanheng.kernel.errors import QuanhengError

BOTH = "both"
SUCCESS, ERROR, IGNORED = "SUCCESS", "ERROR", "IGNORED"
IGNORED_FOLDERS = {"0076-feel-external-java": "Java functions are not run"}
NOW_MS = 1_700_000_000_000
"""What now() answers in the kit."""
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_CASES = "{http://www.omg.org/spec/DMN/20160719/testcase}"
_NUMERIC = frozenset({"decimal", "double", "float", "integer", "int", "long"})

Judge = Callable[[Model, str, dict[str, object]], object]


class CaseResult(NamedTuple):
    """One result node of one test case."""

    folder: str
    file: str
    id: str
    status: str
    detail: str


def compiled(model: Model, name: str, given: dict[str, object]) -> object:
    """The generated code as an engine of the kit."""
    return compile_decision(model, name).judge(given, NOW_MS).result


ENGINES: dict[str, Judge] = {"compiled": compiled, "judge": judge_decision}


# -- values


def value_of(node: etree._Element | None) -> object:
    """A value as the kit writes it."""
    if node is None:
        return None
    for child in node:
        kind = etree.QName(child).localname
        if kind == "value":
            return _simple(child)
        if kind == "list":
            if child.get(_NIL) == "true":
                return None
            return [value_of(item) for item in child.findall(f"{_CASES}item")]
        if kind == "component":
            return {one.get("name", ""): value_of(one) for one in node.findall(f"{_CASES}component")}
    return None


def _simple(node: etree._Element) -> object:
    if node.get(_NIL) == "true":
        return None
    kind = (node.get(_TYPE) or "").rpartition(":")[2]
    text = node.text or ""
    if kind in _NUMERIC:
        try:
            return number_of(text.strip())
        except InvalidOperation:
            return text
    if kind == "boolean":
        return text.strip() in ("true", "1")
    if kind in ("date", "time", "dateTime", "duration", "dayTimeDuration", "yearMonthDuration"):
        value, _ = temporal_literal(text.strip())
        return value if value is not None else text
    return text


def same(found: object, expected: object) -> bool:
    """Equal, numbers to the digits that the kit states."""
    if is_number(found) and is_number(expected):
        if found == expected:
            return True
        places = Decimal(expected).as_tuple().exponent  # type: ignore[arg-type]
        if not isinstance(places, int):
            return False
        tolerance = max(Decimal(1).scaleb(places), abs(Decimal(expected)) * Decimal("1e-9"))  # type: ignore[arg-type]
        return abs(Decimal(found) - Decimal(expected)) <= tolerance and places < 0  # type: ignore[arg-type]
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(same(a, b) for a, b in zip(found, expected, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], value) for key, value in expected.items())
    if isinstance(found, Range) and isinstance(expected, Range):
        return found == expected
    if found is None or expected is None:
        return found is expected
    return equal(found, expected) is True


# -- running


def run_folder(folder: Path, engine: str = "compiled") -> Iterator[CaseResult]:
    """Every test file in one folder of the kit."""
    judges = tuple(ENGINES.values()) if engine == BOTH else (ENGINES[engine],)
    for file in sorted(folder.glob("*test*.xml")):
        yield from run_file(file, judges)


def run_file(file: Path, judges: Sequence[Judge] = (compiled,)) -> Iterator[CaseResult]:
    """Every test case of one file, by each of the engines."""
    folder = file.parent
    root = etree.fromstring(
        file.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    )
    name = (root.findtext(f"{_CASES}modelName") or "").strip()
    cases = root.findall(f"{_CASES}testCase")

    def answer(case: etree._Element, status: str, detail: str) -> CaseResult:
        return CaseResult(folder.name, file.stem, case.get("id") or "", status, detail)

    if folder.name in IGNORED_FOLDERS:
        yield from (answer(case, IGNORED, IGNORED_FOLDERS[folder.name]) for case in cases)
        return
    try:
        others = {one.name: one.read_bytes() for one in sorted(folder.glob("*.dmn")) if one.name != name}
        model = read_model((folder / name).read_bytes(), name, strict=False, files=others)
    except (QuanhengError, OSError) as error:
        yield from (answer(case, ERROR, f"the model is refused: {error}"[:300]) for case in cases)
        return
    for case in cases:
        yield answer(case, *run_case(model, case, judges))


def given_of(model: Model, case: etree._Element) -> dict[str, object]:
    """The inputs of a test case; an input of an imported model is named with its namespace."""
    given = {}
    for node in case.findall(f"{_CASES}inputNode"):
        name, space = node.get("name", ""), node.get("namespace")
        for one in model.inputs():
            if space and one.name == name and model.origins[one.id].definitions.namespace == space:
                name = model.input_names[one.id]
                break
        given[name] = value_of(node)
    return given


def run_case(model: Model, case: etree._Element, judges: Sequence[Judge]) -> tuple[str, str]:
    """Status and detail of one test case; with two engines they must agree, too."""
    given = given_of(model, case)
    target = case.get("invocableName") if case.get("type") in ("bkm", "decisionService") else None
    for node in case.findall(f"{_CASES}resultNode"):
        name = target or node.get("name") or ""
        expected = value_of(node.find(f"{_CASES}expected"))
        try:
            answers = [judge(model, name, given) for judge in judges]
        except QuanhengError as error:
            return ERROR, f"{name}: {error}"[:300]
        if len({repr(answer) for answer in answers}) > 1:
            return ERROR, f"{name}: the engines differ: {answers!r}"[:300]
        found = answers[0]
        if target and isinstance(found, dict) and node.get("name") in found:
            found = found[node.get("name", "")]
        if not same(found, expected):
            return ERROR, f"{name}: expected {expected!r}, was {found!r}"[:300]
    return SUCCESS, ""


def folders_of(root: Path) -> list[Path]:
    """Folders below `root` (or `root` itself) that hold test files."""
    return sorted({file.parent for file in root.rglob("*test*.xml")})


def run_kit(root: Path, engine: str = "compiled", progress: Callable[[str], None] | None = None) -> list[CaseResult]:
    """Every folder below `root`.

    Parameters
    ----------
    root : a folder of the kit, or a folder of folders
    engine : `compiled` (generated code), `judge` (the tree-walking interpreter), or `both`, which must agree
    progress : called with the name of each folder before it runs
    """
    results: list[CaseResult] = []
    for folder in folders_of(root):
        if progress is not None:
            progress(folder.name)
        results += run_folder(folder, engine)
    return results


def counts(results: Iterable[CaseResult]) -> dict[str, tuple[int, int, int]]:
    """Passed, failed and ignored test cases per folder."""
    table: dict[str, list[int]] = {}
    for result in results:
        row = table.setdefault(result.folder, [0, 0, 0])
        row[(SUCCESS, ERROR, IGNORED).index(result.status)] += 1
    return {folder: (row[0], row[1], row[2]) for folder, row in table.items()}


def write_csv(results: Iterable[CaseResult], file: Path) -> None:
    """The result file of the kit: folder, test file, id, status, detail."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerows(results)
