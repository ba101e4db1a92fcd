"""The ledger's door: batches are judged in memory by the writer's stamp, become facts in one durable append, and are
then answered.

As for events, `prepare` takes several batches in memory and `writer.commit` makes their facts durable, in the same
order and by the same two threads; batches and events of one group share one append. Until that append is over the
ledger in memory is ahead of the log by that group, so nobody is answered before, and what is read meanwhile is to be
held back until `as_of` is committed. A batch that changes nothing appends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from quanheng.asking import name_in, named_account
from quanheng.kernel.errors import InputError
from quanheng.ledger import wire
from quanheng.ledger.entries import Account, Amendment, Answer, Transfer
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome
from quanheng.ledger.queries import Queries
from quanheng.ledger.reach import EVERYTHING, Reach, check_requests, hide
from quanheng.ledger.records import records_of
from quanheng.writer import Pending, Writer

Work = Callable[[Ledger, int, int], Any]
"""One batch, to be judged by a ledger at a time (epoch ms) on a business day; what it gives is the caller's answer."""


class Prepared(NamedTuple):
    """Batches that were judged in memory.

    pending : for `writer.commit`; nobody may hear an answer before that is over
    answers : what each batch gave, in their order; an InputError where it could not be judged and changed nothing
    """

    pending: Pending
    answers: list[Any]


