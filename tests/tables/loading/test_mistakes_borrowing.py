"""Every mistake in a traffic.toml of kind "borrowing" gives exactly its problems, word for word."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from quanheng.loading import check_pack, read_packs
from quanheng.loading.checks.traffic import check_traffic
from quanheng.loading.notes import Notes

TABLE = tomllib.loads(Path(__file__).with_name("mistakes_borrowing.toml").read_text(encoding="utf-8"))["mistake"]


@pytest.fixture(scope="module")
def lending():
    packs = read_packs()
    declared, problems = check_pack(packs["lending"], packs)
    assert problems == ()
    return {one.name: one for one in declared.events}, packs["lending"].files["traffic.toml"].decode()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"].replace(" ", "-"))
def test_a_mistake_of_people_who_borrow_gives_exactly_its_problems(row, lending):
    events, text = lending
    assert row["old"] in text
    notes = Notes()
    changed = tomllib.loads(text.replace(row["old"], row["new"], 1), parse_float=Decimal)
    assert check_traffic(changed, events, notes) is None
    assert [str(one) for one in notes.problems] == row["problems"]
