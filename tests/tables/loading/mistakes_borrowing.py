"""What the loader finds in a traffic.toml of kind "borrowing" with one mistake: the shipped one, changed."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from quanheng.loading import check_pack, read_packs
from quanheng.loading.checks.traffic import check_traffic
from quanheng.loading.notes import Notes

TABLE = tomllib.loads(Path(__file__).with_name("mistakes_borrowing.toml").read_text(encoding="utf-8"))["mistake"]


@cache
def shipped() -> tuple[dict[str, Any], str]:
    """The events of the pack, and its traffic.toml."""
    packs = read_packs()
    declared, problems = check_pack(packs["lending"], packs)
    assert problems == ()
    return {one.name: one for one in declared.events}, packs["lending"].files["traffic.toml"].decode()


def found_in_borrowing(row: dict[str, Any]) -> list[str]:
    """The problems of a row of the table."""
    events, text = shipped()
    assert row["old"] in text
    notes = Notes()
    changed = tomllib.loads(text.replace(row["old"], row["new"], 1), parse_float=Decimal)
    assert check_traffic(changed, events, notes) is None
    return [str(one) for one in notes.problems]
