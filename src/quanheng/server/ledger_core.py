"""The ledger in the core: batches wait, are judged with the next group, and are answered when it is durable; reads are
answered from the ledger as it is, once all that they saw is durable.

The ledger in memory is ahead of the log while a group commits. A read looks at once and says of which offset it is; its
answer is held back until the log has come so far. So nobody ever sees what a crash could still undo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from quanheng.kernel.errors import InputError, NotFound, QueueFull
from quanheng.ledger.entries import TIME_MAX_MS
from quanheng.ledger.reach import EVERYTHING, Reach, check_account, check_transfer
from quanheng.ledger.wire import TRANSFER_REQUEST, check_length
from quanheng.posting import Posting, Work, amendments_of, expiry, openings_of, transfers_of
from quanheng.server import process_core, wire
from quanheng.server.answers import ours, refusal
from quanheng.server.config import Limits
from quanheng.server.engines import ADMIN, POST, READ
from quanheng.server.ledger_bodies import (
    AccountBody,
    AmendmentBody,
    accounts_in,
    amendments_in,
    id_of,
    shown_account,
    shown_balance,
    shown_entry,
    shown_line,
    shown_outcomes,
)
from quanheng.server.operations import Asker

TRANSFERS, ACCOUNTS, AMENDMENTS = "transfers", "accounts", "amend"
ACCOUNT, BALANCE, STATEMENT, TRANSFER = "account", "balance", "statement", "transfer"
SCOPES = {TRANSFERS: POST, ACCOUNTS: ADMIN, AMENDMENTS: ADMIN}
"""Scopes that batches need; reads need `read`."""
GROUP_ROWS_MAX = 20_000
HOLDS_SHOWN_MAX = 1_000
_JSON = msgspec.json.Encoder(decimal_format="number")
TICK_S = 1.0
"""How often holds whose time is out are looked for."""


class Batch(NamedTuple):
    """One batch that waits; `link` None: nobody hears of it."""

    link: Asker | None
    number: int
    work: Work
    rows: int


class Group(NamedTuple):
    """Batches that were judged in memory and are not yet durable, with what each gave."""

    pending: Any
    batches: Sequence[Batch]
    answers: Sequence[Any]
    rows: int


class LedgerDesk:
    """Batches in their order, and reads that are held back.

    Parameters
    ----------
    engine : owner of log, state and ledger
    wake : called when a batch waits
    """

    def __init__(self, engine: Any, limits: Limits, wake: Callable[[], None]) -> None:
        self._engine, self._limits, self._wake = engine, limits, wake
        self._waiting: deque[Batch] = deque()
        self._judged: deque[Group] = deque()
        self._held: deque[tuple[int, Asker, int, wire.Answer]] = deque()
        self.rows = 0
        """Rows of the batches that wait."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def receive(self, link: Asker, number: int, asked: wire.Admin) -> None:
        """Take a batch, or answer a read; what is wrong with either is answered."""
        try:
            arguments = msgspec.msgpack.decode(asked.arguments)
            if asked.operation in process_core.READS:
                self._engine.authorise(asked.token, READ)
                self._hold(link, number, process_core.read_of(self._engine, asked.operation, arguments))
                return
            reach = self._engine.reach(asked.token, SCOPES.get(asked.operation, READ))
            if asked.operation in SCOPES:
                self._add(Batch(link, number, *work_of(asked.operation, arguments, reach)))
                return
            self._hold(link, number, read_of(self._engine.ledger, asked.operation, arguments, reach))
        except Exception as error:  # The declared boundary: what fails here harms nobody else.
            link.answer(number, refusal(ours(error, "ledger"), self._limits.retry_after_s))
            link.flush()

    def _hold(self, link: Asker, number: int, found: dict[str, Any]) -> None:
        """Keep the answer of a read until all that it saw is durable."""
        as_of = self._engine.state.head
        self._held.append((as_of, link, number, wire.Answer(200, _JSON.encode({"as_of": as_of, **found}))))
        self.release()

    def _add(self, batch: Batch) -> None:
        if self._waiting and self.rows + batch.rows > self._limits.queue_events_max:
            raise QueueFull(
                "too many transfers wait; nothing was written",
                found=f"{self.rows} waiting and {batch.rows} more",
                allowed=f"{self._limits.queue_events_max} (limits.queue_events_max)",
                cure=f"Send them again with the same ids after {self._limits.retry_after_s} s.",
            )
        self._waiting.append(batch)
        self.rows += batch.rows
        self._wake()

    def tick(self) -> None:
        """Holds may have to end though nobody posts: it is looked for now and then."""
        if self._engine.ledger is not None and self._engine.ledger.is_due() and not self._waiting:
            self._add(Batch(None, 0, expiry, 1))

    def prepare(self, pending: Any) -> Group:
        """Judge what waits, behind the events of a group where there is one."""
        batches: list[Batch] = []
        rows = 0
        while self._waiting and (not batches or rows + self._waiting[0].rows <= GROUP_ROWS_MAX):
            batches.append(self._waiting.popleft())
            rows += batches[-1].rows
        self.rows -= rows
        try:
            posted = self._engine.ledger.prepare([batch.work for batch in batches], pending)
        except BaseException:  # The ledger is ahead of the log: the core stops, and says so to these too.
            self._waiting.extendleft(reversed(batches))
            raise
        self._judged.append(Group(posted.pending, batches, posted.answers, rows))
        return self._judged[-1]

    def committed(self, group: Group) -> None:
        """The group is durable: its callers are answered, and reads that saw it."""
        self._judged.popleft()
        as_of = self._engine.log.head
        for batch, given in zip(group.batches, group.answers, strict=True):
            if batch.link is not None:
                batch.link.answer(batch.number, self._answered(given, as_of))
                batch.link.flush()
        self.release()

    def _answered(self, given: Any, as_of: int) -> wire.Answer:
        if isinstance(given, InputError):
            return refusal(given, self._limits.retry_after_s)
        if isinstance(given, np.ndarray):  # The edge makes JSON of it.
            return wire.Answer(200, as_of.to_bytes(8, "little") + given.tobytes())
        return wire.Answer(200, msgspec.json.encode(shown_outcomes(given, as_of)))

    def release(self) -> None:
        """Answer reads all of whose sight is durable; they are in the order of their offsets."""
        head = self._engine.log.head if self._held else 0
        while self._held and self._held[0][0] <= head:
            _, link, number, answer = self._held.popleft()
            link.answer(number, answer)
            link.flush()

    def close(self, answer: wire.Answer) -> None:
        """Answer all who wait: nothing of theirs was confirmed."""
        batches = [*(batch for group in self._judged for batch in group.batches), *self._waiting]
        asked = [(batch.link, batch.number) for batch in batches if batch.link is not None]
        for link, number in [*asked, *((link, number) for _, link, number, _ in self._held)]:
            link.answer(number, answer)
            link.flush()
        self._judged.clear()
        self._waiting.clear()
        self._held.clear()
        self.rows = 0


