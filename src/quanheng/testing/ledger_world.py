"""Seeded work for a ledger that goes where it hurts: ids repeated, limits at the edge, chains broken at every place,
time-outs that race postings, amendments between, days that change."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from quanheng.ledger.entries import (
    ALL,
    AMOUNT_MAX,
    ID_MAX,
    NO_LIMIT,
    TIME_MAX_MS,
    Account,
    AccountFlag,
    Amendment,
    Answer,
    Transfer,
    TransferFlag,
)
from quanheng.ledger.outcomes import TransferOutcome

F, G = TransferFlag, AccountFlag
KINDS = (0, F.HOLD, F.POST, F.VOID, F.REVERSAL, F.BALANCING_DEBIT, F.BALANCING_CREDIT, F.IMPORTED)
WEIGHTS = (40, 20, 14, 6, 6, 4, 3, 3)
REMEMBERED = 300
"""Requests that may be asked again or referred to."""


class World:
    """Makes batches, each from the seed and those before.

    Parameters
    ----------
    accounts : how many accounts there are at most; few make a rough world
    """

    def __init__(self, seed: int, accounts: int = 24) -> None:
        self.rng = random.Random(seed)
        self.accounts = accounts
        self.now_ms, self.day = self.rng.randrange(1_000), 0
        self._next = 1
        self._asked: deque[Transfer] = deque(maxlen=REMEMBERED)
        self._opened: list[Account] = []
        self._moved: deque[Transfer] = deque(maxlen=REMEMBERED)
        self._held: deque[Transfer] = deque(maxlen=REMEMBERED // 10)

    def tick(self) -> None:
        """Time goes on, a little more often than not; sometimes the day changes."""
        self.now_ms += self.rng.choice((0, 0, 1, 1, 2, 7, 40))
        self.day += self.rng.random() < 0.03

    def note(self, batch: Sequence[Transfer], answers: Sequence[Answer]) -> None:
        """What was applied, so that later batches refer to it: mostly to what is there, now and then to what is not."""
        for one, answer in zip(batch, answers, strict=True):
            if answer.outcome == TransferOutcome.APPLIED:
                kept = self._held if one.flags & F.HOLD else self._moved
                kept.append(one._replace(amount_minor=answer.amount_minor))

    def openings(self) -> list[Account]:
        """Accounts to be opened, some of them again, some wrong."""
        rng, batch = self.rng, []
        for _ in range(rng.randrange(3, 8)):
            one = self._account(len(self._opened) + 1)
            if self._opened and (rng.random() < 0.3 or one.id > self.accounts):
                one = rng.choice(self._opened)
                if rng.random() < 0.3:
                    one = one._replace(code=one.code + 1)
            elif rng.random() < 0.1:
                one = one._replace(**rng.choice([
                    {"id": 0}, {"id": ID_MAX}, {"asset": 0}, {"code": 0}, {"flags": 128}, {"flags": 6},
                    {"overdraft_minor": -1}, {"day_max_minor": -2}, {"opened_ms": 5}, {"balance_max_minor": ALL},
                ]))  # fmt: skip
            else:
                self._opened.append(one)
            batch.append(one)
        return batch

    def _account(self, number: int) -> Account:
        rng = self.rng
        flags = rng.choice((0, 0, 0, 0, G.DEBITS_BOUND, G.CREDITS_BOUND)) | rng.choice((0, G.HISTORY))
        opened_ms = 0
        if rng.random() < 0.1:
            flags, opened_ms = flags | G.IMPORTED, rng.randrange(-5, 5)
        if rng.random() < 0.15:
            flags |= G.LINKED
        limits = [rng.choice((NO_LIMIT,) * 8 + (300, 2_000, AMOUNT_MAX)) for _ in range(4)]
        return Account(
            number, 1 + (number % 6 == 0), rng.choice((7, 8)), flags, rng.choice((0, 2**100 + 1)),
            rng.choice((0, 1)), rng.choice((0, 50, 10_000)),
            limits[0], limits[1], limits[2], limits[3], opened_ms, rng.choice((0, 9)),
        )  # fmt: skip

    def amendments(self) -> list[Amendment]:
        """Changes of rules and limits; few accounts are closed."""
        rng, batch = self.rng, []
        for _ in range(rng.randrange(1, 4)):
            kinds = G.DEBITS_FROZEN, G.CREDITS_FROZEN, G.DEBITS_BOUND, G.CREDITS_BOUND, 6, 8
            flags = rng.choice((None, *(0,) * 8, *kinds)) if rng.random() > 0.04 else G.CLOSED
            limit = rng.choice((None, None, None, NO_LIMIT, NO_LIMIT, 100, 1_000, -3))
            batch.append(
                Amendment(
                    rng.randrange(0, len(self._opened) + 2), flags, rng.choice((None, 0, 60)), limit,
                    day_max_minor=rng.choice((None, NO_LIMIT, 4_000)),
                    net_debit_cap_minor=rng.choice((None, NO_LIMIT, 3_000)), linked=rng.random() < 0.2,
                )
            )  # fmt: skip
        return batch

    def transfers(self, size: int) -> list[Transfer]:
        """A batch of so many transfers."""
        rng, batch = self.rng, []
        linked = 0.04 if rng.random() < 0.7 else 0.6
        for _ in range(size):
            kind = rng.random()
            if self._asked and kind < 0.06:
                one = rng.choice(self._asked)
            elif self._asked and kind < 0.09:
                one = self._altered(rng.choice(self._asked))
            else:
                one = self._fresh()
                if rng.random() < linked:
                    one = one._replace(flags=one.flags | F.LINKED)
                if rng.random() < 0.04:
                    one = self._altered(one)
            batch.append(one)
            self._asked.append(one)
        if batch and rng.random() < 0.9:
            batch[-1] = batch[-1]._replace(flags=batch[-1].flags & ~int(F.LINKED))
        if rng.random() < 0.1 and size > 1:  # A whole chain asked again.
            batch = batch[: size // 2] * 2
        return batch

    def _fresh(self) -> Transfer:
        rng, number = self.rng, self._next
        self._next += 1
        kind = rng.choices(KINDS, WEIGHTS)[0]
        debit, credit = rng.randrange(1, self.accounts + 1), rng.randrange(1, self.accounts + 1)
        while rng.random() < 0.9 and (debit == credit or (debit % 6 == 0) != (credit % 6 == 0)):
            credit = rng.randrange(1, self.accounts + 1)
        one = Transfer(number << rng.choice((0, 0, 64)), debit, credit, self._amount(), rng.choice((5, 6)), int(kind))
        if kind in (F.POST, F.VOID, F.REVERSAL):
            reference = self._referred(kind)
            given = rng.random() < 0.2
            one = one._replace(
                debit=reference.debit if given else 0, credit=reference.credit if given else 0,
                code=reference.code if given else 0, reference=reference.id,
                amount_minor=rng.choice((ALL, ALL, reference.amount_minor, one.amount_minor)),
            )  # fmt: skip
            if kind == F.REVERSAL and given:
                one = one._replace(debit=reference.credit, credit=reference.debit)
        elif kind in (F.BALANCING_DEBIT, F.BALANCING_CREDIT):
            flags = one.flags | rng.choice((0, 0, F.HOLD, F.BALANCING_DEBIT | F.BALANCING_CREDIT))
            one = one._replace(amount_minor=rng.choice((ALL, one.amount_minor)), flags=int(flags))
        elif kind == F.HOLD:
            one = one._replace(timeout_ms=rng.choice((0, 1, 3, 10, 60, 1_000)))
            if rng.random() < 0.3:
                one = one._replace(flags=one.flags | F.UNTIL, timeout_ms=self.now_ms + one.timeout_ms)
        elif kind == F.IMPORTED:
            one = one._replace(value_ms=rng.randrange(0, self.now_ms + 3))
        if rng.random() < 0.1:
            one = one._replace(flags=one.flags | F.BURN)
        return one._replace(user_data=rng.choice((0, 0, 2**127 + 3)))

    def _referred(self, kind: int) -> Transfer:
        """Mostly what was applied and is of the fitting kind."""
        rng = self.rng
        known = self._asked if rng.random() < 0.05 else self._moved if kind == F.REVERSAL else self._held
        if not known or rng.random() < 0.02:
            return Transfer(rng.choice((0, 2**90, 1)))
        return known[-1 - min(len(known) - 1, int(rng.expovariate(0.2)))]

    def _amount(self) -> int:
        rng = self.rng
        if rng.random() < 0.02:
            return rng.choice((0, -1, -(2**63), ALL, AMOUNT_MAX, 2**62, 2**62))
        return rng.choice((1, 10, 50, 99, 100, 101, rng.randrange(1, 700)))

    def _altered(self, one: Transfer) -> Transfer:
        """The same request, but for one field."""
        rng = self.rng
        return one._replace(**rng.choice([
            {"id": 0}, {"id": ID_MAX}, {"flags": one.flags ^ (1 << rng.randrange(11))},
            {"reference": one.reference ^ 1}, {"debit": one.debit ^ 1}, {"credit": one.credit ^ 1},
            {"amount_minor": one.amount_minor // 2 + 1},
            {"timeout_ms": rng.choice((-1, 1, TIME_MAX_MS))}, {"code": rng.choice((0, 77))},
            {"value_ms": rng.choice((1, self.now_ms + 9))}, {"user_data": 4}, {"debit": one.credit},
        ]))  # fmt: skip
