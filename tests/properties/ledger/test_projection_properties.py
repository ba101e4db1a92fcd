"""The projection is a fold: wherever the log is cut into batches, visits and portions, the tables are the same."""

from __future__ import annotations

import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.projection.schema import TABLE_NAMES
from quanheng.ledger.records import records_of
from quanheng.projecting import open_tables, project
from quanheng.testing.ledger_simulation import Simulation

OPERATIONS = 500


def rows(tables) -> dict[str, list]:
    names = [name for name in TABLE_NAMES if name != "projection"]
    return {name: sorted(tables.run(f"SELECT * FROM {name}"), key=repr) for name in names}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), max_size=12), st.integers(1, 300))
def test_any_cuts_give_the_same_tables(seed, cuts, portion_facts):
    simulation = Simulation(seed)
    simulation.run(OPERATIONS)
    facts = simulation.core.facts()
    bounds = sorted({0, len(facts), *(int(cut * len(facts)) for cut in cuts)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Log.open(SqliteLogStore(folder / "whole.log"), "test")) as log:
            log.append([], 1, records_of(facts))
            with closing(open_tables(str(folder / "whole.db"))) as tables:
                list(project(log, tables))
                whole = rows(tables)
        with closing(Log.open(SqliteLogStore(folder / "parts.log"), "test")) as log:
            for first, last in pairwise(bounds):
                log.append([], 1, records_of(facts[first:last]))
                with closing(open_tables(str(folder / "parts.db"))) as tables:
                    list(project(log, tables, portion_facts))
                    parts = rows(tables)
        assert parts == whole
        assert len(whole["transfers"]) > 0
