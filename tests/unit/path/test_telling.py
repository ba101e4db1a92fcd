"""Applied transfers as events: told once and in order, from the activation on, across restarts, packs and erasure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import polars as pl
import pytest
from shop import T0, HandClock, ask, packs
from test_two_packs import second
from watch import ACCOUNTS, ANNA, BANK, BERT, CASE, LIMIT_MINOR, TILL, bank, pay, told, unused, watch, with_files

from quanheng import recovery, telling
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import ConfigurationError, DeclarationError
from quanheng.kernel.log.records import DECISION
from quanheng.ledger import wire
from quanheng.ledger.entries import ALL, AMOUNT_MAX, ID_MAX, Account, AccountFlag, Amendment, Transfer, TransferFlag
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.ledger.posted import AMOUNT_TOLD_MAX, LEDGER_POSTED, TELLER, TIME_TOLD_MAX_MS, kind_of
from quanheng.ledger.records import records_of
from quanheng.loading import check_pack
from quanheng.loading.checks.platform import platform
from quanheng.offline.build import Build
from quanheng.offline.events import LogEvents
from quanheng.offline.spine import SpineColumns
from quanheng.past.backtest import Settings, backtest
from quanheng.past.versions import Asked
from quanheng.posting import transfers_of
from quanheng.replay import replay
from quanheng.testing.slow_posted import periods, told_by, unlawful
from quanheng.told import Told
from quanheng.writer import Pending

DAY_MS = 86_400_000


def same_as_twin(engine: Engine) -> list[dict]:
    """What was told, after holding it against the twin."""

    def uses(activated) -> bool:
        folders = [engine.content.get_folder(hash) for hash in activated.packs.values()]
        return any(b'"ledger.posted"' in folder["pack.toml"] for folder in folders)

    names = {code: name for name, code in engine.state.program.codes.items()}
    found = told_by(engine.log, lambda code: names.get(code, ""), lambda at: engine.reader.event(at).body.data)
    law = periods(engine.log, uses)
    assert not unlawful(found, law)
    assert not law or found[len(found) - len(law[-1]) :] == law[-1], "all of the last period is told"
    return found


def test_a_transfer_is_told_as_it_was_applied_and_decided(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    engine.post([pay(10, LIMIT_MINOR), pay(2**127, LIMIT_MINOR + 1, BERT, TILL)])
    clock.now_ms += 5
    assert engine.metrics()["ledger_posted_lag"] == 2
    assert engine.tell_posted() == 2
    assert engine.metrics()["ledger_posted_lag"] == 0
    first, second_ = told(engine)
    assert first == {
        "transfer": f"{10:032x}", "debit": f"{BANK:032x}", "credit": f"{ANNA:032x}",
        "credit_owner": f"{0xA11A:032x}", "kind": "move", "amount_minor": LIMIT_MINOR, "asset": 978, "code": 5,
        "debit_code": 100, "credit_code": 200, "debit_entity": 7, "credit_entity": 0, "day": T0 // DAY_MS,
        "time_ms": T0, "applied_ms": T0, "offset": 5, "row": 4, "at": 7,
    }  # fmt: skip
    assert second_["transfer"] == "80000000000000000000000000000000"
    assert (second_["debit_owner"], second_["debit_entity"], second_["credit_code"]) == (f"{0xBE27:032x}", 7, 300)
    assert engine.ledger.book.transfer_of(2**127).row == second_["row"]
    outcomes = [(engine.decision(one["at"] + 1)["outcome"], one["amount_minor"]) for one in (first, second_)]
    assert outcomes == [("approve", LIMIT_MINOR), ("review", LIMIT_MINOR + 1)]
    assert engine.decision(second_["at"] + 1)["event"]["client"] == TELLER
    assert engine.state.told == Told(4, second_["offset"], second_["row"] + 1)
    assert len(same_as_twin(engine)) == 2
    engine.close()


KINDS = [
    # name, requests, kinds and amounts that are told of them
    ("move", [pay(10, 70)], [("move", 70)]),
    ("hold", [pay(10, 70, flags=TransferFlag.HOLD)], [("hold", 70)]),
    ("post a part", [pay(10, 70, flags=TransferFlag.HOLD), Transfer(11, amount_minor=50, flags=TransferFlag.POST,
                                                                    reference=10)], [("hold", 70), ("post", 50)]),
    ("void", [pay(10, 70, flags=TransferFlag.HOLD), Transfer(11, amount_minor=ALL, flags=TransferFlag.VOID,
                                                             reference=10)], [("hold", 70), ("void", 70)]),
    ("reversal", [pay(10, 70), Transfer(11, amount_minor=30, flags=TransferFlag.REVERSAL, reference=10)],
     [("move", 70), ("reversal", 30)]),
    ("balancing", [pay(10, 70, flags=TransferFlag.BALANCING_DEBIT)], []),
    ("refused", [pay(10, 70, 99)], []),
    ("burnt", [pay(10, 70, 99, flags=TransferFlag.BURN)], []),
    ("asked again", [pay(10, 70), pay(10, 70)], [("move", 70)]),
    ("chain", [pay(10, 70, flags=TransferFlag.LINKED), pay(11, 1)], [("move", 70), ("move", 1)]),
    ("broken chain", [pay(10, 70, flags=TransferFlag.LINKED), pay(11, 1, 99)], []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "expected"), KINDS, ids=[name for name, *_ in KINDS])
def test_what_is_told_of_each_kind(tmp_path, name, asked, expected):
    engine = bank(tmp_path)
    engine.post(asked)
    engine.tell_posted()
    assert [(one["kind"], one["amount_minor"]) for one in told(engine)] == expected
    for one in told(engine):
        wanted = f"{10:032x}" if one["kind"] in ("post", "void", "reversal") else None
        assert one.get("reference") == wanted
    same_as_twin(engine)
    engine.close()


def test_the_kinds_are_the_choices_of_the_declaration():
    declared = platform().events[LEDGER_POSTED]
    kinds = [kind_of(0), *(kind_of(flag | TransferFlag.IMPORTED) for flag in (2, 4, 8, 16))]
    assert tuple(kinds) == declared.fields["kind"].choices
    assert (declared.client, declared.subject, declared.time) == (TELLER, "", "time_ms")
    assert all(field.title["en"] and field.title["zh"] for field in declared.fields.values())
    assert {field.data_class for field in declared.fields.values()} == {"financial", "internal"}


def test_a_hold_whose_time_is_out_is_not_told_its_event_said_when(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    forever = TIME_TOLD_MAX_MS - T0
    engine.post([
        pay(10, 70, flags=TransferFlag.HOLD, timeout_ms=1_000), pay(11, 70, flags=TransferFlag.HOLD),
        pay(12, 70, flags=TransferFlag.HOLD, timeout_ms=forever),
        pay(13, 70, flags=TransferFlag.HOLD, timeout_ms=forever + 1),
    ])  # fmt: skip
    clock.now_ms += 1_000
    assert engine.expire() == 1
    assert engine.tell_posted() == 4
    assert [one.get("expires_ms") for one in told(engine)] == [T0 + 1_000, None, TIME_TOLD_MAX_MS, None]
    assert (engine.tell_posted(), engine.metrics()["ledger_posted_lag"]) == (0, 0)
    same_as_twin(engine)
    engine.close()


def test_the_largest_numbers_are_told_and_none_is_rejected(tmp_path):
    engine = bank(tmp_path)
    engine.open_accounts([
        Account(ID_MAX - 1, 2**32 - 1, 65_535, AccountFlag.IMPORTED, owner=ID_MAX, entity=2**32 - 1, opened_ms=1),
        Account(ID_MAX - 2, 2**32 - 1, 65_535, AccountFlag.IMPORTED, owner=ID_MAX, entity=2**32 - 1, opened_ms=1),
    ])  # fmt: skip
    edges = {"code": 65_535, "flags": TransferFlag.IMPORTED, "value_ms": 1}
    amounts = [1, AMOUNT_TOLD_MAX - 1, AMOUNT_TOLD_MAX, AMOUNT_TOLD_MAX + 1]
    asked = [
        Transfer(ID_MAX - 1 - number, ID_MAX - 1, ID_MAX - 2, amount, **edges) for number, amount in enumerate(amounts)
    ]
    # Each on a day's limit of its own: a day takes no more than 2^63 - 1.
    assert [one.outcome for one in engine.post(asked[:2])] == [TransferOutcome.APPLIED] * 2
    engine.writer.clock.now_ms += DAY_MS
    engine.post(asked[2:3])
    engine.writer.clock.now_ms += DAY_MS
    engine.post(asked[3:])
    engine.writer.clock.now_ms += DAY_MS
    engine.post([Transfer(7, ID_MAX - 1, ID_MAX - 2, AMOUNT_MAX, **edges)])
    assert engine.tell_posted() == 5
    told_amounts = [*amounts[:3], AMOUNT_TOLD_MAX, AMOUNT_TOLD_MAX]
    assert [one["amount_minor"] for one in told(engine)] == told_amounts
    assert [one["time_ms"] for one in told(engine)] == [1] * 5
    assert engine.state.rejected == 0
    same_as_twin(engine)
    engine.close()


def test_nothing_is_told_where_no_pack_uses_it(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs())
    engine.open_accounts(ACCOUNTS)
    engine.post([pay(10, 5)])
    assert (engine.teller.waits, engine.teller.requests(), engine.tell_posted()) == (False, [], 0)
    assert LEDGER_POSTED not in engine.state.program.codes
    assert engine.metrics()["ledger_posted_lag"] == 0
    [reply] = engine.submit([Request(TELLER, "5", LEDGER_POSTED, b"{}")])
    assert "no active pack declares this event type" in reply.error
    engine.close()


def test_telling_begins_behind_the_activation_and_ends_with_the_last_use(tmp_path):
    engine = bank(tmp_path, None, *packs())
    engine.post([pay(10, 1)])
    engine.activate([watch()])
    since = engine.state.told
    assert (since.since, since.offset, since.facts) == (engine.log.head - 1, engine.log.head - 1, 5)
    assert engine.tell_posted() == 0
    engine.post([pay(11, 2)])
    engine.activate([second()])  # Of no concern to it.
    engine.post([pay(12, 3)])
    assert engine.tell_posted() == 2
    assert [one["amount_minor"] for one in told(engine)] == [2, 3]
    engine.post([pay(13, 4)])  # Waits when its only user goes over to another event: it is never told.
    engine.activate([unused()])
    assert (engine.state.told, engine.tell_posted(), engine.metrics()["ledger_posted_lag"]) == (Told(), 0, 0)
    engine.post([pay(14, 5)])
    engine.activate([watch()])
    engine.post([pay(15, 6)])
    assert engine.tell_posted() == 1
    assert [one["amount_minor"] for one in told(engine)] == [2, 3, 6]
    same_as_twin(engine)
    again = recovery.rebuild(engine.log, engine.content, None)
    assert (again.told, again.digest()) == (engine.state.told, engine.state.digest())
    engine.close()


def test_a_restart_goes_on_behind_what_is_durable(tmp_path):
    engine = bank(tmp_path)
    engine.post([pay(id, id) for id in range(10, 20)])
    requests = engine.teller.requests()
    engine.submit(requests[:4])  # As if the process had died behind a group that held four of them.
    engine.close()
    engine = bank(tmp_path)
    assert engine.state.told.facts == 8
    assert engine.metrics()["ledger_posted_lag"] == 6
    engine.post([pay(20, 20)])
    assert engine.tell_posted() == 7
    engine.close()
    assert write_snapshot(tmp_path / "data").written
    engine = bank(tmp_path)
    assert engine.tell_posted() == 0
    engine.post([pay(21, 21)])
    assert engine.tell_posted() == 1
    assert [one["amount_minor"] for one in told(engine)] == list(range(10, 22))
    same_as_twin(engine)
    engine.close()


def test_a_repeat_of_an_event_is_answered_and_recorded_once(tmp_path):
    engine = bank(tmp_path)
    engine.post([pay(10, 5)])
    requests = engine.teller.requests()
    [first] = engine.submit(requests)
    [again] = engine.submit(requests)
    assert (first.status, again.status, first.offset) == ("decided", "repeated", again.offset)
    assert len(told(engine)) == 1
    engine.close()


def test_nobody_else_may_send_the_event_and_no_token_has_the_name(tmp_path):
    engine = bank(tmp_path)
    engine.post([pay(10, 5)])
    [request] = engine.teller.requests()
    forged = msgspec.structs.replace(request, client="web")
    [reply] = engine.submit([forged])
    assert reply.status == "rejected"
    assert "the platform alone sends events of this type" in reply.error
    assert "was 'ledger.posted' of the client 'web'; allowed: the client 'quanheng.ledger'" in reply.error
    assert engine.dry_run([forged])[0].status == "rejected"
    assert engine.state.told.offset == 4
    with pytest.raises(ConfigurationError, match="names that begin like this are those of the platform's own parts"):
        engine.issue_token(TELLER, ["ingest"])
    assert engine.submit([request])[0].status == "decided"
    engine.close()


def test_a_dry_run_leaves_telling_where_it_is(tmp_path):
    engine = bank(tmp_path)
    engine.post([pay(10, 5)])
    [request] = engine.teller.requests()
    before, digest = engine.state.told, engine.state.digest()
    assert engine.dry_run([request])[0].outcome == "approve"
    assert (engine.state.told, engine.state.digest()) == (before, digest)
    engine.close()


def test_two_packs_are_told_once_and_the_more_severe_wins(tmp_path):
    wary = watch("wary", ("policies/watch.dmn", "amount_minor &gt; 1000000", "amount_minor &gt; 100"))
    engine = bank(tmp_path, None, watch(), wary)
    engine.post([pay(10, 101), pay(11, 100)])
    assert engine.tell_posted() == 2
    shown = [engine.decision(one["at"] + 1) for one in told(engine)]
    assert [one["outcome"] for one in shown] == ["review", "approve"]
    assert sorted(one["flow"] for one in shown[0]["opinions"]) == ["wary.watch", "watch.watch"]
    assert {"watch.received_1d", "wary.received_1d"} <= shown[0]["features"].keys()
    engine.close()


def caused(engine: Engine, transfers: list[Transfer], cause: int) -> None:
    """Post as a decision does that asks for transfers: their records name it."""
    state, writer = engine.state, engine.writer
    since, pending = state.ledger.facts_n, Pending(state.head, writer.stamp(), [], [], [], None)
    day = engine.writer.days.day_of(pending.received_ms)
    state.ledger.transfer(transfers, pending.received_ms, max(day, state.ledger.day))
    facts = state.ledger.facts(since)
    state.head += len(facts)
    writer.commit(pending._replace(more=records_of(facts, cause)))


def test_what_a_decision_on_a_told_transfer_moved_is_not_told_again(tmp_path):
    engine = bank(tmp_path, None, *packs(), watch())
    [reply] = engine.submit([ask("a")])
    caused(engine, [pay(10, 1)], reply.decision)  # A payment that was decided: it is told.
    caused(engine, [pay(11, 2)], reply.offset)
    assert engine.tell_posted() == 2
    on_told = told(engine)[-1]["at"] + 1
    assert engine.log.record(on_told).kind == DECISION
    caused(engine, [pay(12, 3), pay(13, 4)], on_told)
    caused(engine, [pay(14, 5)], on_told - 1)  # By the event itself, which is no decision.
    engine.post([pay(15, 6)])
    assert engine.tell_posted() == 2
    assert [one["amount_minor"] for one in told(engine)] == [1, 2, 5, 6]
    assert engine.metrics()["ledger_posted_passed_over"] == 2
    same_as_twin(engine)
    engine.close()
    engine = bank(tmp_path)
    assert engine.tell_posted() == 0
    engine.close()


def test_a_cause_in_the_batch_of_its_transfers_is_found_there(tmp_path):
    """As decisions that ask for transfers are recorded: event, decision and transfer in one append."""
    engine = bank(tmp_path)
    engine.post([pay(10, 1)])
    pending = engine.prepare(engine.teller.requests())
    decision = pending.first + 1
    ledger, since = engine.state.ledger, engine.state.ledger.facts_n
    ledger.transfer([pay(11, 2), pay(12, 3)], pending.received_ms, ledger.day)
    facts = ledger.facts(since)
    engine.state.head += len(facts)
    engine.commit(pending._replace(more=records_of(facts[:1], decision) + records_of(facts[1:])))
    assert engine.tell_posted() == 1
    assert [one["amount_minor"] for one in told(engine)] == [1, 3]
    assert engine.metrics()["ledger_posted_passed_over"] == 1
    same_as_twin(engine)
    engine.close()


def test_a_cause_of_another_event_in_the_batch_keeps_nothing_back(tmp_path):
    engine = bank(tmp_path, None, *packs(), watch())
    pending = engine.prepare([ask("a")])
    ledger, since = engine.state.ledger, engine.state.ledger.facts_n
    ledger.transfer([pay(11, 2)], pending.received_ms, ledger.day)
    engine.state.head += 1
    engine.commit(pending._replace(more=records_of(ledger.facts(since), pending.first + 1)))
    assert engine.log.record(pending.first + 1).kind == DECISION
    assert engine.tell_posted() == 1
    same_as_twin(engine)
    engine.close()


def test_groups_are_bounded_and_slices_read_on(tmp_path, monkeypatch):
    monkeypatch.setattr(telling, "READ_RECORDS", 7)
    engine = bank(tmp_path)
    for first in range(0, 3_000, 500):
        engine.post([pay(10_000 + first + number, 1 + number) for number in range(500)])
        engine.open_accounts([Account(9_000_000 + first, 978, 1)])
        engine.submit([])
    assert len(engine.teller.requests(beside=True)) == telling.BESIDE_MAX
    assert engine.metrics()["ledger_posted_lag"] == 3_006 - telling.BESIDE_MAX
    engine.close()
    engine = bank(tmp_path)
    sizes = []
    while engine.teller.waits:
        requests = engine.teller.requests()
        sizes.append(len(requests))
        engine.submit(requests)
    assert sum(sizes) == 3_000
    assert max(sizes) <= telling.GROUP_MAX
    assert engine.metrics()["ledger_posted_lag"] == 0
    assert len(same_as_twin(engine)) == 3_000
    engine.close()


def test_transfers_that_share_an_append_with_events_are_told_too(tmp_path):
    engine = bank(tmp_path, None, *packs(), watch())
    pending = engine.prepare([ask("a"), ask("b", "nonsense"), ask("c")])
    work = transfers_of(wire.encode_transfers([pay(10, 7), pay(11, 8)]))
    engine.commit(engine.ledger.prepare([work], pending).pending)
    assert engine.tell_posted() == 2
    assert [one["amount_minor"] for one in told(engine)] == [7, 8]
    same_as_twin(engine)
    engine.close()


def test_what_is_not_durable_yet_is_not_told(tmp_path):
    engine = bank(tmp_path)
    with ThreadPoolExecutor(1) as committer:
        prepared = engine.ledger.prepare([transfers_of(wire.encode_transfers([pay(10, 7)]))])
        assert (engine.teller.waits, engine.teller.requests()) == (False, [])
        assert engine.metrics()["ledger_posted_lag"] == 1
        committer.submit(engine.commit, prepared.pending).result()
    assert engine.tell_posted() == 1
    engine.close()


def test_received_in_a_day_is_what_plain_computation_says_and_replay_is_the_same(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    hold, post, void = TransferFlag.HOLD, TransferFlag.POST, TransferFlag.VOID
    for number in range(60):
        clock.now_ms += 3_600_000
        asked = [pay(1_000 + number, 400_000, flags=hold if number % 5 == 0 else TransferFlag(0))]
        if number % 7 == 6:
            reference = 1_000 + number - number % 5
            asked = [Transfer(1_000 + number, amount_minor=3 if number % 2 else ALL,
                              flags=post if number % 2 else void, reference=reference)]  # fmt: skip
        engine.post(asked)
        if number % 3 == 0:
            engine.tell_posted()
    engine.tell_posted()
    events = told(engine)
    assert {one["kind"] for one in events} == {"move", "hold", "post", "void"}
    for one in events:
        window = [
            other["amount_minor"] for other in events
            if other["credit"] == one["credit"] and other["kind"] in ("move", "post")
            and one["time_ms"] - DAY_MS < other["time_ms"] <= one["time_ms"] and other["row"] <= one["row"]
        ]  # fmt: skip
        shown = engine.decision(one["at"] + 1)
        assert shown["features"]["watch.received_1d"] == sum(window)
        assert shown["outcome"] == ("review" if sum(window) > 3_000_000 else "approve")
    for one in events[::9]:
        assert replay(engine.reader, engine.snapshots, one["at"] + 1).same
    assert sum(engine.decision(one["at"] + 1)["outcome"] == "review" for one in events) > 10
    engine.close()


def test_the_erasure_of_a_customer_leaves_telling_and_its_decisions_readable(tmp_path):
    engine = bank(tmp_path, None, *packs(), watch())
    engine.submit([ask("a", customer="anna")])
    owner = int.from_bytes(engine.ring.pseudonym("party.customer", "anna"), "big")
    engine.open_accounts([Account(77, 978, 200, owner=owner)])
    engine.post([pay(10, 5, BANK, 77)])
    engine.tell_posted()
    engine.erase("party.customer", "anna")
    engine.post([pay(11, 6, BANK, 77)])
    assert engine.tell_posted() == 1
    assert [(one["amount_minor"], one["credit_owner"]) for one in told(engine)] == [
        (5, f"{owner:032x}"), (6, f"{owner:032x}"),
    ]  # fmt: skip
    decision = told(engine)[0]["at"] + 1
    assert engine.decision(decision)["outcome"] == "approve"
    assert replay(engine.reader, None, decision).same
    same_as_twin(engine)
    engine.close()


def test_accounts_that_change_are_told_as_they_were_opened(tmp_path):
    engine = bank(tmp_path)
    engine.post([pay(10, 5)])
    engine.amend_accounts([Amendment(ANNA, overdraft_minor=7)])
    engine.post([pay(11, 6)])
    engine.tell_posted()
    one, other = told(engine)
    alike = ("debit_owner", "credit_owner", "debit_code", "credit_code", "credit_entity")
    assert [one.get(name) for name in alike] == [other.get(name) for name in alike]
    engine.close()


def test_accounts_kept_in_memory_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("quanheng.ledger.posted.ACCOUNTS_KEPT_MAX", 2)
    engine = bank(tmp_path)
    engine.post([pay(10, 1, BANK, ANNA), pay(11, 2, BERT, TILL), pay(12, 3, BANK, TILL)])
    engine.tell_posted()
    assert len(same_as_twin(engine)) == 3
    engine.close()


def test_the_twin_finds_what_is_out_of_order_missing_twice_or_other():
    law = [[{"offset": 1}, {"offset": 2}, {"offset": 3}], [{"offset": 7, "row": 1}, {"offset": 8}]]
    for right in ([], law[0][:1], law[0][:2] + law[1], law[1][:1]):
        assert unlawful(right, law) == ""
    one, two, _ = law[0]
    for wrong in ([two], [one, one], [two, one], [one, {"offset": 4}], [{"offset": 7, "row": 2}], [*law[1], one]):
        assert unlawful(wrong, law)


def test_golden_cases_play_the_event_as_the_ledger_would(tmp_path):
    engine = bank(tmp_path, None, with_files(watch(), cases__large=CASE))
    assert LEDGER_POSTED in engine.state.program.codes
    wrong = with_files(watch(), cases__large=CASE.replace("1000001", "1000000"))
    with pytest.raises(DeclarationError, match="expected outcome review, was approve"):
        engine.activate([wrong])
    engine.close()


def test_a_backtest_judges_told_transfers_and_a_training_set_has_the_vectors_that_were_served(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    for number in range(40):
        clock.now_ms += 600_000
        engine.post([pay(100 + number, 50_000 * number, BANK, (ANNA, BERT)[number % 2])])
        engine.tell_posted()
    served = [engine.decision(one["at"] + 1) for one in told(engine)]
    assert len({one["outcome"] for one in served}) == 2
    settings = Settings("watch", Asked("active", None), Asked("recorded", None))
    assert run_backtest(engine, settings)["changed"] == 0
    place = tmp_path / "stricter"
    for name, data in watch("watch", ("policies/watch.dmn", "amount_minor &gt; 1000000", STRICT)).files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    settings = Settings("watch", Asked(str(place), None), Asked("recorded", None))
    changed = [one for one in told(engine) if 500_000 < one["amount_minor"] <= 1_000_000]
    changed = [one for one in changed if engine.decision(one["at"] + 1)["features"]["watch.received_1d"] <= 3_000_000]
    assert run_backtest(engine, settings)["changed"] == len(changed) > 3

    declared, _ = check_pack(watch(), {})
    pl.DataFrame({"event": [one["event"]["offset"] for one in served]}).write_parquet(tmp_path / "spine.parquet")
    source = LogEvents(engine.reader, declared.events, engine.state.program.codes)
    build = Build(
        declared, source, tmp_path / "spine.parquet", SpineColumns("", offset="event"), tmp_path / "out.parquet"
    )
    assert build.run(lambda *_: None).own == len(served)
    rows = pl.read_parquet(tmp_path / "out.parquet").to_dicts()
    assert [row["received_1d"] for row in rows] == [one["features"]["watch.received_1d"] for one in served]
    engine.close()


STRICT = "amount_minor &gt; 500000"


def run_backtest(engine: Engine, settings: Settings):
    return backtest(engine.reader, {"watch": watch()}, settings)
