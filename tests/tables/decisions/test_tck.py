"""The public kit: every case of levels 2 and 3 but the Java functions, with both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from quanheng.decisions.tck import (
    ENGINES,
    ERROR,
    IGNORED,
    SUCCESS,
    CaseResult,
    folders_of,
    run_folder,
    run_kit,
    write_csv,
)


@pytest.mark.parametrize(("level", "cases"), [(2, 116), (3, 2708)])
@pytest.mark.parametrize("engine", ["compiled", "judge", "both"])
def test_every_case_passes(shared: Path, level: int, cases: int, engine: str) -> None:
    results = run_kit(shared / "tck" / f"compliance-level-{level}", engine)
    assert [result for result in results if result.status == ERROR] == []
    assert sum(result.status == SUCCESS for result in results) == cases


def test_engines_that_differ_are_an_error(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "judge", lambda model, name, given: "something else")
    (folder,) = folders_of(shared / "tck" / "compliance-level-2" / "0001-input-data-string")
    (result,) = run_folder(folder, "both")
    assert result.status == ERROR
    assert "the engines differ" in result.detail


def test_java_functions_are_reported_as_ignored_with_the_reason(shared: Path) -> None:
    results = list(run_folder(shared / "tck" / "compliance-level-3" / "0076-feel-external-java"))
    assert {(one.status, one.detail) for one in results} == {(IGNORED, "Java functions are not run")}
    assert len(results) == 18


def test_result_file_of_the_kit(tmp_path: Path) -> None:
    write_csv([CaseResult("f", "f-test-01", "1", ERROR, 'd: expected "a"')], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == '"f","f-test-01","1","ERROR","d: expected ""a"""\n'
