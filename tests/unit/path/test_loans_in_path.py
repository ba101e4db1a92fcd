"""Loans that decisions open, serve and change: all or nothing with transfers, days closed first, a fold of the log."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.unit.path.lent import (
    DAY,
    T0,
    applied,
    business,
    loans,
    measured,
    number,
    opened,
    paid,
    served,
    topped_up,
)

from quanheng import recovery
from quanheng.advancing import MovedClock
from quanheng.engine import Engine
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError, LogCorrupt
from quanheng.kernel.log.records import DECISION, LOAN, Columns
from quanheng.kernel.time import DAY_MS
from quanheng.ledger.entries import AccountFlag, Amendment
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT, BookEvent
from quanheng.loans import Loans
from quanheng.replay import replay

CODE = "code                = 40"


def told(reply) -> list[tuple[str, str, int]]:
    return [(one.name.removeprefix("loans."), one.outcome, one.amount_minor) for one in reply.transfers]


def records(engine: Engine) -> np.ndarray:
    """What the log says happened to loans, as BOOK_EVENT[n]."""
    found = []
    for _, part in recovery.read_batches(engine.log, 0, engine.log.head):
        for row in np.flatnonzero(part.kind == LOAN).tolist() if isinstance(part, Columns) else ():
            record = part.record(row)
            loan = int.from_bytes(record.keys[0], "little")
            found.append((loan, *record.numbers, *([0] * (9 - len(record.numbers)))))
    return np.array(found, BOOK_EVENT)


def plainly(engine: Engine) -> LoanBook:
    """What a plain use of the book makes of the same events, each judged again."""
    events = records(engine)
    book = LoanBook(list(engine.state.loans.products.values()), int(events["day"][0]))
    for at, one in enumerate(events):
        if one["kind"] == BookEvent.DAY_CLOSED:
            assert book.day == one["day"]
            book.close()
        else:
            assert book.take(events[at : at + 1]).tolist() == [0]
    return book


def check(engine: Engine) -> None:
    """Control accounts are the sums over the loans; recovery gives the state; the log is one of a plain book."""
    assert engine.state.loans.differences(engine.state.ledger) == []
    full = recovery.rebuild(engine.log, engine.content, None)
    assert full.digest() == engine.state.digest()
    assert full.loans.book is not None
    assert full.loans.book.digest() == plainly(engine).digest()


def replayed(engine: Engine) -> int:
    """Replay every decision from the log alone; how many there are."""
    count = 0
    for start, part in recovery.read_batches(engine.log, 0, engine.log.head):
        for row in np.flatnonzero(part.kind == DECISION).tolist() if isinstance(part, Columns) else ():
            report = replay(engine.reader, None, start + row)
            assert report.same, report
            count += 1
    return count


def test_a_loan_is_opened_with_the_transfer_that_pays_it_out_or_not_at_all(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    first, again, look = engine.submit([applied("a", "c1"), applied("b", "c1", customer="bert"), served("s", "c1")])
    assert told(first) == [
        ("pay_out.principal", "APPLIED", 1_200_000), ("disburse", "APPLIED", 1_200_000), ("arrange", "APPLIED", 12_000)
    ]  # fmt: skip
    assert (again.status, again.outcome, again.reasons) == ("refused", "decline", ["ledger_refused"])
    assert told(again) == [
        ("pay_out.principal", "CHAIN_FAILED", 0), ("disburse", "LOAN_EXISTS", 0), ("arrange", "CHAIN_FAILED", 0)
    ]  # fmt: skip
    assert (look.outcome, look.transfers) == ("approve", ())
    assert measured(engine, "c1")["principal_minor"] == 1_200_000
    check(engine)


def test_where_the_ledger_refuses_the_loan_is_not_paid_and_what_is_asked_then_is_done(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.submit([applied("a", "c1")])
    (late,) = engine.submit([paid("p", "c1", 2_000_000)])
    assert (late.status, late.outcome) == ("refused", "review")
    assert told(late) == [("collect.principal", "BALANCE_IS_TOO_LOW", 0), ("pay", "CHAIN_FAILED", 0),
                          ("dun", "APPLIED", 500)]  # fmt: skip
    assert measured(engine, "c1")["fees_minor"] == 12_500
    check(engine)


def test_of_acts_that_go_together_none_is_done_where_one_is_refused(tmp_path: Path) -> None:
    accounts, flows = loans()[1].files["accounts.toml"].decode(), "pack.toml"
    arrange = accounts[accounts.index("[servicing.arrange]") : accounts.index("[servicing.pay]")]
    close = '[servicing.close]\nloan = "term(contract)"\nact = "recover"\namount_minor = "5"\n\n'
    case = loans()[1].files["cases/loans.toml"].decode()
    none = case[: case.index("[[case.event]]")] + case[case.rindex("[[case.event]]") :].partition("expect")[0]
    packs = loans(
        (flows, '"loan:arrange"', '"loan:close"'), ("accounts.toml", arrange, close),
        ("cases/loans.toml", case, f'{none}expect = {{outcome = "decline"}}'),
    )  # fmt: skip
    engine = opened(tmp_path, packs=packs)
    (one,) = engine.submit([applied("a", "c1")])
    assert told(one) == [("pay_out.principal", "CHAIN_FAILED", 0), ("disburse", "APPLIED", 1_200_000),
                         ("close", "LOAN_IS_NOT_WRITTEN_OFF", 0)]  # fmt: skip
    assert one.status == "refused"
    assert engine.state.loans.count == 0
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()


def test_days_are_closed_before_anything_of_a_group_looks_at_a_loan(tmp_path: Path) -> None:
    clock = MovedClock(T0)
    engine = opened(tmp_path, clock)
    engine.submit([applied("a", "c1"), topped_up("t", 500_000)])
    clock.now_ms += 40 * DAY_MS
    declined, pays, granted = engine.submit([
        applied("b", "c1"), paid("p", "c1", 115_280, paid_ms=T0 + 31 * DAY_MS), served("look", "c1")
    ])  # fmt: skip
    assert (declined.outcome, declined.reasons) == ("decline", ["owes_too_much"])
    assert told(pays) == [("collect.principal", "APPLIED", 115_280), ("pay", "APPLIED", 115_280)]
    assert granted.outcome == "approve"
    after = measured(engine, "c1")
    assert (after["days_past_due"], after["penalty_minor"], after["day"]) == (0, 0, DAY + 40)
    check(engine)
    assert replayed(engine) == 5


def test_a_group_of_nothing_closes_days_and_a_year_is_closed_at_once(tmp_path: Path) -> None:
    clock = MovedClock(T0)
    engine = opened(tmp_path, clock)
    engine.submit([applied("a", "c1")])
    clock.now_ms += 366 * DAY_MS
    assert engine.submit([]) == []
    assert engine.state.loans.book is not None
    assert engine.state.loans.book.day == DAY + 366
    assert (records(engine)["kind"] == BookEvent.DAY_CLOSED).sum() == 367  # The first says on which day the book began.
    head = engine.log.head
    engine.submit([])
    assert engine.log.head == head
    check(engine)


def test_a_book_begins_on_the_day_of_the_first_loan_that_is_asked_for(tmp_path: Path) -> None:
    clock = MovedClock(T0)
    engine = opened(tmp_path, clock)
    engine.submit([topped_up("t", 5), applied("x", "c1", periods=601)])
    clock.now_ms += 9 * DAY_MS
    head = engine.log.head
    engine.submit([served("s", "c1")])
    assert engine.log.head == head + 2  # No loan was opened, so there is no day to close.
    engine.submit([applied("a", "c1")])
    assert measured(engine, "c1")["day"] == DAY + 9
    check(engine)


def test_a_dry_run_says_what_would_be_and_leaves_no_trace(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    before, head = engine.state.digest(), engine.log.head
    (fresh,) = engine.dry_run([applied("a", "c1")])
    assert [one[1] for one in told(fresh)] == ["APPLIED"] * 3
    assert (engine.state.digest(), engine.log.head) == (before, head)
    engine.submit([applied("a", "c1")])
    before, head = engine.state.digest(), engine.log.head
    pays, again, off = engine.dry_run([paid("p", "c1", 7), applied("b", "c1"), served("s", "c1", "pay_off")])
    assert [told(one)[-1][1] for one in (pays, again, off)] == ["APPLIED", "CHAIN_FAILED", "APPLIED"]
    assert told(off) == [("pay_off", "APPLIED", 1_224_000)]  # With both fees, of one percent each.
    assert (engine.state.digest(), engine.log.head) == (before, head)


@pytest.mark.parametrize(("act", "more", "outcome"), [
    ("prepay", {"amount_minor": 300_000}, "APPLIED"), ("pay_off", {}, "APPLIED"), ("write_off", {}, "APPLIED"),
    ("recover", {"amount_minor": 5}, "LOAN_IS_NOT_WRITTEN_OFF"),
    ("refund", {"amount_minor": 5}, "REFUND_EXCEEDS_UNALLOCATED"), ("holiday", {"periods": 2}, "APPLIED"),
    ("stay", {"until_ms": T0 + 9 * DAY_MS}, "APPLIED"), ("stay", {"until_ms": T0}, "CHANGE_CANNOT_BE"),
    ("re_age", {}, "APPLIED"), ("re_amortise", {"periods": 24}, "APPLIED"), ("charge", {"amount_minor": 9}, "APPLIED"),
    ("charge", {"amount_minor": 9, "value_ms": T0 + DAY_MS}, "DAY_IS_IN_THE_FUTURE"),
    ("charge", {"amount_minor": 9, "value_ms": T0 - DAY_MS}, "DAY_IS_BEFORE_THE_LOAN"),
    ("charge", {}, "AMOUNT_IS_NULL"),
    ("holiday", {}, "TERM_IS_NULL"), ("holiday", {"periods": 601}, "TERM_DOES_NOT_FIT"),
])  # fmt: skip
def test_every_act_is_done_or_told_why_not(tmp_path: Path, act: str, more: dict, outcome: str) -> None:
    engine = opened(tmp_path)
    engine.submit([applied("a", "c1")])
    (one,) = engine.submit([served("s", "c1", act, **more)])
    assert [(name, why) for name, why, _ in told(one)] == [(act, outcome)]
    assert one.status == ("decided" if outcome == "APPLIED" else "refused")
    check(engine)


def test_a_snapshot_holds_the_book_and_its_products(tmp_path: Path) -> None:
    clock = MovedClock(T0)
    engine = opened(tmp_path, clock)
    engine.submit([applied("a", "c1"), paid("p", "c1", 5)])
    clock.now_ms += 50 * DAY_MS
    engine.submit([served("s", "c1")])
    digest, products = engine.state.digest(), engine.state.loans.products
    engine.close()
    write_snapshot(tmp_path / "data")
    engine = opened(tmp_path, clock)
    assert (engine.state.digest(), engine.state.loans.products) == (digest, products)
    engine.submit([paid("q", "c1", 5)])
    check(engine)


def test_terms_of_a_product_with_loans_stay_and_others_may_come(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.activate(loans(("accounts.toml", CODE, CODE.replace("40", "41"))))  # There is no loan yet.
    engine.submit([applied("a", "c1")])
    with pytest.raises(DeclarationError) as caught:
        engine.activate(loans(("accounts.toml", CODE, CODE.replace("40", "42"))))
    assert str(caught.value.problems[0]) == (
        "loans/accounts.toml: loan.term: the book holds loans of this product, so its terms stay; was code. "
        "Declare a product of another name; reference rates from days to come may be added."
    )
    same = ("accounts.toml", CODE, CODE.replace("40", "41"))
    text = loans()[1].files["accounts.toml"].decode()
    term = text[text.index("[loan.term]") : text.index("[servicing.disburse]")]
    more = term.replace("loan.term", "loan.short").replace("annuity", "bullet")
    engine.activate(loans(same, ("accounts.toml", "[servicing.disburse]", f"{more}[servicing.disburse]")))
    assert list(engine.state.loans.products) == ["loans.term", "loans.short"]
    engine.submit([paid("p", "c1", 5), applied("b", "c2")])
    check(engine)
    with pytest.raises(DeclarationError, match="the book holds loans of this product"):
        engine.activate(loans(("accounts.toml", "[loan.term", "[loan.other"), ("accounts.toml", "term(", "other(")))


def test_a_control_account_that_is_frozen_stops_the_close_and_can_be_thawed(tmp_path: Path) -> None:
    clock = MovedClock(T0)
    engine = opened(tmp_path, clock)
    engine.submit([applied("a", "c1")])
    clock.now_ms += 2 * DAY_MS
    engine.submit([served("s", "c1")])
    interest = engine.state.loans.products["loans.term"].accounts.interest
    engine.amend_accounts([Amendment(interest, int(AccountFlag.DEBITS_FROZEN))])
    clock.now_ms += DAY_MS
    with pytest.raises(LogCorrupt, match="the ledger refused a posting of the loans"):
        engine.submit([served("t", "c1")])
    engine.close()
    engine = opened(tmp_path, clock)
    engine.amend_accounts([Amendment(interest, 0)])
    engine.submit([served("t", "c1")])
    check(engine)


def test_days_and_groups_of_every_kind_recover_and_replay(tmp_path: Path) -> None:
    rng, clock, first = random.Random(7), MovedClock(T0), 1
    engine = opened(tmp_path, clock)
    for _ in range(12):
        count = rng.choice([1, 4, 20])
        engine.submit(business(rng, count, T0 + 40 * DAY_MS, first))
        first += count
        clock.now_ms += rng.choice([0, 3_600_000, DAY_MS, 17 * DAY_MS, 45 * DAY_MS])
    engine.submit([])
    check(engine)
    done = {BookEvent(kind) for kind in records(engine)["kind"].tolist()}
    assert {BookEvent.OPENED, BookEvent.PAY, BookEvent.CHARGE, BookEvent.DAY_CLOSED} < done
    assert replayed(engine) > 80
    assert engine.log.verify().ok


def test_loans_that_no_pack_declares_are_nothing() -> None:
    empty = Loans()
    assert (empty.count, empty.in_use(), empty.digest(), empty.differences(None)) == (0, {}, "", [])  # type: ignore[arg-type]
    assert not empty.is_behind(99_999)


def test_numbers_of_loans_are_of_their_product_and_contract(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.submit([applied("a", "c1"), applied("b", "c2")])
    found = records(engine)
    assert found["loan"][found["kind"] == BookEvent.OPENED].tolist() == [number(engine, "c1"), number(engine, "c2")]
    assert 0 < number(engine, "c1") < 2**63
