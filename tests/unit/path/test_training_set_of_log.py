"""A training set from the platform's log: rows that are recorded events get the very vectors that were served."""

from __future__ import annotations

import json

import polars as pl
import pytest
from shop import DAY_MS, T0, HandClock, ask, opened, shop

from quanheng.kernel.errors import InputError
from quanheng.loading import check_pack
from quanheng.loading.find import read_packs
from quanheng.offline.build import Build
from quanheng.offline.events import LogEvents
from quanheng.offline.spine import SpineColumns
from quanheng.past.window import activations_of

QUIET = lambda *_: None  # noqa: E731


def test_the_vectors_are_those_that_were_served(tmp_path):
    declared, problems = check_pack(shop(), read_packs())
    assert not problems
    clock = HandClock()
    engine = opened(tmp_path, clock)
    try:
        for number in range(60):
            clock.now_ms = T0 + number * 3_600_000
            who = f"c{number % 4}"
            engine.submit([ask(f"r{number}", 1_000 + 7 * number, customer=who, at=clock.now_ms - (number % 3) * 1_000)])
        decisions = [
            offset for offset in range(engine.reader.log.head)
            if (found := engine.reader.log.record(offset)).kind == 2 and found.cause >= 0
        ]  # fmt: skip
        served = [engine.reader.decision(offset) for offset in decisions]
        assert len(served) == 60
        codes = activations_of(engine.reader)[-1].codes
        spine = pl.DataFrame({"event": [one["event"]["offset"] for one in reversed(served)]})
        spine.write_parquet(tmp_path / "spine.parquet")
        source = LogEvents(engine.reader, declared.events, codes)
        build = Build(
            declared, source, tmp_path / "spine.parquet", SpineColumns("", offset="event"), tmp_path / "out.parquet"
        )  # fmt: skip
        assert build.run(QUIET).own == 60
        found = pl.read_parquet(tmp_path / "out.parquet")
        for row, one in zip(found.iter_rows(named=True), reversed(served), strict=True):
            for name, value in one["features"].items():
                mine = row[name.removeprefix("shop.")]
                assert (mine is None) == (value is None)
                assert mine is None or mine == float(value)
        # A moment of a customer, by name: what stood in the log until then.
        moment = {"time_ms": [T0 + DAY_MS], "customer": ["c1"], "amount_minor": [5]}
        pl.DataFrame(moment).write_parquet(tmp_path / "moment.parquet")
        Build(declared, source, tmp_path / "moment.parquet", SpineColumns(""), tmp_path / "one.parquet").run(QUIET)
        data = [json.loads(bytes(one["event"]["data"])) for one in served]
        known = [
            one for one, event in zip(data, served, strict=True)
            if one["customer"] == "c1" and T0 < one["time_ms"] <= T0 + DAY_MS and event["received_ms"] <= T0 + DAY_MS
        ]  # fmt: skip
        assert pl.read_parquet(tmp_path / "one.parquet")["customer_count_1d"].to_list() == [len(known)]
        with pytest.raises(InputError, match="the log knows no such event"):
            LogEvents(engine.reader, declared.events, {})
    finally:
        engine.close()
