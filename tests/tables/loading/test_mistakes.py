"""Every mistake of the table gives exactly its problems, word for word; many at once give all of theirs."""

from __future__ import annotations

import ast
import sys
import time
import tomllib
from pathlib import Path

import pytest

import quanheng.loading
from quanheng.feel.types import NUMBER, STRING
from quanheng.loading import PackFiles, check_pack
from quanheng.loading.checks.sends import EXTRA, check_send
from quanheng.loading.notes import Notes

sys.path.insert(0, str(Path(__file__).parent))
from mistakes_beyond import beyond
from mistakes_beyond_processes import beyond_processes
from mistakes_borrowing import TABLE as OF_BORROWING
from mistakes_borrowing import found_in_borrowing
from sample_pack import (
    available,
    checkout_files,
    checkout_pack,
    loans_files,
    loans_pack,
    sample_files,
    sample_pack,
    screen_pack,
    wallet_files,
    wallet_pack,
)

MISTAKES = tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text(encoding="utf-8"))
OF_ACCOUNTS = tomllib.loads(Path(__file__).with_name("mistakes_accounts.toml").read_text(encoding="utf-8"))["mistake"]
PROCESSES = tomllib.loads(Path(__file__).with_name("mistakes_processes.toml").read_text(encoding="utf-8"))
OF_PROCESSES = PROCESSES["mistake"]
OF_LOANS = tomllib.loads(Path(__file__).with_name("mistakes_loans.toml").read_text(encoding="utf-8"))["mistake"]
OF_CALLS = tomllib.loads(Path(__file__).with_name("mistakes_calls.toml").read_text(encoding="utf-8"))["mistake"]
OF_EXPERIMENTS = tomllib.loads(Path(__file__).with_name("mistakes_experiments.toml").read_text(encoding="utf-8"))
TABLE = [*MISTAKES["mistake"], *OF_EXPERIMENTS["mistake"]]
BY_NAME = {row["name"]: row for row in TABLE}
AVAILABLE = available()
SOURCES = Path(quanheng.loading.__file__).parent

TOGETHER = (
    """
unknown file|python|later file 2|bad file name|wrong ending|stray weights|not utf8|nan|big int
dotted event|missing key|empty text|unknown key|choice|number in quotes|list entry|list short|title missing
tables entry|one bracket|duration|date|requirement unreadable|no such purpose|no such fallback|subject unknown
field name|field no table|pattern|integer bound|fold value for count|fold value unknown
parameter twice|value date|outcome unknown|input unknown|input type|decision unknown|dmn expression|weights other
case expects nothing|case no scores|case score unknown|case outcome|mapping field|mapping both
mapping constant choice|mapping no equals|input other type|evaluation kind|traffic start|traffic role|traffic pair
traffic weights|traffic late|traffic attack twice|traffic channel
""".strip()
    .replace("\n", "|")
    .split("|")
)
"""Mistakes that do not touch one another: they can stand in one pack."""


def changed(row: dict, files: dict[str, bytes]) -> bytes | None:
    """The file of a row as its mistake makes it."""
    if "bytes" in row:
        return bytes.fromhex(row["bytes"])
    if "new" not in row:
        return None
    if "old" not in row:
        return files[row["new"][5:]] if row["new"].startswith("COPY:") else row["new"].encode()
    old = row["old"].encode()
    assert old in files[row["file"]], f"the pack has no {row['old']!r} in {row['file']}"
    return files[row["file"]].replace(old, row["new"].encode(), 1)


def agree(found: list[str], expected: list[str]) -> bool:
    """Equal, where an expected text may end early with … (the rest is another part's wording)."""
    return len(found) == len(expected) and all(
        one.startswith(wanted[:-1]) if wanted.endswith("…") else one == wanted
        for one, wanted in zip(found, expected, strict=True)
    )


def test_the_sample_pack_is_sound():
    assert check_pack(sample_pack(), AVAILABLE)[1] == ()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_gives_exactly_its_problems(row):
    _, problems = check_pack(sample_pack({row["file"]: changed(row, sample_files())}), AVAILABLE)
    found = [str(problem) for problem in problems]
    assert agree(found, row["problems"]), "\n".join(found)


def test_the_wallet_is_sound():
    declared, problems = check_pack(wallet_pack(), AVAILABLE)
    assert problems == declared.warnings == ()


