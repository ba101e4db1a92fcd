"""The reference of outcomes equals the enums, in order, with a meaning in both languages and a cure for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "ledger-outcomes.md"


def rows(heading: str) -> list[list[str]]:
    part = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ][1:]


@pytest.mark.parametrize(("heading", "outcomes"), [("Transfers", TransferOutcome), ("Accounts", AccountOutcome)])
def test_the_page_is_the_list(heading, outcomes):
    found = rows(heading)
    assert [(int(number), name) for number, name, *_ in found] == [(int(one), f"`{one.name}`") for one in outcomes]
    for _, name, chinese, meaning, cure in found:
        assert re.search(r"[\u4e00-\u9fff]", chinese), name
        assert len(meaning) > 8, name
        assert len(cure) > 6, name
    named = [row[2] for row in found]
    assert len(set(named)) == len(named)
