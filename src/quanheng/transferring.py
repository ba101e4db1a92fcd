"""The ledger judges what decisions ask for, in their order; what it says becomes part of each decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from quanheng.events.intake import EventFact
from quanheng.facts import Ask, Asked, DecisionFact, FactColumns, Moved, after_ledger, is_there
from quanheng.ledger.balances import BalanceSource
from quanheng.ledger.entries import BATCH_MAX, Account, Answer, Transfer, chained
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.meeting import naming, touched

if TYPE_CHECKING:
    from quanheng.program import Program
    from quanheng.state import State

_FAILED = Answer(TransferOutcome.CHAIN_FAILED)
Chain = Sequence[Transfer]
Judge = Callable[[Sequence[Account], Sequence[Chain]], tuple[int, list[list[Answer]]]]
"""Answers chains, each whole or not at all; or one, with the accounts that are opened for it. How many accounts were
opened, and the answers."""


class Transferred(NamedTuple):
    """Decisions as they became, and how many facts of the ledger belong to each, in order."""

    decisions: list[DecisionFact | None]
    facts: list[int]


def runs(state: State, events: Sequence[EventFact], columns: FactColumns) -> Iterator[slice]:
    """Cut a group into runs that may be decided together: none of its events looks at an account, or meets an instance
    of a process, that an event before it in the run may touch. To be taken through the path one by one: a run is cut by
    what those before it left.
    """
    program, ledger, keys = state.program, state.ledger, columns.keys
    looking = [one for one in state.sources if isinstance(one, BalanceSource)] if program.asks else []
    asking = {code: program.postings(code) for code in program.flows} if looking else {}
    first, accounts, instances = 0, set[int](), set[tuple[int, bytes]]()
    for at in range(len(events)) if looking else np.flatnonzero(naming(program, columns)).tolist():
        event = events[at]
        moved = touched(program, event, keys[at])
        looked = (one.accounts(event.code, keys[at]) for one in looking if accounts)
        looks = any(not accounts.isdisjoint(one) for one in looked)
        if looks or (moved and not instances.isdisjoint(moved)):
            yield slice(first, at)
            first, accounts, instances = at, set(), set()
        instances.update(moved)
        for postings in asking.get(event.code, ()):
            accounts |= postings.accounts(postings.row(keys[at], event.request_key), ledger)
    yield slice(first, len(events))


def transfer(
    ledger: Ledger, program: Program, decisions: Sequence[DecisionFact | None], now_ms: int, day: int
) -> Transferred:
    """Ask the ledger for what decisions ask for: chains of one event after those of the event before it.

    Chains go to the ledger together until one needs an account to be opened: facts keep the order of their events.

    Parameters
    ----------
    ledger : changed
    decisions : of a run of events (`runs`)
    """

    def judge(accounts: Sequence[Account], chains: Sequence[Chain]) -> tuple[int, list[list[Answer]]]:
        if not accounts:
            return 0, _answers(ledger, chains, now_ms, day)
        (chain,) = chains
        done = ledger.open_and_transfer(accounts, chain, now_ms, day)
        return sum(one is AccountOutcome.APPLIED for one in done.accounts), [done.transfers or [_FAILED] * len(chain)]

    made, facts = list(decisions), [0] * len(decisions)
    asking = {row: one for row, one in enumerate(decisions) if one is not None and one.asked is not None}
    answers = _judged([one.asked for one in asking.values() if one.asked is not None], ledger, judge)
    for (row, one), (opened, moved) in zip(asking.items(), answers, strict=True):
        made[row], facts[row] = after_ledger(program, one, moved, day), opened + sum(map(_is_new, moved))
    return Transferred(made, facts)


def would_transfer(ledger: Ledger, program: Program, decision: DecisionFact) -> DecisionFact:
    """What `transfer` would make of a decision now, with nothing changed.

    Holds whose time is out and that nobody has ended yet still stand.
    """
    if decision.asked is None:
        return decision

    def judge(accounts: Sequence[Account], chains: Sequence[Chain]) -> tuple[int, list[list[Answer]]]:
        return 0, [ledger.would(accounts, chain) for chain in chains]

    ((_, moved),) = _judged([decision.asked], ledger, judge)
    return after_ledger(program, decision, moved, ledger.day)


def _judged(asked: Sequence[Asked], ledger: Ledger, judge: Judge) -> list[tuple[int, list[Moved]]]:
    """For each: how many accounts were opened for it, and what became of its transfers."""
    judged: list[tuple[int, list[Moved]]] = []
    waiting: list[Sequence[Ask]] = []

    def flush(accounts: Sequence[Account] = ()) -> None:
        if waiting:
            opened, answers = judge(accounts, [chained([ask.transfer for ask in asks]) for asks in waiting])
            for asks, found in zip(waiting, answers, strict=True):
                judged.append((opened, [_moved(ask, answer) for ask, answer in zip(asks, found, strict=True)]))
            waiting.clear()

    for one in asked:
        if any(ask.unasked for ask in one.transfers):
            flush()
            judged.append((0, [_unasked(ask) for ask in one.transfers]))
        elif accounts := _missing(ledger, one.transfers):
            flush()
            waiting.append(one.transfers)
            flush(accounts)
        else:
            waiting.append(one.transfers)
        if one.refused:
            flush()
            opened, moved = judged[-1]
            if not all(map(is_there, moved)):
                ((more, again),) = _judged([one._replace(transfers=one.refused, refused=())], ledger, judge)
                judged[-1] = opened + more, moved + again
    flush()
    return judged


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