class Posting:
    """Posts to the ledger of a log. One caller prepares, in order, as for the writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def named(self, text: str) -> int | None:
        """Id of an account by the names that a pack and people have for it (`asking.name_in`); None = it is no name.

        Raises
        ------
        NotFound, InputError : as `asking.named_account`
        """
        named = name_in(text)
        if named is None:
            return None
        return named_account(self._writer.state.program.packs, self._writer.ring, *named)

    @property
    def book(self) -> Queries:
        """What is asked of the ledger: balances, statements, holds; ahead of the log while a group commits."""
        return self._writer.state.ledger

    def prepare(self, works: Sequence[Work], pending: Pending | None = None) -> Prepared:
        """Judge batches one after another at one moment; holds whose time is out end first.

        Parameters
        ----------
        pending : events that were prepared and not yet committed: the facts follow them in the same append

        Raises
        ------
        whatever is no fault of a batch : the ledger is then ahead of the log, and the process must stop
        """
        state, writer = self._writer.state, self._writer
        ledger = state.ledger
        if pending is None:
            pending = Pending(state.head, writer.stamp(), [], [], [], None)
        was_ms, was_day, since = ledger.now_ms, ledger.day, ledger.facts_n
        now_ms, day = pending.received_ms, max(was_day, writer.days.day_of(pending.received_ms))
        answers: list[Any] = []
        for work in works:
            try:
                answers.append(work(ledger, now_ms, day))
            except InputError as error:  # Its numbers do not fit their fields: nothing of this batch was judged.
                answers.append(error)
        made = ledger.facts_n - since
        if not made:
            ledger.rewind(was_ms, was_day)
            return Prepared(pending, answers)
        state.head += made
        state.received_ms = now_ms
        return Prepared(pending._replace(more=records_of(ledger.facts(since))), answers)

    def post_together(self, works: Sequence[Work]) -> list[Any]:
        """Judge batches one after another and make them durable in one append; what each gave, as in `Prepared`.

        Raises
        ------
        LogError : they are not durable and never will be; the process must stop
        """
        prepared = self.prepare(works)
        self._writer.commit(prepared.pending)
        return prepared.answers

    def post(self, transfers: Sequence[Transfer]) -> list[Answer]:
        """Apply transfers, in order, chains whole or not at all; durable when this returns.

        Raises
        ------
        InputError : a number is outside its field, or the batch is too long; nothing was applied
        LogError : as `post_together`
        """
        return wire.decode_answers(self.post_arrays(wire.encode_transfers(transfers)))

    def post_arrays(self, requests: np.ndarray) -> np.ndarray:
        """Apply transfers: TRANSFER_REQUEST[n] to TRANSFER_ANSWER[n] (`quanheng.ledger.wire`).

        Raises
        ------
        InputError : another dtype, or the batch is too long; nothing was applied
        LogError : as `post_together`
        """
        answers: np.ndarray = self._alone(transfers_of(requests))
        return answers

    def open_accounts(self, accounts: Sequence[Account]) -> list[AccountOutcome]:
        """Open accounts, in order, chains whole or not at all; durable when this returns.

        Raises
        ------
        InputError, LogError : as `post`
        """
        outcomes: list[AccountOutcome] = self._alone(openings_of(accounts))
        return outcomes

    def amend_accounts(self, amendments: Sequence[Amendment]) -> list[AccountOutcome]:
        """Change rules and limits of accounts, in order, chains whole or not at all; durable when this returns.

        Raises
        ------
        InputError, LogError : as `post`
        """
        outcomes: list[AccountOutcome] = self._alone(amendments_of(amendments))
        return outcomes

    def expire(self) -> int:
        """End the holds whose time is out, durably; how many. To be called now and then by who owns the engine.

        Raises
        ------
        LogError : as `post_together`
        """
        return int(self._alone(expiry)) if self.is_due() else 0

    def check_past(self, moment_ms: int) -> None:
        """A moment is over: what was booked up to it is all that ever will be.

        Raises
        ------
        InputError : it is not
        """
        now_ms = self._writer.stamp()
        if moment_ms >= now_ms:
            raise InputError(
                "the moment is not over, so what an account will have then is not known",
                where="at",
                found=str(moment_ms),
                allowed=f"before {now_ms}, the ledger's time (epoch ms)",
                cure="Leave `at` out for the balance of now, or ask when the moment is over.",
            )

    def is_due(self) -> bool:
        """Whether a hold may have to end by now."""
        ends_ms = self._writer.state.ledger.next_expiry_ms
        return ends_ms is not None and ends_ms <= self._writer.stamp()

    def _alone(self, work: Work) -> Any:
        (answer,) = self.post_together([work])
        if isinstance(answer, InputError):
            raise answer
        return answer


def transfers_of(requests: np.ndarray, reach: Reach = EVERYTHING) -> Work:
    """Transfers as a batch to be prepared: TRANSFER_REQUEST[n], answered as TRANSFER_ANSWER[n].

    Parameters
    ----------
    reach : whose accounts the caller may take value from; a batch that takes from others is answered with NotPermitted
    """

    def limited(ledger: Ledger, now_ms: int, day: int) -> np.ndarray:
        check_requests(ledger, reach, requests)
        answers = ledger.transfer_arrays(requests, now_ms, day)
        hide(ledger, reach, requests, answers)
        return answers

    return limited if not reach.is_whole else lambda ledger, *now: ledger.transfer_arrays(requests, *now)


def openings_of(accounts: Sequence[Account]) -> Work:
    """Accounts to be opened as a batch to be prepared, answered as a list of `AccountOutcome`."""
    return lambda ledger, now_ms, day: ledger.open_accounts(accounts, now_ms, day)


def amendments_of(amendments: Sequence[Amendment]) -> Work:
    """Amendments as a batch to be prepared, answered as a list of `AccountOutcome`."""
    return lambda ledger, now_ms, day: ledger.amend_accounts(amendments, now_ms, day)


def expiry(ledger: Ledger, now_ms: int, day: int) -> int:
    """The batch that ends holds whose time is out; how many ended."""
    since = ledger.facts_n
    ledger.transfer_arrays(_NOTHING, now_ms, day)
    return ledger.facts_n - since


def warm_up() -> None:
    """Load the ledger's compiled code now, rather than while the first caller waits."""
    ledger = Ledger()
    ledger.open_accounts([Account(1, 1, 1), Account(2, 1, 1)], 0, 0)
    ledger.amend_accounts([Amendment(1, 0)], 0, 0)
    ledger.transfer([Transfer(1, 1, 2, 1, code=1)], 0, 0)
    Ledger().apply(ledger.facts())
    ledger.lines(1)
    ledger.holds(1)
    ledger.balance_at(1, 0)


_NOTHING = np.empty(0, wire.TRANSFER_REQUEST)
