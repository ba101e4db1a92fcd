"""The ledger: accounts and transfers judged one after another, in one process, by the law that is written out in
`quanheng.testing.slow_ledger`.

What is applied becomes a fact, and the facts in their order are the ledger: `facts` gives them for the log, `apply`
folds them again without judging. All time is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.ledger import columns, wire
from quanheng.ledger.entries import (
    BATCH_MAX,
    TIME_MAX_MS,
    Account,
    Amendment,
    Answer,
    Opened,
    Transfer,
    as_failed,
    chained,
    refused_none,
    unlinked,
)
from quanheng.ledger.kernel import apply, batch
from quanheng.ledger.kernel.accounts import change_accounts, take_back
from quanheng.ledger.kernel.words import (
    F_APPLIED,
    F_KIND,
    F_MARKS,
    F_WORDS,
    N_WORDS,
    Q_WORDS,
    S_ACCOUNTS,
    S_DAY,
    S_FACTS,
    S_HEAP,
    S_NOW,
)
from quanheng.ledger.outcomes import AccountOutcome
from quanheng.ledger.queries import Queries

_DAY_MAX = 2**31 - 1
_APPLIED_AT_ONCE = 1 << 16
_OUTCOMES = {int(outcome): outcome for outcome in AccountOutcome}


class Ledger(Queries):
    """Accounts, and transfers between them. Only `open_accounts`, `amend_accounts`, `transfer` (and its door for
    arrays) and `apply` change it. Not for use by several threads at once.

    Complexity: O(1) a transfer, O(log h) where it is one of h holds that end. Memory: 192 bytes a fact, 16 to 64 for
    its id, 272 an account, 112 for every 64th change of an account (with HISTORY for each). Tables grow by half or
    double, with a copy.
    """

    def __init__(self) -> None:
        self._tables = columns.empty()

    @property
    def now_ms(self) -> int:
        """Time of the newest batch."""
        return int(self._tables.S[S_NOW])

    @property
    def day(self) -> int:
        """Business day of the newest batch."""
        return int(self._tables.S[S_DAY])

    @property
    def facts_n(self) -> int:
        """How many facts there are."""
        return int(self._tables.S[S_FACTS])

    @property
    def next_expiry_ms(self) -> int | None:
        """When the next hold may have to end; None = none ends. A hold that was settled may still be the one."""
        return int(self._tables.H[0, 0]) if self._tables.S[S_HEAP] else None

    def metrics(self) -> dict[str, int]:
        """Figures for a metrics page: accounts that were opened, and facts (transfers, time-outs, changes) in all."""
        return {"ledger_accounts": int(self._tables.S[S_ACCOUNTS]), "ledger_facts": self.facts_n}

    # --- what changes it

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order, chains whole or not at all.

        Raises
        ------
        InputError : time or day before the newest, a number outside its field, a batch that is too long
        """
        requests = wire.encode_accounts(batch)
        self._enter(now_ms, day)
        self._tables = columns.with_room(self._tables, facts=len(batch), accounts=len(batch))
        return self._change(requests, opens=True)

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change rules and limits of accounts, in order, chains whole or not at all.

        Raises
        ------
        InputError : as for `open_accounts`
        """
        requests = wire.encode_amendments(batch)
        self._enter(now_ms, day)
        self._tables = columns.with_room(self._tables, facts=len(batch))
        return self._change(requests, opens=False)

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order, chains whole or not at all.

        Raises
        ------
        InputError : as for `open_accounts`
        """
        return wire.decode_answers(self.transfer_arrays(wire.encode_transfers(batch), now_ms, day))

    def transfer_arrays(self, requests: np.ndarray, now_ms: int, day: int) -> np.ndarray:
        """Apply transfers: TRANSFER_REQUEST[n] to TRANSFER_ANSWER[n] (`quanheng.ledger.wire`), with no work a row in
        Python.

        Raises
        ------
        InputError : time or day before the newest, another dtype, a batch that is too long
        """
        wire.check_length(len(requests))
        if requests.dtype != wire.TRANSFER_REQUEST:
            raise InputError(
                "the array holds no transfer requests",
                found=str(requests.dtype),
                allowed="quanheng.ledger.wire.TRANSFER_REQUEST",
                cure="Make the array with that dtype.",
            )
        self._enter(now_ms, day)
        words, answers = self._room_for(requests)
        batch.transfer(self._tables, words, answers)
        return answers.view(wire.TRANSFER_ANSWER).reshape(len(requests))

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers between them as one chain, all or nothing.

        Accounts that exist with the same content are no obstacle. If anything is refused, no account is opened and no
        transfer applied; ids with BURN are used up all the same.

        Raises
        ------
        InputError : as for `open_accounts`; nothing is done
        """
        requests, openings = wire.encode_transfers(chained(transfers)), wire.encode_accounts(unlinked(accounts))
        self._enter(now_ms, day)
        since = self.facts_n
        self._tables = columns.with_room(self._tables, facts=len(openings), accounts=len(openings))
        outcomes = self._change(openings, opens=True)
        answers, until = list[Answer](), self.facts_n
        if refused_none(outcomes):
            answers = wire.decode_answers(self.transfer_arrays(requests, now_ms, day))
            if refused_none([one.outcome for one in answers]):
                return Opened(outcomes, answers)
        burnt = self.facts(until)
        take_back(self._tables, since)
        self.apply(burnt)
        return Opened(as_failed(outcomes), answers)

    def apply(self, facts: np.ndarray) -> None:
        """Fold facts of another ledger, in order, judging nothing: TRANSFER_FACT[n] or ACCOUNT_FACT[n].

        Raises
        ------
        LogCorrupt : a fact refers to what is not there; the ledger must not be used any more
        """
        words = _words(facts, F_WORDS)
        self._tables = columns.with_room(self._tables, facts=len(words))
        for first in range(0, len(words), _APPLIED_AT_ONCE):
            part = words[first : first + _APPLIED_AT_ONCE]
            opened = part[part[:, F_KIND] & 255 == wire.FactKind.OPENED]
            room = {"facts": len(part), "accounts": len(opened), "marks": 2 * len(part)}
            self._tables = columns.with_room(self._tables, **room)
            wrong = int(apply.apply_facts(self._tables, part))
            if wrong >= 0:
                raise LogCorrupt(
                    "a fact of the ledger refers to what is not there",
                    where=f"fact {first + wrong} of {len(words)}",
                    cure="Apply facts in order, from the first on, or to the ledger that they follow.",
                )
        if len(words):
            self._tables.S[S_NOW] = max(self.now_ms, int(words[-1, F_APPLIED]))
            self._tables.S[S_DAY] = max(self.day, int(words[-1, F_MARKS]) >> 32)

    def rewind(self, now_ms: int, day: int) -> None:
        """Take the clocks back to where they were: batches that made no fact since leave no trace of their time."""
        self._tables.S[S_NOW], self._tables.S[S_DAY] = now_ms, day

    def would(self, accounts: Sequence[Account], chain: Sequence[Transfer]) -> list[Answer]:
        """What a chain would be answered now, with accounts opened for it before.

        Nothing is changed, and no hold ends: time stands still. Accounts that cannot be opened are left out.

        Raises
        ------
        InputError : as for `transfer`
        """
        since = self.facts_n
        self.open_accounts(accounts, self.now_ms, self.day)
        words, answers = self._room_for(wire.encode_transfers(chain))
        batch.attempt(self._tables, words, answers)
        take_back(self._tables, since)
        return wire.decode_answers(answers.view(wire.TRANSFER_ANSWER).reshape(len(chain)))

    # --- what it is made of

    def facts(self, since: int = 0, until: int | None = None) -> np.ndarray:
        """Facts from number `since` on, as TRANSFER_FACT; those of accounts have the layout ACCOUNT_FACT."""
        until = self.facts_n if until is None else min(until, self.facts_n)
        found = self._tables.F[since:until].copy().view(wire.TRANSFER_FACT)
        return found.reshape(len(found))  # type: ignore[no-any-return]

    def dump(self) -> dict[str, np.ndarray]:
        """Copies of the arrays that the state is made of, for a snapshot."""
        return columns.dump(self._tables)

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Ledger:
        """The ledger that was dumped.

        Raises
        ------
        InputError : it was dumped in another format
        """
        ledger = cls()
        ledger._tables = columns.load(arrays)
        return ledger

    def digest(self) -> bytes:
        """BLAKE2b of 32 bytes of the whole state: equal for equal facts, however the batches were cut. O(facts)."""
        return columns.digest(self._tables)

    # --- inside

    def _room_for(self, requests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Requests as words, and where their answers go; there is room for their facts."""
        count = len(requests)
        self._tables = columns.with_room(self._tables, facts=count, marks=2 * count)
        return _words(requests, Q_WORDS), np.empty((count, N_WORDS), np.int64)

    def _enter(self, now_ms: int, day: int) -> None:
        """Go on to a time and a business day; holds whose time is out end."""
        if not self.now_ms <= now_ms <= TIME_MAX_MS:
            raise InputError(
                "the ledger's time never goes back",
                where="now_ms",
                found=str(now_ms),
                allowed=f"{self.now_ms} to {TIME_MAX_MS}",
                cure="Pass the writer's clock, which never decreases.",
            )
        if not self.day <= day <= _DAY_MAX:
            raise InputError(
                "business days never go back",
                where="day",
                found=str(day),
                allowed=f"{self.day} to {_DAY_MAX}",
                cure="Pass the number of the business day that the calendar says.",
            )
        self._tables.S[S_NOW], self._tables.S[S_DAY] = now_ms, day
        while self._tables.S[S_HEAP] and self._tables.H[0, 0] <= now_ms:
            self._tables = columns.with_room(self._tables, facts=BATCH_MAX, marks=2 * BATCH_MAX)
            batch.expire(self._tables, BATCH_MAX)

    def _change(self, requests: np.ndarray, *, opens: bool) -> list[AccountOutcome]:
        outcomes = np.empty(len(requests), np.int64)
        words = requests.view(np.int64).reshape(len(requests), F_WORDS)
        change_accounts(self._tables, words, outcomes, opens)
        return [_OUTCOMES[one] for one in outcomes.tolist()]


def _words(records: np.ndarray, width: int) -> np.ndarray:
    """Records as rows of words. What is read-only is copied: to numba it would be another type, compiled anew."""
    return np.require(records, requirements=["C", "W"]).view(np.int64).reshape(-1, width)
