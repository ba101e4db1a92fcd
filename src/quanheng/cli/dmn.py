"""`quanheng dmn`: decision models as files: checks, Excel, models of GoRules, and the public conformance kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts

from quanheng.cli.common import Flag, Json, console, show_json
from quanheng.kernel.errors import DeclarationError, InputError, NotFound

if TYPE_CHECKING:
    from quanheng.decisions.checking import Finding
    from quanheng.decisions.dmn.build import Model
    from quanheng.kernel.errors import Problem

Out = Annotated[Path | None, cyclopts.Parameter(alias="-o")]

app = cyclopts.App(
    name="dmn",
    help="Decision models: checks, Excel, GoRules, conformance.\n\nExample: quanheng dmn check a.dmn",
)


@app.command
def check(*files: Path, json: Json = False) -> int:
    """Check decision models: mistakes, rules that overlap, inputs no rule covers, rules that never decide.

    Each finding names file, decision and rules, an input that shows it, and the cure. Problems and warnings differ:
    the exit code is 2 if there is a problem, 0 otherwise.

    For example:
      quanheng dmn check policies/limits.dmn

    Parameters
    ----------
    files : Path
        The .dmn files.
    json : bool
        One line of JSON for each finding.
    """
    if not files:
        raise InputError("no file was named", allowed="one or more .dmn files", cure="quanheng dmn check FILE.dmn")
    counts = {"problem": 0, "warning": 0, "note": 0}
    for file in files:
        for finding in _findings(file):
            severity = finding["severity"]
            counts[str(severity)] += 1
            if json:
                show_json(finding)
            else:
                print(finding["text"])
    if not json:
        told = ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items())
        print(f"{len(files)} file{'s' if len(files) != 1 else ''}: {told}")
    return 2 if counts["problem"] else 0


def _findings(file: Path) -> list[dict[str, object]]:
    """What is wrong with one file: that it does not load, or else what the checks find."""
    from quanheng.decisions.checking import check_model

    try:
        model = model_in(file)
    except DeclarationError as error:
        return [_mistake(one) for one in error.problems]
    return [_found(one) for one in check_model(model)]


def model_in(file: Path) -> Model:
    """The model of a file, which may import those beside it and ask any list.

    Raises
    ------
    NotFound : there is no such file; DeclarationError : what is wrong with it
    """
    from quanheng.decisions.dmn import read_model
    from quanheng.feel.scope import ANY_NAME

    xml = _bytes(file)
    return read_model(xml, str(file), files=_beside(file, xml), lists=ANY_NAME)


def _mistake(problem: Problem) -> dict[str, object]:
    parts = {"kind": "mistake", "severity": "problem", "file": problem.file, "where": problem.key}
    told = {"message": problem.message, "found": problem.found, "known": problem.known, "cure": problem.cure}
    return {**parts, **told, "text": f"problem: {problem}"}


def _found(finding: Finding) -> dict[str, object]:
    return {**finding.as_data(), "text": str(finding)}


@app.command(name="to-excel")
def to_excel(file: Path | None = None, /, *, out: Out = None, template: Flag = False) -> None:
    """Write the tables of a decision model as an Excel workbook; nothing of the model is lost on the way.

    For example:
      quanheng dmn to-excel policies/limits.dmn
      quanheng dmn to-excel --template --out limits.xlsx

    Parameters
    ----------
    file : Path
        The .dmn file.
    out : Path
        The workbook (default: the name of the file with .xlsx).
    template : bool
        A small workbook that shows the layout, to start from; needs no file.
    """
    from quanheng.decisions.dmn import read_model
    from quanheng.decisions.exchange import excel_write
    from quanheng.feel.scope import ANY_NAME

    if template:
        _write(out, Path("template.xlsx"), excel_write.template())
        return
    if file is None:
        raise InputError("no file was named", allowed="a .dmn file", cure="Name one, or ask for --template.")
    xml = _bytes(file)
    model = read_model(xml, str(file), files=_beside(file, xml), lists=ANY_NAME)
    _write(out, file.with_suffix(".xlsx"), excel_write.write_workbook(model.definitions))


@app.command(name="from-excel")
def from_excel(file: Path, /, *, out: Out = None) -> None:
    """Read a decision model from an Excel workbook. Every mistake is named with its sheet and cell.

    For example:
      quanheng dmn from-excel limits.xlsx --out policies/limits.dmn

    Parameters
    ----------
    file : Path
        The workbook.
    out : Path
        The .dmn file (default: the name of the workbook with .dmn).
    """
    from quanheng.decisions.dmn.write import write_model
    from quanheng.decisions.exchange.excel_read import read_workbook

    model = read_workbook(_bytes(file), str(file))
    _write(out, file.with_suffix(".dmn"), write_model(model.definitions))


@app.command(name="from-jdm")
def from_jdm(file: Path, /, *, out: Out = None) -> None:
    """Take over a decision model of GoRules (JDM). What has no counterpart is named with its node and cell.

    For example:
      quanheng dmn from-jdm pricing.json --out policies/pricing.dmn

    Parameters
    ----------
    file : Path
        The JSON file.
    out : Path
        The .dmn file (default: the name of the JSON file with .dmn).
    """
    from quanheng.decisions.dmn.write import write_model
    from quanheng.decisions.exchange.jdm import read_jdm

    model = read_jdm(_bytes(file), str(file))
    _write(out, file.with_suffix(".dmn"), write_model(model.definitions))


@app.command
def tck(
    folder: Path,
    /,
    *,
    engine: Literal["both", "compiled", "judge"] = "both",
    csv: Path | None = None,
    json: Json = False,
) -> int:
    """Run every test of the DMN Technology Compatibility Kit in a folder and the folders below it.

    A line per folder with failures, then the totals; the exit code is 1 where a test fails.

    For example:
      quanheng dmn tck kit/TestCases --csv results.csv

    Parameters
    ----------
    folder : Path
        A folder of the kit, or a folder of folders.
    engine : str
        compiled (generated code), judge (the tree-walking twin), or both, whose answers must also be equal.
    csv : Path
        Write the kit's result file: folder, test file, test case, SUCCESS, ERROR or IGNORED, detail.
    json : bool
        One line of JSON: passed, failed and ignored per folder.
    """
    from quanheng.decisions.tck import ERROR, counts, folders_of, run_kit, write_csv

    if not folder.is_dir() or not folders_of(folder):
        raise NotFound(
            "no tests of the kit are there",
            where=str(folder),
            allowed="a folder with *test*.xml files, or a folder of such folders",
            cure="Give the path of the kit's TestCases.",
        )
    results = run_kit(folder, engine)
    table = counts(results)
    if csv is not None:
        write_csv(results, csv)
    if json:
        show_json({name: dict(zip(("passed", "failed", "ignored"), row, strict=True)) for name, row in table.items()})
    else:
        for result in results:
            if result.status == ERROR:
                print(f"{result.folder}  {result.id}  {result.detail}")
        for name, (passed, failed, ignored) in table.items():
            print(f"{name}: {passed} passed, {failed} failed, {ignored} ignored")
        passed, failed, ignored = (sum(row[index] for row in table.values()) for index in range(3))
        print(f"{passed} passed, {failed} failed, {ignored} ignored with {engine}")
    return int(any(row[1] for row in table.values()))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(
            "the file cannot be read", where=str(file), found=error.strerror or "", cure="Give another one."
        ) from None


def _beside(file: Path, xml: bytes) -> dict[str, bytes]:
    """The models that a model may import: those in its folder."""
    if b"import" not in xml:
        return {}
    return {one.name: _bytes(one) for one in sorted(file.parent.glob("*.dmn")) if one != file}


def _write(out: Path | None, usual: Path, content: bytes) -> None:
    """Write a result; a file that nobody named is not overwritten."""
    if out is None and usual.exists():
        raise InputError("the file exists and was not named", where=str(usual), cure=f"Say so: --out {usual}")
    file = out or usual
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InputError("the file cannot be written", where=str(file), found=error.strerror or "") from None
    console().print(f"wrote {file}")
