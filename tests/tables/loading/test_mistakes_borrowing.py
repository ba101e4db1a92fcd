"""Every mistake in a traffic.toml of kind "borrowing" gives exactly its problems, word for word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mistakes_borrowing import TABLE, found_in_borrowing


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_people_who_borrow_gives_exactly_its_problems(row):
    assert found_in_borrowing(row) == row["problems"]
