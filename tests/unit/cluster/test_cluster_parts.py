"""Parts of the cluster without a cluster: shares, owners, places, steps out of order, deciders, every error text."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from quanheng.cluster.deciding import Asked, Decider, Deciders
from quanheng.cluster.field import ClusterLost, Lost, even_out
from quanheng.cluster.partition import Partition, Spec, request
from quanheng.cluster.ray_field import join
from quanheng.cluster.spread import SpreadWindows
from quanheng.events.intake import Request
from quanheng.facts import FactColumns, Moments
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.shares import NOBODY, deal, pieces_for, shares_of
from quanheng.kernel.errors import ConfigurationError, DeclarationError, LogCorrupt, MissingExtra, NotFound
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.server.config import Cluster as ClusterConfig
from quanheng.server.config import Config, Limits, widened
from quanheng.testing.slow_features import Event, as_arrays

sys.path.insert(0, str(Path(__file__).parents[2] / "simulation" / "cluster"))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from breaking_field import BreakingField, append_events
from shop import HandClock, ask, opened

PAYMENT = EventLayout("payment", 1, ("payer", "payee"), ("amount",))
BY_PAYER = Fold("n", "payment", ("payer",), "count", window_ms=1_000)
ALL = Fold("all", "payment", (), "sum", "amount", window_ms=1_000)


def plan_of(*folds: Fold) -> Plan:
    return Plan.compile([PAYMENT], folds, ["payment"], 10)


def payments(*rows: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    """(time, payer, payee); 0 = null."""
    events = [Event(1, time, ((payer, payer), (payee, payee)), (5,)) for time, payer, payee in rows]
    return as_arrays(events, 2, 1)


def spread_on(folder: Path, nodes: list[str], plan: Plan | None = None) -> tuple[SpreadWindows, BreakingField, Log]:
    log = Log.open(SqliteLogStore(folder / "log.db"), "test")
    field, plan = BreakingField(1, nodes), plan or plan_of(BY_PAYER, ALL)
    return SpreadWindows(plan, Spec.of(plan, 2, f"sqlite:{folder / 'log.db'}"), field, lambda: log.head), field, log


def test_a_share_for_each_key_and_its_columns_in_the_whole_vector():
    mean = Fold("m", "payment", ("payer",), "mean", "amount", window_ms=50)
    shares = shares_of(plan_of(BY_PAYER, ALL, mean))
    assert [[fold.name for fold in share.plan.folds] for share in shares] == [["n", "m"], ["all"]]
    assert [share.columns.tolist() for share in shares] == [[0, 2, 3], [1]]


def test_a_row_that_reads_another_key_than_it_enters_goes_to_both_owners():
    other = dataclasses.replace(BY_PAYER, match=("payee",))
    (share,) = shares_of(plan_of(other))
    (reader,) = share.readers.values()
    types, _, keys, _ = payments(*((0, payer, payee) for payer in range(1, 9) for payee in range(9)))
    dealt = deal(share, types, keys, 4)
    assert (dealt.reads[keys[:, 1, 0] == 0] == NOBODY).all()
    seen = 0
    for owner in range(4):
        for piece in pieces_for([share], [dealt], types, owner):
            folds, reads = dealt.inserts[piece.rows] == owner, dealt.reads[piece.rows] == owner
            assert (piece.reads == reads).all()
            assert (piece.types == np.where(folds, 1, reader)).all()
            seen += int(folds.sum())
    assert seen == len(types)


def test_a_key_that_another_fold_answers_cannot_be_dealt_out():
    plan = plan_of(BY_PAYER)
    through = dataclasses.replace(plan, folds=(dataclasses.replace(BY_PAYER, through="last_payee"),))
    with pytest.raises(DeclarationError) as caught:
        shares_of(through)
    assert str(caught.value).startswith("the folds cannot be spread over machines")
    assert "the key of this fold is the answer of another one; was through = 'last_payee'" in str(caught.value)


@pytest.mark.parametrize("seed", range(200))
def test_partitions_are_placed_evenly_with_the_fewest_moves(seed):
    rng = random.Random(seed)
    nodes = [f"n{number}" for number in range(rng.randrange(1, 6))]
    holders = {number: rng.choice(["", "gone", *nodes]) for number in range(rng.randrange(12))}
    moves = even_out(holders, nodes)
    after = {**holders, **dict(moves)}
    counts = [sum(node == one for one in after.values()) for node in nodes]
    assert sum(counts) == len(holders)
    assert max(counts) - min(counts) <= 1
    assert len({move.partition for move in moves}) == len(moves)
    assert not even_out(after, nodes)
    assert not even_out(holders, [])


def test_a_partition_takes_a_request_once_and_only_in_its_turn(tmp_path):
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test")
    plan = plan_of(BY_PAYER)
    partition = Partition(Spec.of(plan, 1, f"sqlite:{tmp_path / 'log.db'}", str(tmp_path / "snapshots")), 0)
    arrays = payments((1, 1, 2), (2, 1, 3))
    shares = partition.shares
    pieces = pieces_for(shares, [deal(share, arrays[0], arrays[2], 1) for share in shares], arrays[0], 0)
    first = request(0, 0, arrays, pieces)
    answer = partition.take(first)
    assert answer.raw[0].tolist() == [[1], [2]]
    assert partition.take(first) is answer  # The same again: its answer was lost on the way.
    with pytest.raises(LogCorrupt, match="a partition is not where the sequencer believes it"):
        partition.take(request(0, 5, arrays, pieces))
    with pytest.raises(NotFound, match="the log does not hold the last group that a partition has folded"):
        partition.follow(9)
    append_events(log, [Event(1, 1, ((1, 1), (2, 2)), (5,)), Event(1, 2, ((1, 1), (3, 3)), (5,))])
    assert partition.follow(2) == 2
    assert partition.peek(request(2, 2, arrays, pieces)).raw[0].tolist() == [[2], [4]]
    assert partition.snapshot()
    assert partition.written() == 2
    partition.close()
    log.close()


def test_without_a_machine_the_process_stops(tmp_path):
    with pytest.raises(ClusterLost, match="the cluster has no machine that holds partitions"):
        spread_on(tmp_path, [])[0].close()


def test_partitions_are_up_before_the_first_group_also_where_the_log_is_empty(tmp_path):
    windows, field, log = spread_on(tmp_path, ["a", "b"])
    windows.follow(0)
    assert [hold.asked for hold in field.holds] == [["open"], ["open"]]
    windows.follow(0)
    windows.run_at(0, *payments((1, 1, 2)))
    windows.follow(0)
    assert [hold.asked.count("open") for hold in field.holds] == [1, 1]
    windows.close()
    log.close()


def test_a_partition_that_breaks_wherever_it_is_put(tmp_path):
    windows, field, log = spread_on(tmp_path, ["a", "b"])
    windows.run_at(0, *payments((1, 1, 2), (2, 2, 2), (3, 3, 2), (4, 4, 2)))
    field.breaks = 1.0
    with pytest.raises(ClusterLost, match="a partition is lost and no machine of the cluster takes it"):
        windows.run_at(4, *payments((5, 1, 2), (6, 2, 2), (7, 3, 2), (8, 4, 2)))
    field.breaks = 0.0
    log.close()


def test_a_cluster_that_cannot_be_joined(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    text = r"spreading over machines \(--cluster\) needs the package 'ray'"
    with pytest.raises(MissingExtra, match=text):
        join("local")


@pytest.mark.parametrize("address", ["nowhere", ":1", "10.0.0.1:", "ray://x"])
def test_an_address_that_is_none(address):
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    with pytest.raises(ConfigurationError, match="this is no address of a Ray cluster"):
        join(address)


def test_an_address_where_nobody_answers():
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    with pytest.raises(ConfigurationError, match="no Ray cluster answers at this address"):
        join("127.0.0.1:1")


def test_groups_are_wider_with_a_cluster_unless_configured():
    assert widened(Config()) == Config()
    far = Config(cluster=ClusterConfig(address="local"))
    assert widened(far).limits.group_events_max == 4_096
    chosen = Config(cluster=ClusterConfig(address="local"), limits=Limits(group_events_max=700))
    assert widened(chosen) == chosen


class Here:
    """Deciders in this process; every third part is lost."""

    def __init__(self) -> None:
        self.decider, self.asked = Decider(), 0

    def ready(self, files, activated, activation):
        return 3

    def ask(self, files, asked):
        answers = []
        for one in asked:
            self.asked += 1
            answers.append(Lost("test") if self.asked % 3 == 0 else self.decider.judge(files, one))
        return answers


def test_deciders_give_the_bytes_of_one_process_also_where_a_part_is_lost(tmp_path):
    from quanheng.cluster.opening import PackFilesInForce

    clock = HandClock()
    engine = opened(tmp_path, clock)
    bench = Here()
    far = Deciders(bench, PackFilesInForce(engine), 2, 3)
    told = []

    def both(*arguments):
        made = far(*arguments)
        told.append(made)
        from quanheng.deciding import decide

        here = decide(*arguments)
        assert [(one.numbers, one.payload) for one in made] == [(one.numbers, one.payload) for one in here]
        return made

    engine.writer.judge = both
    for group in range(6):
        requests = [ask(f"{group}-{n}", 20_000 * n, customer=f"c{n % 3}") for n in range(1, 8)]
        requests.append(ask(f"{group}-late", deadline_ms=1))
        requests.append(Request("web", f"{group}-bad", "shop.request", json.dumps({"no": 1}).encode()))
        replies = engine.submit(requests)
        assert replies[-1].status == "rejected"
    assert far.sent == bench.asked == 18
    assert far.lost == 6
    assert len(told) == 6
    engine.close()


def test_a_decider_without_the_packs():
    nothing = FactColumns(*(np.empty(0, np.int64) for _ in range(5)))
    packs = {"packs": {"shop": "f" * 64}, "versions": {}, "codes": {}, "engine": "0"}
    asked = Asked(json.dumps(packs).encode(), 5, [], nothing, Moments(np.empty((0, 0)), np.empty((0, 0))), 0, 0)
    with pytest.raises(NotFound, match="a pack in force did not come with the decisions to make"):
        Decider().judge({}, asked)


def test_what_a_cluster_notes_can_be_logged(tmp_path, capsys):
    from quanheng.server.logs import Log as ServerLog

    log = ServerLog("info", "core", sys.stdout)
    windows, field, _ = spread_on(tmp_path, ["a", "b"])
    windows._note = lambda event, told: log.write("warning", event, 0, **told)
    windows.run_at(0, *payments((1, 1, 2), (2, 2, 2), (3, 3, 2), (4, 4, 2)))
    append_events(Log.open(SqliteLogStore(tmp_path / "log.db"), "test"), [Event(1, 1, ((1, 1), (2, 2)), (5,))] * 4)
    field.alive = ["a", "c"]
    assert windows.heal() == 1
    windows.slots[1].hold.node = "a"
    windows.rebalance()
    told = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["partition_lost", "partition_recovered", "partition_moved"]
