"""A seeded day of business for each instrument: played on any ledger, its laws checked afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Played(NamedTuple):
    """What a day of business did.

    actions, applied, refused : of the instrument; an action that came twice counts twice
    transfers : applied by the ledger
    checked : law -> whether it held
    figures : counts, and sums in minor units
    """

    instrument: str
    actions: int
    applied: int
    refused: int
    transfers: int
    checked: Mapping[str, bool]
    figures: Mapping[str, int]
