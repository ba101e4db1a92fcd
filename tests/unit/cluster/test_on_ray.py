"""One stream on one process and on a cluster of two nodes, of which one is killed, another joins, and all stop: every
vector and decision, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import uuid
from pathlib import Path

import pytest
from nodes import NODE, two_nodes
from through_pack import NAMES, card_fraud_through

pytest.importorskip("ray", reason="the extra `cluster` is not installed")

from quanheng.cluster.opening import Cluster, PackFilesInForce, Settings
from quanheng.cluster.spread import SpreadWindows
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.listing import AskedChange
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import find_packs
from quanheng.loading.traffic import Traffic
from quanheng.replay import replay

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from shop import HandClock, ask, opened

pytestmark = pytest.mark.skipif(
    os.environ.get("QUANHENG_TEST_RAY") != "alone", reason="test_ray_alone.py runs these in a process of its own"
)

GROUP = 1_000
GROUPS = 11


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as cluster:
        yield cluster


class Twice:
    """The same requests on one process and on the cluster, by the same clock and the same keys."""

    def __init__(self, folder: Path, address: str, store: str, dsn: str = "", pack: PackFiles | None = None) -> None:
        self.folder, self.address, self.store, self.dsn = folder, address, store, dsn
        self.clock = HandClock()
        self.one = self._open(folder / "one", None)
        packs = find_packs()
        chosen = [read_pack(packs["party"]), pack or read_pack(packs["card_fraud"])]
        shutil.copytree(folder / "keys-one", folder / "keys-far")
        self.one.activate(chosen)
        self.far = self.open_far()
        self.far.activate(chosen)
        traffic = self.one.state.program.packs["card_fraud"].traffic
        events = list(Traffic(traffic, seed=7).events(GROUP * GROUPS))
        self.requests = [Request("test", one.id, one.type, json.dumps(one.data).encode()) for one in events]
        self.clock.now_ms = max(self.clock.now_ms, events[-1].arrive_ms + 1)
        self.done, self.decided = 0, []

    def _open(self, data: Path, far) -> Engine:
        store = PostgresLogStore(self.dsn, self.store) if far and self.dsn else None
        return Engine.open(data, keys=self.folder / f"keys-{data.name}", clock=self.clock, far=far, store=store)

    def open_far(self) -> Engine:
        """The engine on the cluster, opened or opened again."""
        data = self.folder / "far"
        store = self.dsn or f"sqlite:{data / 'log.db'}"
        settings = Settings(self.address, store, str(self.folder / "partitions"), 2, 2, 300, 0)
        self.cluster = Cluster(settings, seconds=time.perf_counter)
        engine = self._open(data, self.cluster.far)
        self.cluster.attach(engine)
        return engine

    def groups(self, count: int) -> None:
        """Some groups on both; what they would write is compared before it is sealed."""
        for _ in range(count):
            requests = self.requests[self.done : self.done + GROUP]
            self.done += GROUP
            mine, theirs = self.one.prepare(requests), self.far.prepare(requests)
            assert mine.headers == theirs.headers
            assert mine.payloads == theirs.payloads
            replies = self.far.commit(theirs)
            assert self.one.commit(mine) == replies
            self.decided += [one for one in replies if one.status == "decided"]

    def block(self, count: int, change: str = "add") -> None:
        """Put the devices of coming payments on the list that the policy asks, or take them off again."""
        coming = [json.loads(one.data).get("device") for one in self.requests[self.done : self.done + GROUP]]
        devices = sorted({device for device in coming if device})[:count]
        for engine in (self.one, self.far):
            asked = AskedChange("blocked_devices", change, devices, "ann")
            engine.lists.change(engine.lists.prepare(asked), False)

    @property
    def windows(self) -> SpreadWindows:
        found = self.far.state.features
        assert isinstance(found, SpreadWindows)
        return found


def wait_until(true, seconds: float = 120.0) -> None:
    until_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.1)


def ready(cluster: Cluster, engine: Engine) -> int:
    """How many deciders could judge now."""
    activation = engine.state.program.activation
    activated, files = PackFilesInForce(engine)(activation)
    return cluster.bench.ready(files, activated, activation)


def test_a_cluster_answers_as_one_process_whatever_happens_to_its_nodes(cluster, tmp_path):
    both = Twice(tmp_path, cluster.address, "")
    try:
        both.groups(1)  # Here it tells deciders to get ready, and waits for nobody.
        wait_until(lambda: ready(both.cluster, both.far) == 2)
        both.block(40)
        both.groups(2)
        assert both.cluster.deciders.sent >= 4
        assert both.cluster.deciders.unanswered == 0
        both.block(20, "remove")
        wait_until(lambda: len({slot.hold.node for slot in both.windows.slots}) == 2)
        replies = both.far.dry_run(both.requests[both.done : both.done + 3])
        assert replies == both.one.dry_run(both.requests[both.done : both.done + 3])
        both.windows.snapshot()
        assert min(both.windows.written()) > 0
        both.groups(1)

        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)  # Killed in mid-stream.
        both.groups(2)
        ((_, seconds),) = both.windows.recoveries
        print(f"recovered in {seconds:.2f} s")
        assert {slot.hold.node for slot in both.windows.slots} == set(both.cluster.field.nodes())

        both.block(40)
        moved = len(both.windows.moves)
        cluster.add_node(**NODE)
        wait_until(lambda: len({slot.hold.node for slot in both.windows.slots}) == 2)
        assert len(both.windows.moves) > moved
        _, _, waited_s = both.windows.moves[-1]
        print(f"decisions waited {waited_s * 1000:.0f} ms for a move")
        both.groups(2)

        both.far.close()  # The sequencer starts again: everything comes from the log and the snapshots.
        both.far = both.open_far()
        both.groups(2)
        late = both.windows.late
        assert late == both.one.state.features.late
        assert both.far.state.events == both.one.state.events
        assert both.far.state.lists.digest() == both.one.state.lists.digest()
        found = [one for one in both.decided if "device_blocked" in one.reasons]
        assert len(found) > 10
        for one in (found[0], found[-1], both.decided[0], both.decided[-1]):
            assert replay(both.far.reader, both.far.snapshots, one.decision).same
    finally:
        both.far.close()
        both.one.close()


def test_folds_through_others_on_a_cluster(cluster, tmp_path):
    """A partition is lost between two rounds of a group, a node between two groups; another joins."""
    both = Twice(tmp_path, cluster.address, "", pack=card_fraud_through())
    try:
        both.groups(2)
        replies = both.far.dry_run(both.requests[both.done : both.done + 3])
        assert replies == both.one.dry_run(both.requests[both.done : both.done + 3])
        lose_between_rounds(both.windows, 1)
        both.groups(1)
        assert [partition for partition, _ in both.windows.recoveries] == [1]
        both.windows.snapshot()
        assert min(both.windows.written()) > 0
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        both.groups(1)
        cluster.add_node(**NODE)
        wait_until(lambda: len({slot.hold.node for slot in both.windows.slots}) == 2)
        both.groups(2)
        assert both.windows.late == both.one.state.features.late
        shown = [both.far.decision(one.decision)["features"] for one in both.decided[-500:]]
        for name in NAMES:
            assert len({one[f"card_fraud.{name}"] for one in shown} - {None, 0}) > 1, name
        assert replay(both.far.reader, both.far.snapshots, both.decided[-1].decision).same
    finally:
        both.far.close()
        both.one.close()


def lose_between_rounds(windows: SpreadWindows, partition: int) -> None:
    """Once it has answered the first round of the next group, its actor is gone."""
    collect = windows._collect

    def losing(what, asked):
        windows._collect = collect
        found = collect(what, asked)
        assert partition in found
        windows.slots[partition].hold.kill()
        return found

    windows._collect = losing


def test_deciders_on_the_nodes_give_the_same_bytes(cluster, tmp_path):
    one = opened(tmp_path / "one")
    shutil.copytree(tmp_path / "one" / "data-keys", tmp_path / "far" / "data-keys")
    data = tmp_path / "far" / "data"
    joined = Cluster(Settings(cluster.address, f"sqlite:{data / 'log.db'}", "", 2, 2, 100, 0))
    far = opened(tmp_path / "far", far=joined.far)
    joined.attach(far)
    try:
        wait_until(lambda: ready(joined, far) == 2)
        for group in range(3):
            asked = [ask(f"{group}-{n}", 1_000 * n, customer=f"c{n % 50}") for n in range(1, 401)]
            mine, theirs = one.prepare(asked), far.prepare(asked)
            assert mine.headers == theirs.headers
            assert mine.payloads == theirs.payloads
            assert one.commit(mine) == far.commit(theirs)
        assert (joined.deciders.sent, joined.deciders.lost) == (6, 0)
    finally:
        far.close()
        one.close()


@pytest.mark.long
def test_with_the_log_in_postgresql(cluster, tmp_path, postgres_dsn):
    """In a database of its own: partitions look for the log under its usual name."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    name = f"quanheng_cluster_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        both = Twice(tmp_path, cluster.address, "quanheng", make_conninfo(postgres_dsn, dbname=name))
        try:
            both.groups(2)
            assert both.done == 2 * GROUP
        finally:
            both.far.close()
            both.one.close()
    finally:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
