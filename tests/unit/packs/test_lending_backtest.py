"""A backtest of the lending pack: files of its policy declare the same inputs, and columns judge as rows do."""

from __future__ import annotations

import json

import pytest

from quanheng import Engine, Request
from quanheng.loading import read_packs
from quanheng.past.backtest import Settings, backtest
from quanheng.past.versions import Asked

NOW_MS = 1_772_452_800_000


@pytest.fixture
def engine(tmp_path):
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys", clock=lambda: NOW_MS)
    engine.activate([read_packs()["party"], read_packs()["lending"]])
    yield engine
    engine.close()


def test_columns_and_rows_judge_applications_alike(engine):
    asked = [("term", 1_000_000, 12), ("term", 90_000_000, 36), ("term", 1, 12), ("farm_order", 500_000, 6)]
    rows = [
        {
            "time_ms": NOW_MS, "application": f"a{n}", "customer": f"c{n}", "product": product, "channel": "branch",
            "amount_minor": amount, "periods": periods, "birth_date": "1990-05-17", "id_checked": True,
        }
        for n, (product, amount, periods) in enumerate(asked)
    ]  # fmt: skip
    engine.submit(
        [Request("desk", f"r{n}", "loan.application", json.dumps(row).encode()) for n, row in enumerate(rows)]
    )
    sides = Asked("active", None), Asked("recorded", None)
    reports = [
        backtest(engine.reader, read_packs(), Settings("lending", *sides, event="loan.application", columns=columns))
        for columns in (True, False)
    ]
    for report in reports:
        assert (report["decisions"], report["changed"], report["only_reasons"]) == (4, 0, 0)
    assert reports[0]["candidate"]["engine"]["mode"] == "columns"
    assert reports[0]["rules"] == reports[1]["rules"]
