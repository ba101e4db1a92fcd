"""`card_fraud` with folds through others, on one process and over machines that break: every vector and decision, also
where such folds come into force while the server runs, and after the sequencer has begun anew."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from breaking_field import BreakingField

from quanheng.cluster.partition import Spec
from quanheng.cluster.spread import SpreadWindows
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.find import read_packs
from quanheng.loading.traffic import Traffic
from quanheng.replay import replay

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "cluster"))
from shop import HandClock
from through_pack import NAMES, card_fraud_through

PLAIN, THROUGH = read_packs()["card_fraud"], card_fraud_through()


class Twice:
    """The same requests by the same clock and keys on one process and on partitions in this process."""

    def __init__(self, folder: Path, seed: int, breaks: float, shifts: float) -> None:
        self.folder, self.clock = folder, HandClock()
        self.field = BreakingField(seed, ["a", "b"], breaks, shifts)
        self.one = self._open("one")
        self.one.activate([read_packs()["party"], PLAIN])
        shutil.copytree(folder / "keys-one", folder / "keys-far")
        self.far = self.open_far()
        self.far.activate([read_packs()["party"], PLAIN])
        traffic = self.one.state.program.packs["card_fraud"].traffic
        events = list(Traffic(traffic, seed=seed).events(3_000))
        self.requests = [Request("test", one.id, one.type, json.dumps(one.data).encode()) for one in events]
        self.clock.now_ms = max(self.clock.now_ms, events[-1].arrive_ms + 1)
        self.done, self.statuses, self.decided = 0, Counter(), []

    def _open(self, name, far=None) -> Engine:
        return Engine.open(self.folder / name, keys=self.folder / f"keys-{name}", clock=self.clock, far=far)

    def open_far(self) -> Engine:
        def far(log):
            def make(plan):
                data = self.folder / "far" / "log.db"
                spec = Spec.of(plan, 3, f"sqlite:{data}", str(self.folder / "partitions"))
                return SpreadWindows(plan, spec, self.field, lambda: log.head)

            return make

        return self._open("far", far)

    @property
    def windows(self) -> SpreadWindows:
        return self.far.state.features

    def group(self, requests) -> None:
        mine, theirs = self.one.prepare(requests), self.far.prepare(requests)
        assert mine.headers == theirs.headers
        assert mine.payloads == theirs.payloads
        replies = self.one.commit(mine)
        assert self.far.commit(theirs) == replies
        self.statuses.update(one.status for one in replies)
        self.decided += [one.decision for one in replies if one.status == "decided"]

    def groups(self, count: int) -> None:
        """Groups of many sizes, with repeats and dry runs among them."""
        rng = self.field.rng
        for _ in range(count):
            size = rng.choice([1, 2, 20, 100, 300])
            requests = self.requests[self.done : self.done + size]
            self.done += size
            if rng.random() < 0.3:
                assert self.far.dry_run(requests[:5]) == self.one.dry_run(requests[:5])
            self.group(requests + requests[-1:])
            if rng.random() < 0.2:
                self.group(requests[:20])  # Nothing but repeats.
            if rng.random() < 0.2:
                self.windows.rebalance()
            elif rng.random() < 0.2:
                self.windows.snapshot()

    def close(self) -> None:
        self.far.close()
        self.one.close()


@pytest.mark.parametrize(("breaks", "shifts"), [(0.0, 0.0), (0.02, 0.02)])
def test_decisions_through_other_folds_are_those_of_one_process(breaks, shifts, tmp_path):
    both = Twice(tmp_path, 7, breaks, shifts)
    both.groups(6)
    both.far.activate([THROUGH])  # Folds through others come into force between two groups.
    both.one.activate([THROUGH])
    assert max(share.depth for share in both.windows.shares) == 2
    both.groups(10)
    both.far.close()  # The sequencer begins anew: everything comes from the log and the snapshots.
    both.far = both.open_far()
    both.groups(8)
    both.far.activate([PLAIN])
    both.one.activate([PLAIN])
    both.groups(2)
    both.far.activate([THROUGH])
    both.one.activate([THROUGH])
    both.groups(2)
    assert both.statuses["decided"] > 1_000
    assert both.statuses["repeated"] > 20
    assert both.windows.late == both.one.state.features.late
    assert both.far.state.events == both.one.state.events
    for decision in both.field.rng.sample(both.decided, 8):
        assert replay(both.far.reader, both.far.snapshots, decision).same
    assert (both.field.broken > 5) == (breaks > 0)
    assert_answered(both)
    both.close()


def assert_answered(both: Twice) -> None:
    """The folds say something of decisions, so it is their keys that were found. How much depends on the keys drawn."""
    shown = [both.far.decision(decision) for decision in both.decided[-600:]]
    shown = [one for one in shown if f"card_fraud.{NAMES[0]}" in one["features"]]
    assert len(shown) > 200
    for name in NAMES:
        assert {one["features"][f"card_fraud.{name}"] for one in shown} - {None, 0}, name
    assert len({one["formulas"]["card_fraud.amount_to_terminal_before"] for one in shown}) > 10