def work_of(operation: str, arguments: dict[str, Any], reach: Reach = EVERYTHING) -> tuple[Work, int]:
    """A batch as the ledger takes it, and its rows.

    Raises
    ------
    InputError : it is too long, or an id has more than 128 bits
    """
    if operation == TRANSFERS:
        requests = np.frombuffer(arguments["requests"], TRANSFER_REQUEST)
        check_length(len(requests))
        return transfers_of(requests, reach), len(requests)
    check_length(len(arguments["rows"]))
    if operation == ACCOUNTS:
        accounts = accounts_in(msgspec.convert(arguments["rows"], list[AccountBody]))
        return openings_of(accounts), len(accounts)
    amendments = amendments_in(msgspec.convert(arguments["rows"], list[AmendmentBody]))
    return amendments_of(amendments), len(amendments)


def read_of(posting: Posting, operation: str, arguments: dict[str, Any], reach: Reach = EVERYTHING) -> dict[str, Any]:
    """What a read shows: account {id} | balance {id, at_ms} | statement {id, since_ms, until_ms, limit, after} |
    transfer {id}.

    Raises
    ------
    NotFound : there is no such account, transfer or operation
    NotPermitted : it is out of reach, or there is none
    InputError : a balance is asked for at a moment that is not over
    """
    named, book = posting.named(arguments["id"]) if operation != TRANSFER else None, posting.book
    id = id_of(arguments["id"]) if named is None else named
    if operation == TRANSFER:
        check_transfer(book, reach, id)
    else:
        check_account(book, reach, id)
    match operation:
        case "account":
            return shown_account(book.account(id), book.holds(id, HOLDS_SHOWN_MAX))
        case "balance":
            at_ms = arguments["at_ms"]
            if at_ms is not None:
                posting.check_past(at_ms)
            balance = book.balance(id) if at_ms is None else book.balance_at(id, at_ms)
            return {"id": str(id), "at_ms": at_ms, "balance": shown_balance(balance)}
        case "statement":
            until_ms = arguments["until_ms"]
            entries = book.lines(
                id, arguments["since_ms"], TIME_MAX_MS if until_ms is None else until_ms, arguments["limit"],
                before=arguments["after"],
            )  # fmt: skip
            more = entries[-1].line.row if len(entries) == arguments["limit"] else None
            return {"id": str(id), "lines": [shown_entry(one) for one in entries], "next_after": more}
        case "transfer":
            return shown_line(book.transfer_of(id))
    raise NotFound("the ledger has no such operation", where="operation", found=repr(operation[:40]))
