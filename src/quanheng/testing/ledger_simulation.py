"""The ledger's core against its law, batch by batch, from a seed; and faults that this must find.

After each batch answers are equal and debits equal credits in every asset. Now and then, and at the end, everything
that can be read is equal, the facts folded again give the same digest, and so does what was dumped and loaded.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from quanheng.kernel.errors import NotFound
from quanheng.ledger.kernel import expiring
from quanheng.ledger.kernel.words import A_DEBITS, A_PAYMENT, S_ACCOUNTS, S_HEAP
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.ledger.views import Line
from quanheng.testing.ledger_world import World
from quanheng.testing.slow_ledger import SlowLedger
from quanheng.testing.slow_ledger_queries import balance_at, holds, page, statement

ASSETS = 1, 2
SIZES = 1, 1, 2, 3, 8, 40, 150


class Simulated(NamedTuple):
    """What a run was: operations (accounts and transfers), batches, how often each outcome was given, facts."""

    operations: int
    batches: int
    outcomes: Counter[str]
    facts: int


class Difference(AssertionError):
    """The core and the law do not agree. The text names seed, batch and what differs."""


class Simulation:
    """One seeded run.

    Parameters
    ----------
    seed : the bug report
    canary : plant a fault in the core's memory on the way, which the run must find
    accounts : how many accounts there are at most
    """

    def __init__(self, seed: int, *, canary: bool = False, accounts: int = 24) -> None:
        self.seed, self.canary = seed, canary
        self.world, self.rng = World(seed, accounts), random.Random(seed + 1)
        self.law, self.core = SlowLedger(), Ledger()
        self.operations = self.batches = 0
        self.outcomes: Counter[str] = Counter()

    def run(self, operations: int, progress: Callable[[int], None] = lambda done: None) -> Simulated:
        """So many operations.

        Raises
        ------
        Difference : core and law do not agree
        """
        planted_at = operations // 3
        while self.operations < operations:
            self._batch()
            if self.canary and self.operations >= planted_at and plant(self.core, self.seed):
                self.canary = False
            if self.rng.random() < 0.002:
                self.look(lines=False)
                progress(self.operations)
        progress(self.operations)
        self.world.now_ms += 10_000  # All that ends has ended.
        self._change("amend_accounts", [])
        self.look(lines=True)
        return Simulated(self.operations, self.batches, self.outcomes, self.core.facts_n)

    def _batch(self) -> None:
        world, rng = self.world, self.rng
        world.tick()
        kind = rng.random()
        if self.batches < 8 or kind < 0.03:
            self._change("open_accounts", world.openings())
        elif kind < 0.07:
            self._change("amend_accounts", world.amendments())
        else:
            self._change("transfer", world.transfers(rng.choice(SIZES)))
        for asset in ASSETS:
            totals = self.core.totals(asset)
            self._same("conservation", totals[:2], totals[2:])
        self.batches += 1

    def _change(self, method: str, batch: list[Any]) -> None:
        expected = getattr(self.law, method)(batch, self.world.now_ms, self.world.day)
        found = getattr(self.core, method)(batch, self.world.now_ms, self.world.day)
        for one, was, must in zip(batch, found, expected, strict=True):
            if was != must:
                raise Difference(f"{self._where}: {one} was answered {was}, the law says {must}")
        self.operations += len(batch)
        if method == "transfer":
            self.world.note(batch, found)
            self.outcomes.update(TransferOutcome(answer.outcome).name for answer in found)

    def look(self, *, lines: bool) -> None:
        """Compare everything that can be read; statements and each line only if asked to, they take long.

        Raises
        ------
        Difference : core and law do not agree
        """
        law, core = self.law, self.core
        self._same("number of accounts", len(core.accounts()), len(law.books))
        for id, book in law.books.items():
            state = core.account(id)
            self._same(f"balance of {id}", state.balance, book.balance())
            self._same(f"account {id}", state.account, book.account._replace(opened_ms=book.opened_ms))
            day = state.day, state.day_debits_minor, state.day_credits_minor
            self._same(f"day of {id}", day, (book.day, book.day_debits, book.day_credits))
        self._same("expiries", [(one.reference, one.expires_ms, one.applied_ms) for one in core.expiries()],
                   [one[:3] for one in law.expiries])  # fmt: skip
        if lines:
            self._look_at_lines()
        copy = Ledger()
        copy.apply(core.facts())
        self._same("digest of the facts folded again", copy.digest(), core.digest())
        self._same("digest after dump and load", Ledger.load(core.dump()).digest(), core.digest())

    def _look_at_lines(self) -> None:
        law, core = self.law, self.core
        for id in law.burnt:
            self._same(f"burnt {id}", core.is_burnt(id), True)
        for id, line in law.lines.items():
            found = _line(core, id)
            if found is None:
                raise Difference(f"{self._where}: transfer {id} was not found, the law says it was applied")
            self._same(f"line {id}", (found.debit, found.credit, found.amount_minor, found.code, found.applied_ms,
                       found.value_ms, found.day, found.expires_ms, found.hold, found.reversed_minor),
                       (line.debit, line.credit, line.amount, line.code, line.applied_ms, line.value_ms, line.day,
                        line.expires_ms, line.hold, line.reversed))  # fmt: skip
        for id in self.rng.sample(sorted(law.books), min(4, len(law.books))):
            expected = statement(law, id)
            entries = core.lines(id, limit=len(expected) + 1, newest_first=False)
            self._same(
                f"statement of {id}", [(one.line.id, one.line.applied_ms, one.balance) for one in entries], expected
            )
            self._same(f"holds of {id}", [one.id for one in core.holds(id).lines], holds(law, id))
            self._look_at_a_page(id)
            moment = self.rng.randrange(self.world.now_ms)
            self._same(f"balance of {id} at {moment}", core.balance_at(id, moment), balance_at(law, id, moment))

    def _look_at_a_page(self, id: int) -> None:
        """A page from anywhere within a statement, either way."""
        rng, expected = self.rng, statement(self.law, id)
        since_ms, until_ms = sorted(rng.randrange(self.world.now_ms) for _ in range(2))
        limit, newest, older = rng.randrange(150), rng.random() < 0.5, rng.choice((None, rng.randrange(500)))
        if older is not None and older < len(expected):
            row = self.core.lines(id, limit=older + 1, newest_first=False)[-1].line.row
        else:
            older = row = None
        found = self.core.lines(id, since_ms, until_ms, limit, newest, row)
        self._same(
            f"page of {id} from {since_ms} to {until_ms}, {limit} lines, newest first {newest}, before {row}",
            [(one.line.id, one.line.applied_ms, one.balance) for one in found],
            page(expected[:older], since_ms, until_ms, limit, newest),
        )

    @property
    def _where(self) -> str:
        return f"seed {self.seed}, operation {self.operations}, batch {self.batches}"

    def _same(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise Difference(f"{self._where}: {what} was {found}, the law says {expected}")


def _line(core: Ledger, id: int) -> Line | None:
    try:
        return core.transfer_of(id)
    except NotFound:
        return None


def plant(core: Ledger, seed: int) -> bool:
    """Plant a fault in a core's memory, one of four by seed. False if there is nothing yet that it could break."""
    tables, kind = core._tables, seed % 4
    accounts = int(tables.S[S_ACCOUNTS])
    if accounts == 0 or (kind == 2 and tables.S[S_HEAP] == 0):
        return False
    if kind == 0:
        tables.A[seed % accounts, A_DEBITS] += 1
    elif kind == 1:
        tables.A[seed % accounts, A_PAYMENT] += 1
    elif kind == 2:
        expiring.forget_next(tables)
    else:
        tables.I[tables.I.nonzero()[0][seed % 7]] = 0
    return True
