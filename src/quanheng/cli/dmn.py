"""`quanheng dmn tck`: the public conformance kit of DMN, run by the engine that judges policies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cyclopts

from quanheng.cli.common import Json, show_json
from quanheng.kernel.errors import NotFound

app = cyclopts.App(name="dmn", help="Conformance of the DMN engine.\n\nExample: quanheng dmn tck kit/TestCases")


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
