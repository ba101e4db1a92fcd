"""The end of a business day: postings, a correction of the day before, trial balance, seal, what comes too late."""

from __future__ import annotations

import random
from contextlib import suppress

from quanheng.kernel.errors import InputError
from quanheng.ledger.closing.balances import balances_daily, trial_balance
from quanheng.ledger.closing.days import DAY_MS, CutOff, SealedDays, broken_seal
from quanheng.ledger.closing.journal import Books, JournalLine
from quanheng.ledger.entries import ALL, Account, AccountFlag, Answer, Transfer, TransferFlag
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.observed import Observed
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.outcomes import TransferOutcome

ASSETS, CODE, ENTITIES = (410, 411), 410, 3
ACCOUNTS, ACTIONS = 12, 200
_F = TransferFlag


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day that ends with its seal; the same seed plays the same day. `start_ms` is the day's beginning."""
    rng, observed = random.Random(seed), Observed(ledger)
    sealed = SealedDays(observed, CutOff(zone_ms=day * DAY_MS - start_ms))
    ids = {asset: [part_id(seed, f"closing {asset} {n}") for n in range(ACCOUNTS)] for asset in ASSETS}
    opened = [
        Account(
            id, asset, CODE + n % 4, int(AccountFlag.IMPORTED), entity=n % ENTITIES, opened_ms=start_ms - 2 * DAY_MS
        )
        for asset in ASSETS
        for n, id in enumerate(ids[asset])
    ]
    sealed.open_accounts(opened, start_ms, day)
    sealed.seal(books_of(observed), day - 1)
    now_ms, applied, late = start_ms, 0, 0
    for number in range(ACTIONS):
        now_ms += rng.randrange(60_000)
        answers: list[Answer] = []
        with suppress(InputError):
            answers = sealed.transfer([_transfer(rng, seed, number, ids, observed, start_ms)], now_ms, day)
        late += not answers
        applied += any(one.outcome == TransferOutcome.APPLIED for one in answers)
    balance = sealed.seal(books_of(observed), day)
    before = observed.applied
    asset = ASSETS[0]
    with suppress(InputError):
        sealed.transfer([Transfer(part_id(seed, "too late"), ids[asset][0], ids[asset][1], 1, CODE)], now_ms, day)
    books = books_of(observed)
    changed = books._replace(lines=(books.lines[0]._replace(amount_minor=1 + 10**9), *books.lines[1:]))
    closing = {one.account: one.closing_minor for one in balances_daily(books)}
    checked = {
        "debits equal credits in each asset": not any(balance.differences().values()),
        "what entities owe one another sums to zero": sum(balance.between_entities().values()) == 0,
        "the journal gives the ledger's balances": all(observed.net_minor(id) == net for id, net in closing.items()),
        "a sealed day takes no posting": observed.applied == before,
        "the seals fit the books": broken_seal(sealed.seals, books) is None,
        "the trial balance can be made again": trial_balance(books, day) == balance,
        "a changed line breaks a seal": broken_seal(sealed.seals, changed) is not None,
    }
    figures = {
        "lines": len(books.lines),
        "turnover_minor": sum(row.debits_minor for row in balance.rows),
        "refused_by_a_seal": late,
        "between_entities": len(balance.between_entities()),
    }
    return Played("closing", ACTIONS, applied, ACTIONS - applied, observed.applied, checked, figures)


def books_of(observed: Observed) -> Books:
    """Accounts and journal of what a demo has seen; rows are counted by it."""
    lines = [
        JournalLine(
            row, one.id, one.debit, one.credit, one.amount_minor, one.code, one.flags, one.reference,
            observed.days[one.id], 0, one.value_ms, one.user_data,
        )
        for row, one in enumerate(observed.transfers.values())
        if not one.flags & (_F.HOLD | _F.VOID)
    ]  # fmt: skip
    return Books(tuple(observed.accounts.values()), tuple(lines))


def _transfer(
    rng: random.Random, seed: int, number: int, ids: dict[int, list[int]], observed: Observed, start_ms: int
) -> Transfer:
    id, roll = part_id(seed, f"closing transfer {number}"), rng.random()
    if roll < 0.1 and observed.transfers:
        yesterday = rng.choice((0, start_ms - DAY_MS))
        flags = int(_F.REVERSAL | (_F.IMPORTED if yesterday else 0))
        return Transfer(
            id, amount_minor=ALL, flags=flags, reference=rng.choice(list(observed.transfers)), value_ms=yesterday
        )  # fmt: skip
    debit, credit = rng.sample(ids[rng.choice(ASSETS)], 2)
    flags = int(_F.HOLD) if roll < 0.2 else int(_F.IMPORTED) if roll < 0.3 else 0
    value_ms = start_ms - rng.choice((0, DAY_MS)) if flags & _F.IMPORTED else 0
    return Transfer(id, debit, credit, rng.randrange(1, 100_000), CODE, flags, value_ms=value_ms)
