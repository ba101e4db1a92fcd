"""The ledger judges what decisions ask for, in their order; what it says becomes part of each decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from quanheng.events.intake import EventFact
from quanheng.facts import Ask, Asked, DecisionFact, FactColumns, Moved, after_ledger, is_there
from quanheng.ledger.balances import BalanceSource
from quanheng.ledger.entries import BATCH_MAX, Account, Answer, Transfer, chained
from quanheng.ledger.instruments.loan_book.events import LoanAsk
from quanheng.ledger.instruments.loan_book.measuring import LoanSource
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.loans import Loans, Served
from quanheng.meeting import naming, touched

if TYPE_CHECKING:
    from quanheng.state import State

_FAILED = Answer(TransferOutcome.CHAIN_FAILED)
Chain = Sequence[Transfer]
Judge = Callable[[Sequence[Account], Sequence[Chain]], tuple[int, list[list[Answer]]]]
"""Answers chains, each whole or not at all; or one, with the accounts that are opened for it. How many accounts were
opened, and the answers."""


class Transferred(NamedTuple):
    """Decisions as they became, and how many facts of the ledger belong to each, in order.

    loans : events of the loan book of those that have some, by place: BOOK_EVENT[n]
    """

    decisions: list[DecisionFact | None]
    facts: list[int]
    loans: dict[int, np.ndarray]


class _Judged(NamedTuple):
    """What became of what one decision asked for: facts of the ledger, transfers and acts, events of the loan book."""

    facts: int
    moved: list[Moved]
    events: list[np.ndarray] = []


def runs(state: State, events: Sequence[EventFact], columns: FactColumns) -> Iterator[slice]:
    """Cut a group into runs that may be decided together: none of its events looks at an account, or meets an instance
    of a process, that an event before it in the run may touch. To be taken through the path one by one: a run is cut by
    what those before it left.
    """
    program, ledger, keys = state.program, state.ledger, columns.keys
    known = [one for one in state.sources if isinstance(one, BalanceSource | LoanSource)] if program.asks else []
    looking = [one for one in known if isinstance(one, BalanceSource)]
    on_loans = [one for one in known if isinstance(one, LoanSource)]
    asking = {code: program.postings(code) for code in program.flows} if known else {}
    first, accounts, loans, instances = 0, set[int](), set[int](), set[tuple[int, bytes]]()
    for at in range(len(events)) if known else np.flatnonzero(naming(program, columns)).tolist():
        event = events[at]
        moved = touched(program, event, keys[at])
        looked = (one.accounts(event.code, keys[at]) for one in looking if accounts)
        looks = any(not accounts.isdisjoint(one) for one in looked)
        looked_at = (one.loans(event.code, keys[at]) for one in on_loans if loans)
        looks = looks or any(not loans.isdisjoint(one) for one in looked_at)
        if looks or (moved and not instances.isdisjoint(moved)):
            yield slice(first, at)
            first, accounts, loans, instances = at, set(), set(), set()
        instances.update(moved)
        for postings in asking.get(event.code, ()):
            row = postings.row(keys[at], event.request_key)
            accounts |= postings.accounts(row, ledger)
            loans |= postings.loans(row)
    yield slice(first, len(events))


def transfer(state: State, decisions: Sequence[DecisionFact | None], now_ms: int, day: int) -> Transferred:
    """Ask ledger and loan book for what decisions ask for: chains of one event after those of the event before it.

    Chains go to the ledger together until one needs an account to be opened: facts keep the order of their events.

    Parameters
    ----------
    state : its ledger and its loans are changed
    decisions : of a run of events (`runs`)
    """
    ledger, loans = state.ledger, state.loans

    def judge(accounts: Sequence[Account], chains: Sequence[Chain]) -> tuple[int, list[list[Answer]]]:
        if not accounts:
            return 0, _answers(ledger, chains, now_ms, day)
        (chain,) = chains
        done = ledger.open_and_transfer(accounts, chain, now_ms, day)
        return sum(one is AccountOutcome.APPLIED for one in done.accounts), [done.transfers or [_FAILED] * len(chain)]

    made, facts, served = list(decisions), [0] * len(decisions), dict[int, np.ndarray]()
    asking = {row: one for row, one in enumerate(decisions) if one is not None and one.asked is not None}
    serving = _Serving(lambda asks: loans.would(asks, day), lambda asks: loans.take(asks, day))
    answers = _judged([one.asked for one in asking.values() if one.asked is not None], ledger, judge, serving)
    for (row, one), (facts_n, moved, events) in zip(asking.items(), answers, strict=True):
        made[row], facts[row] = after_ledger(state.program, one, moved, day), facts_n
        if events:
            served[row] = np.concatenate(events)
    return Transferred(made, facts, served)


def would_transfer(state: State, decision: DecisionFact, day: int) -> DecisionFact:
    """What `transfer` would make of a decision now, with nothing changed.

    Holds whose time is out and that nobody has ended yet still stand, and so do days of loans that nobody has closed.
    """
    ledger, loans = state.ledger, state.loans
    if decision.asked is None:
        return decision

    def judge(accounts: Sequence[Account], chains: Sequence[Chain]) -> tuple[int, list[list[Answer]]]:
        return 0, [ledger.would(accounts, chain) for chain in chains]

    serving = _Serving(lambda asks: loans.would(asks, day), lambda asks: Served(loans.would(asks, day)))
    (judged,) = _judged([decision.asked], ledger, judge, serving)
    return after_ledger(state.program, decision, judged.moved, ledger.day)


class _Serving(NamedTuple):
    """The loan book: what acts would become, with nothing changed; and what they become, all of them or none."""

    would: Callable[[Sequence[LoanAsk]], list[Moved]]
    take: Callable[[Sequence[LoanAsk]], Served]


def _judged(asked: Sequence[Asked], ledger: Ledger, judge: Judge, serving: _Serving) -> list[_Judged]:
    """What became of what each asks for."""
    judged: list[_Judged] = []
    waiting: list[Sequence[Ask]] = []

    def flush(accounts: Sequence[Account] = ()) -> None:
        if waiting:
            opened, answers = judge(accounts, [chained([ask.transfer for ask in asks]) for asks in waiting])
            for asks, found in zip(waiting, answers, strict=True):
                moved = [_moved(ask, answer) for ask, answer in zip(asks, found, strict=True)]
                judged.append(_Judged(opened + sum(map(_is_new, moved)), moved))
            waiting.clear()

    for one in asked:
        if one.loans:
            flush()
            judged.append(_with_loans(one, ledger, judge, serving))
        elif any(ask.unasked for ask in one.transfers):
            flush()
            judged.append(_Judged(0, [_unasked(ask) for ask in one.transfers]))
        elif accounts := _missing(ledger, one.transfers):
            flush()
            waiting.append(one.transfers)
            flush(accounts)
        else:
            waiting.append(one.transfers)
        if one.refused or one.loans_refused:
            flush()
            facts, moved, events = judged[-1]
            if not all(map(is_there, moved)):
                instead = Asked(one.refused, (), one.outcome, one.loans_refused)
                (more,) = _judged([instead], ledger, judge, serving)
                judged[-1] = _Judged(facts + more.facts, moved + more.moved, events + more.events)
    flush()
    return judged


def _with_loans(one: Asked, ledger: Ledger, judge: Judge, serving: _Serving) -> _Judged:
    """Acts on loans, with the transfers that go with them: the book is asked first what it would say, and does it when
    the ledger has done its part.
    """
    if any(ask.unasked for ask in one.transfers) or any(ask.unasked for ask in one.loans):
        return _Judged(0, [*map(_unasked, one.transfers), *map(Loans.not_tried, one.loans)])
    before = _Judged(0, [])
    if one.transfers:
        tried = serving.would(one.loans)
        if not all(map(is_there, tried)):
            return _Judged(0, [*map(_unasked, one.transfers), *tried])
        (before,) = _judged([Asked(one.transfers, (), one.outcome)], ledger, judge, serving)
        if not all(map(is_there, before.moved)):
            return _Judged(before.facts, [*before.moved, *map(Loans.not_tried, one.loans)])
    served = serving.take(one.loans)
    return _Judged(before.facts, before.moved + served.moved, [served.events] if len(served.events) else [])


def _answers(ledger: Ledger, chains: Sequence[Chain], now_ms: int, day: int) -> list[list[Answer]]:
    """Answers of chains, in as few batches as they fit into."""
    answers: list[list[Answer]] = []
    for batch in _batches(chains):
        flat = iter(ledger.transfer([one for chain in batch for one in chain], now_ms, day))
        answers += [[next(flat) for _ in chain] for chain in batch]
    return answers


def _batches(chains: Sequence[Chain]) -> Iterable[list[Chain]]:
    batch: list[Chain] = []
    room = BATCH_MAX
    for chain in chains:
        if len(chain) > room:
            yield batch
            batch, room = [], BATCH_MAX
        batch.append(chain)
        room -= len(chain)
    yield batch


def _missing(ledger: Ledger, asks: Sequence[Ask]) -> list[Account]:
    """Accounts that are not open, each once."""
    named = {account.id: account for ask in asks for account in ask.accounts}
    return [account for id, account in named.items() if not ledger.is_open(id)]


def _moved(ask: Ask, answer: Answer) -> Moved:
    return Moved(ask.name, ask.transfer.id.to_bytes(16, "little"), answer.outcome.name, answer.amount_minor)


def _unasked(ask: Ask) -> Moved:
    outcome = ask.unasked or TransferOutcome.CHAIN_FAILED.name
    return Moved(ask.name, ask.transfer.id.to_bytes(16, "little"), outcome)


def _is_new(moved: Moved) -> bool:
    return moved.outcome == TransferOutcome.APPLIED.name