@pytest.mark.parametrize("row", OF_ACCOUNTS, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_what_moves_value_gives_exactly_its_problems(row):
    _, problems = check_pack(wallet_pack({row["file"]: changed(row, wallet_files())}), AVAILABLE)
    found = [str(problem) for problem in problems]
    assert agree(found, row["problems"]), "\n".join(found)


def test_the_loans_are_sound():
    declared, problems = check_pack(loans_pack(), AVAILABLE)
    assert problems == declared.warnings == ()


@pytest.mark.parametrize("row", OF_LOANS, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_loans_gives_exactly_its_problems(row):
    _, problems = check_pack(loans_pack({row["file"]: changed(row, loans_files())}), AVAILABLE)
    found = [str(problem) for problem in problems]
    assert agree(found, row["problems"]), "\n".join(found)


def test_the_checkout_is_sound():
    declared, problems = check_pack(checkout_pack(), AVAILABLE)
    assert problems == declared.warnings == ()


@pytest.mark.parametrize("row", OF_PROCESSES, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_what_goes_on_in_time_gives_exactly_its_problems(row):
    _, problems = check_pack(checkout_pack({row["file"]: changed(row, checkout_files())}), AVAILABLE)
    found = [str(problem) for problem in problems]
    assert agree(found, row["problems"]), "\n".join(found)


KNOWN = {"amount_minor": NUMBER, "payer": STRING, "payment": STRING, "payee": STRING, "time_ms": NUMBER, **EXTRA}


def found_in_calls(row: dict) -> list[str]:
    """What is found in the calls; of a call that a payment asks for, also what does not fit the payment."""
    declared, problems = check_pack(screen_pack(row["old"], row["new"]), AVAILABLE)
    notes = Notes()
    notes.extend(problems)
    if "asks" in row:
        asked = next(one for one in declared.calls.calls if one.name == row["asks"])
        check_send(asked, declared.events[0], KNOWN, False, notes)
    return [str(problem) for problem in notes.problems]


@pytest.mark.parametrize("row", OF_CALLS, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_a_call_gives_exactly_its_problems(row):
    found = found_in_calls(row)
    assert agree(found, row["problems"]), "\n".join(found)


def test_all_mistakes_of_a_pack_are_reported_at_once():
    files: dict[str, bytes | None] = dict(sample_files())
    expected: list[str] = []
    for name in TOGETHER:
        row = BY_NAME[name]
        files[row["file"]] = changed(row, {file: content for file, content in files.items() if content is not None})
        expected += row["problems"]
    _, problems = check_pack(sample_pack(files), AVAILABLE)
    found = sorted(str(problem) for problem in problems)
    assert len(TOGETHER) >= 50
    missing = [text for text in expected if not any(agree([one], [text]) for one in found)]
    more = [one for one in found if not any(agree([one], [text]) for text in expected)]
    assert not missing, missing
    assert not more, more


EXCUSED = {
    (
        "table.py",
        "self.notes.add(self.file, key, message, found=found, known=known, cure=cure, of=of)",
    ): "the one way out",
}
"""Call → where else it is tried, or why it is not."""


def test_every_place_that_notes_a_problem_is_tried(monkeypatch):
    """Found by reading the sources, not from memory: each call of `problem` and `notes.add` ran at least once."""
    tried: set[tuple[str, int]] = set()
    add = Notes.add

    def noted(self, *arguments, **settings):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name == "problem":
            frame = frame.f_back
        assert frame is not None
        tried.add((str(Path(frame.f_code.co_filename).relative_to(SOURCES)), frame.f_lineno))
        return add(self, *arguments, **settings)

    monkeypatch.setattr(Notes, "add", noted)
    for row in TABLE:
        check_pack(sample_pack({row["file"]: changed(row, sample_files())}), AVAILABLE)
    for row in OF_ACCOUNTS:
        check_pack(wallet_pack({row["file"]: changed(row, wallet_files())}), AVAILABLE)
    for row in OF_LOANS:
        check_pack(loans_pack({row["file"]: changed(row, loans_files())}), AVAILABLE)
    for row in OF_CALLS:
        found_in_calls(row)
    for row in OF_BORROWING:
        found_in_borrowing(row)
    for row in OF_PROCESSES:
        check_pack(checkout_pack({row["file"]: changed(row, checkout_files())}), AVAILABLE)
    for run in (*beyond().values(), *beyond_processes().values()):
        run()
    untried = []
    for path in sorted(SOURCES.rglob("*.py")):
        name = str(path.relative_to(SOURCES))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            if node.func.attr != "problem" and not (node.func.attr == "add" and owner.endswith("notes")):
                continue
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            if not any((name, line) in tried for line in lines) and (name, ast.unparse(node)) not in EXCUSED:
                untried.append(f"{name}:{node.lineno} {ast.unparse(node)[:90]}")
    assert not untried, "no test tries:\n" + "\n".join(untried)


def test_a_check_of_card_fraud_takes_less_than_a_second():
    available: dict[str, PackFiles] = AVAILABLE
    check_pack(available["card_fraud"], available)  # Imports and caches once.
    start = time.perf_counter()
    check_pack(available["card_fraud"], available)
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize("name", MISTAKES["beyond"])
def test_a_mistake_that_needs_more_than_one_change(name):
    assert beyond()[name]() == MISTAKES["beyond"][name]


@pytest.mark.parametrize("name", PROCESSES["beyond"])
def test_a_mistake_of_processes_that_needs_more_than_one_change(name):
    assert beyond_processes()[name]() == PROCESSES["beyond"][name]
