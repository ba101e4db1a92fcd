"""A day at a lender: loans with a past, payments on time, late and early, fees, write-offs, recoveries, payoffs."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.observed import Observed
from quanheng.ledger.instruments.instrument import LedgerLike, part_id, perform
from quanheng.ledger.instruments.loan.actions import (
    Accrue,
    Charge,
    Effect,
    Originate,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
)
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.fold import LoanBooks
from quanheng.ledger.instruments.loan.loans import DAY_MS, Loans
from quanheng.ledger.instruments.loan.terms import Grace, Kind, LenderBooks, Method, Penalty, ReferenceRate, Terms

ASSET, CODE = 400, 400
LOANS, ACTIONS, AGE_DAYS = 24, 160, 500
FUNDS_MINOR = 10**9
_NAMES = "interest_income", "penalty_income", "fee_income", "rounding", "loss", "recovery_income", "written_off_contra"


def account_of(seed: int, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"loans {name}")


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of loans on a ledger; the same seed plays the same day. `start_ms` is at least 500 days."""
    rng, observed, loans = random.Random(seed), Observed(ledger), Loans()
    _open(observed, seed, start_ms, day)
    applied = refused = 0
    asked: list[Any] = []
    done: list[Any] = []
    now_ms = start_ms
    for number in range(LOANS + ACTIONS):
        now_ms += rng.randrange(60_000)
        if asked and rng.random() < 0.05:
            action = rng.choice(asked)
        elif number < LOANS:
            action = _originate(rng, seed, number, now_ms // DAY_MS)
        else:
            action = _action(rng, seed, number, loans, now_ms // DAY_MS)
        asked.append(action)
        fresh = action.id not in loans.done
        performed = perform(observed, loans, action, now_ms, day)
        applied, refused = applied + performed.applied, refused + (not performed.applied)
        if performed.applied and fresh:
            done.append(action)
    again = Loans()
    for action in done:
        again.apply(action, now_ms)
    checked = _laws(observed, loans, seed) | {"replay gives the same state": again.digest() == loans.digest()}
    return Played("loan", len(asked), applied, refused, observed.applied, checked, _figures(observed, loans, seed))


def _open(observed: Observed, seed: int, now_ms: int, day: int) -> None:
    free = [account_of(seed, name) for name in ("bank", *_NAMES)]
    bound = [account_of(seed, f"borrower {number}") for number in range(LOANS)]
    accounts = [Account(id, ASSET, CODE) for id in free]
    accounts += [Account(id, ASSET, CODE, int(AccountFlag.DEBITS_BOUND)) for id in bound]
    observed.open_accounts(accounts, now_ms, day)
    funds = [Transfer(part_id(id, "funds"), free[0], id, FUNDS_MINOR, CODE) for id in bound]
    observed.transfer(funds, now_ms, day)


def _originate(rng: random.Random, seed: int, number: int, today: int) -> Originate:
    first = today - rng.randrange(30, AGE_DAYS)
    method = rng.choice(list(Method))
    prime = ReferenceRate(first - 10, Decimal("0.0345")), ReferenceRate(first + 100, Decimal("0.0335"))
    terms = Terms(
        lender=account_of(seed, "lender"),
        borrower=Party(account_of(seed, f"owner {number}"), account_of(seed, f"borrower {number}")),
        books=LenderBooks(*(account_of(seed, name) for name in _NAMES)),
        asset=ASSET, code=CODE, principal_minor=rng.randrange(10_000, 5_000_000),
        rate=Decimal(rng.randrange(200, 900)) / 10_000, first_day=first, periods=rng.choice((6, 12, 24)),
        day_count=rng.choice(list(DayCount)), method=method,
        grace_periods=rng.choice((0, 0, 3)) if method != Method.BULLET else 0, grace=rng.choice(list(Grace)),
        penalty=Penalty(Decimal("1.5"), Decimal("0.02"), prime, on_interest=True, grace_days=3),
        billing_rounding="ROUND_DOWN", prepayment_fee_rate=Decimal("0.01"),
    )  # fmt: skip
    return Originate(account_of(seed, f"loan {number}"), terms.lender, terms)


def _action(rng: random.Random, seed: int, number: int, loans: Loans, today: int) -> Any:
    loan = rng.choice(list(loans.loans))
    state, id = loans.loans[loan], account_of(seed, f"action {number}")
    terms = state.terms
    owner, lender, newest = terms.borrower.owner, terms.lender, state.newest
    early, late = rng.randint(terms.first_day, today), rng.randint(newest, today)
    amount = rng.randint(1, 2 * terms.principal_minor // terms.periods)
    roll = rng.random()
    if roll < 0.55:
        return Pay(id, owner, loan, early, amount)
    if roll < 0.7:
        return Prepay(id, owner, loan, early, amount, rng.choice(list(Effect)))
    if roll < 0.78:
        return Charge(id, lender, loan, early, rng.randint(1, 5_000))
    if roll < 0.86:
        return PayOff(id, owner, loan, late, loans.payoff_quote(loan, late).amount_minor + rng.choice((0, 0, 9, -1)))
    if roll < 0.9:
        return Refund(id, lender, loan, late, rng.choice((9, amount)))
    if roll < 0.94:
        return Recover(id, owner, loan, late, amount)
    return WriteOff(id, lender, loan, late) if roll < 0.97 else Accrue(id, lender, loan, late)


def _laws(observed: Observed, loans: Loans, seed: int) -> dict[str, bool]:
    owed = {loan: loans.owed(loan, state.newest) for loan, state in loans.loans.items()}
    nets = {loan: [observed.net_minor(id) for id in LoanBooks.of(loan)] for loan in owed}
    told = {
        loan: [*(getattr(one, f"{kind.value}_minor") for kind in Kind), -one.unallocated_minor, one.written_off_minor]
        for loan, one in owed.items()
    }
    every = sum(observed.net_minor(id) for id in observed.accounts)
    written = sum(one.written_off_minor for one in owed.values())
    return {
        "debits equal credits": every == 0,
        "the accounts hold what the loans say is owed": nets == told,
        "what was written off and not recovered is on record": (
            -observed.net_minor(account_of(seed, "written_off_contra")) == written
        ),
        "nothing is owed below zero": all(min(one) >= 0 for one in owed.values()),
    }


def _figures(observed: Observed, loans: Loans, seed: int) -> dict[str, int]:
    owed = [loans.owed(loan, state.newest) for loan, state in loans.loans.items()]
    incomes = {name: -observed.net_minor(account_of(seed, name)) for name in _NAMES}
    return {
        "loans": len(loans.loans),
        "lent_minor": sum(state.terms.principal_minor for state in loans.loans.values()),
        "principal_minor": sum(one.principal_minor for one in owed),
        "interest_income_minor": incomes["interest_income"],
        "penalty_income_minor": incomes["penalty_income"],
        "fee_income_minor": incomes["fee_income"],
        "rounding_minor": incomes["rounding"],
        "loss_minor": -incomes["loss"],
    }
