"""Parts of the cluster without a cluster: shares, owners, places, steps out of order, deciders, every error text."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanheng.cluster.deciding import Asked, Decider, Deciders
from quanheng.cluster.field import ClusterLost, Lost, even_out
from quanheng.cluster.partition import Partition, Place, Spec, request
from quanheng.cluster.ray_field import join
from quanheng.cluster.spread import SpreadWindows
from quanheng.events.intake import Request
from quanheng.facts import FactColumns, Moments
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.shares import NOBODY, Told, deal, piece_for, shares_of
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.kernel.errors import ConfigurationError, LogCorrupt, MissingExtra, NotFound
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
        piece = piece_for(share, dealt, types, owner)
        folds, reads = dealt.inserts[piece.rows] == owner, dealt.reads[piece.rows] == owner
        assert (piece.reads == reads).all()
        assert (piece.types == np.where(folds, 1, reader)).all()
        seen += int(folds.sum())
    assert seen == len(types)


TO = Fold("to", "payment", ("payer",), "last", "payee", current="out")
BACK = Fold("back", "payment", ("payer",), "last", "payee", through="to")
GOT = Fold("got", "payment", ("payee",), "sum", "amount", through="back")


def test_shares_wait_for_those_that_answer_their_keys():
    shares = shares_of(plan_of(GOT, TO, BACK))
    assert [[fold.name for fold in share.plan.folds] for share in shares] == [["to"], ["back"], ["got"]]
    assert [share.depth for share in shares] == [0, 1, 2]
    assert [share.through for share in shares] == [None, "to", "back"]
    assert [share.tells for share in shares] == [{"to": (0, 1)}, {"back": (0, 1)}, {}]
    assert [share.columns.tolist() for share in shares] == [[1], [2], [0]]
    assert [column.part for column in shares[0].plan.columns] == ["", "half 1", "half 2"]


@pytest.mark.parametrize("first", [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**63 + 2, 2**64 - 1])
@pytest.mark.parametrize("second", [1, 2**63, 2**63 + 2])
def test_whole_keys_are_told_whatever_their_bits(first, second):
    """Some look like NULL, "not known" and "does not fit" where a number would stand."""
    share = shares_of(plan_of(TO, BACK, Fold("big", "payment", ("payer",), "sum", "amount")))[0]
    ann, key = (7, 7), (first, second)
    rows = [((ann, key), 2**62), ((ann, (0, 0)), 2**62), ((ann, key), 5), ((ann, (3, 3)), -5), (((0, 0), key), 1)]
    arrays = as_arrays([Event(1, time, keys, (amount,)) for time, (keys, amount) in enumerate(rows)], 2, 1)
    with pytest.raises(FeatureOverflow) as overflow:
        FeatureState(share.plan).run(*arrays)
    assert [fold for _, fold in overflow.value.cells] == ["big"] * 3
    told = Told.nothing(5)
    told.learn(np.arange(5), overflow.value.raw, share.tells["to"])
    assert told.keys.tolist() == [[0, 0], [first, second], [0, 0], [first, second], [0, 0]]
    assert not told.unknown.any()


def test_an_answer_that_is_too_old_is_not_known_nor_is_what_is_read_under_it(tmp_path):
    plan = plan_of(dataclasses.replace(TO, age_ms_max=3), BACK, GOT)
    windows, _, log = spread_on(tmp_path, ["a"], plan)
    rows = windows.run_at(0, *payments((0, 1, 2), (1, 2, 1), (2, 1, 3), (9, 1, 2), (9, 0, 2)))
    assert rows[:, 0].tolist() == [NULL, NULL, 0, UNKNOWN, NULL]
    assert rows[:, 1].tolist() == [NULL, NULL, 0, UNKNOWN, NULL]
    assert rows[:, 2].tolist() == [NULL, NULL, 5, UNKNOWN, NULL]
    windows.close()
    log.close()


def test_a_group_takes_as_many_calls_as_it_needs_rounds(tmp_path):
    """Nobody reads what only enters, so one round is enough; and an empty group asks nobody."""
    label = EventLayout("label", 2, ("payee",), ("risk",))
    risk = Fold("risk", "label", ("payee",), "max", "risk", through="to")
    plan = Plan.compile([PAYMENT, label], [BY_PAYER, TO, risk], ["payment"], 10)
    windows, field, log = spread_on(tmp_path, ["a"], plan)
    windows.follow(0)
    labels = as_arrays([Event(2, time, ((time, time),), (time,)) for time in range(1, 30)], 2, 1)
    paid = payments(*((30, payer, payer) for payer in range(1, 30)), *((31, payer, 1) for payer in range(1, 30)))

    def calls(first, arrays, **more):
        before = [len(hold.asked) for hold in field.holds]
        rows = windows.run_at(first, *arrays, **more)
        return [hold.asked[at:] for hold, at in zip(field.holds, before, strict=True)], rows

    assert calls(0, labels)[0] == [["take"]] * 2
    assert calls(29, payments())[0] == [[]] * 2
    asked, rows = calls(29, paid)
    assert asked == [["take"] * 2] * 2
    assert rows[:, 2].tolist() == [NULL] * 29 + list(range(1, 30))
    assert calls(87, paid, read=False)[0] == [["take"]] * 2
    windows.close()
    log.close()


def test_calendar_folds_and_conditions_of_days_off_in_a_cluster(tmp_path):
    days = Calendar("days", (6, 7), (CalendarYear(1970, (date(1970, 1, 2),), (), "invented"),))
    asking = [
        Fold("hour", "payment", (), "hour", zone="Asia/Shanghai"),
        Fold("holiday", "payment", (), "holiday", calendar="days"),
        Fold("off", "payment", ("payer",), "count", where="holiday", calendar="days"),
    ]
    plan = Plan.compile([PAYMENT], [BY_PAYER, *asking], ["payment"], 10, calendars={"days": days})
    windows, _, log = spread_on(tmp_path, ["a"], plan)
    arrays = payments(*((hours * 3_600_000, 1, 2) for hours in (0, 3, 25, 49, 50)))
    rows = windows.run_at(0, *arrays)
    assert (rows == FeatureState(plan).run(*arrays)).all()
    assert rows[:, 1:].tolist() == [[8, 0, 0], [11, 0, 0], [9, 1, 1], [9, 0, 1], [10, 0, 1]]
    assert (windows.peek_at(5, *arrays)[:, 1:3] == rows[:, 1:3]).all()
    windows.close()
    log.close()


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
    pieces = [piece_for(share, deal(share, arrays[0], arrays[2], 1), arrays[0], 0) for share in shares]
    first = request(Place(0), 0, arrays, pieces)
    answer = partition.take(first)
    assert answer.raw[0].tolist() == [[1], [2]]
    assert partition.take(first) is answer  # The same again: its answer was lost on the way.
    with pytest.raises(LogCorrupt, match="a partition is not where the sequencer believes it") as wrong:
        partition.take(request(Place(0), 5, arrays, pieces))
    assert "partition 0, group at offset 5, round 0: a partition is not where" in str(wrong.value)
    assert "was folded up to 1, round 0; allowed: 0, round 0." in str(wrong.value)
    assert partition.take(request(Place(1), 0, arrays, [], 1)).raw == ()  # The group's next round.
    for after, group_first, round_n in [(Place(1), 0, 2), (Place(1), 1, 0), (Place(1, 1), 0, 0), (Place(1, 1), 0, 1)]:
        with pytest.raises(LogCorrupt, match="was folded up to 1, round 1"):
            partition.take(request(after, group_first, arrays, pieces, round_n))
    with pytest.raises(NotFound, match="the log does not hold the last group that a partition has folded"):
        partition.follow(9)
    append_events(log, [Event(1, 1, ((1, 1), (2, 2)), (5,)), Event(1, 2, ((1, 1), (3, 3)), (5,))])
    assert partition.follow(2) == 2
    assert partition.peek(request(Place(2), 2, arrays, pieces)).raw[0].tolist() == [[2], [4]]
    assert partition.snapshot()
    assert partition.written() == 2
    partition.close()
    log.close()


@pytest.mark.parametrize("fenced", [False, True])
def test_a_partition_of_a_fenced_sequencer_keeps_no_snapshot(fenced, tmp_path):
    """It holds a group that was never committed; where that would be, the log has one of the next sequencer."""
    first = Log.open(SqliteLogStore(tmp_path / "log.db"), "first")
    append_events(first, [Event(1, 0, ((1, 1), (2, 2)), (5,))])
    spec = Spec.of(plan_of(BY_PAYER), 1, f"sqlite:{tmp_path / 'log.db'}", str(tmp_path / "snapshots"), first.epoch)
    partition = Partition(spec, 0)
    assert partition.open() == 1
    arrays = payments((1, 1, 2), (2, 1, 3))
    pieces = [piece_for(share, deal(share, arrays[0], arrays[2], 1), arrays[0], 0) for share in partition.shares]
    partition.take(request(Place(1), 1, arrays, pieces))
    assert partition.snapshot()  # It waits for the log.
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "second") if fenced else first
    append_events(log, [Event(1, 1, ((1, 1), (2, 2)), (5,)), Event(1, 2, ((1, 1), (3, 3)), (5,))])
    assert partition.written() == (-1 if fenced else 3)
    again = Partition(spec._replace(epoch=log.epoch), 0)
    assert again.open() == 3
    assert again.figures().keys == {"payment by payer": 1}
    for one in (partition, again, log):
        one.close()


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
