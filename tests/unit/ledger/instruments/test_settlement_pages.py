"""The pages of exchange, foreign exchange and netting list every refusal, in order of precedence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quanheng.ledger.instruments.exchange import ExchangeRefusal
from quanheng.ledger.instruments.foreign_exchange_actions import FxRefusal
from quanheng.ledger.instruments.netting_actions import NettingRefusal

PAGES = Path(__file__).resolve().parents[4] / "docs" / "how-to"
LISTS = [
    ("settle-trades.md", ExchangeRefusal), ("convert-currencies.md", FxRefusal), ("net-obligations.md", NettingRefusal),
]  # fmt: skip


@pytest.mark.parametrize(("page", "refusals"), LISTS)
def test_the_page_lists_the_refusals_in_order(page, refusals):
    text = (PAGES / page).read_text(encoding="utf-8").split("## Why an action is refused")[1]
    assert re.findall(r"`([A-Z_]{5,})`", text.split("Titles in English")[0]) == [str(one) for one in refusals]
    assert refusals.__name__ in text
