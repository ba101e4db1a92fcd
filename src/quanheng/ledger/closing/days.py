"""Business days: which one a moment belongs to, and seals after which a day takes no posting any more.

Days are numbers since 1970-01-01, as the ledger's. A sealed day is corrected by reversal, booked on an open day; a
reversal may have its value time in the sealed one. The balances of a sealed day, which go by the day of booking, never
change, and a chain of digests shows if somebody changed them all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.kernel.errors import InputError
from quanheng.ledger.closing.balances import TrialBalance, moved, trial_balance
from quanheng.ledger.closing.journal import Books
from quanheng.ledger.entries import Account, Amendment, Answer, Opened, Transfer, TransferFlag
from quanheng.ledger.instruments.instrument import LedgerLike
from quanheng.ledger.instruments.loan.day_count import date_of, day_of
from quanheng.ledger.outcomes import AccountOutcome

DAY_MS = 86_400_000


class CutOff(NamedTuple):
    """When a business day ends.

    zone_ms : offset of the business time zone from UTC
    time_ms : local time of day from which on a moment belongs to the next day; DAY_MS = midnight
    calendar : moments of other days belong to the next business day; None: every day is one
    """

    zone_ms: int = 0
    time_ms: int = DAY_MS
    calendar: Calendar | None = None

    def day_of(self, now_ms: int) -> int:
        """Business day of a moment; never decreases with it."""
        day = (now_ms + self.zone_ms + DAY_MS - self.time_ms) // DAY_MS
        return day if self.calendar is None else day_of(self.calendar.roll(date_of(day), Roll.FOLLOWING))


class Seal(NamedTuple):
    """A day that was closed.

    digest : BLAKE2b-256, as hex, of the seal before, the day, its trial balance, and each account's sums so far
    """

    day: int
    digest: str


class SealedDays:
    """A ledger whose closed business days take no posting. A batch that asks for one is refused whole."""

    def __init__(self, ledger: LedgerLike, cut_off: CutOff, seals: Sequence[Seal] = ()) -> None:
        self.ledger, self.cut_off = ledger, cut_off
        self.seals: list[Seal] = list(seals)

    @property
    def sealed(self) -> int:
        """The newest day that is closed; before the first seal -1."""
        return self.seals[-1].day if self.seals else -1

    def seal(self, books: Books, day: int) -> TrialBalance:
        """Close all days up to `day`, with the books as they are, and give its trial balance.

        Raises
        ------
        InputError : the day is closed already, or debits do not equal credits
        """
        balance = trial_balance(books, day)
        if day <= self.sealed:
            raise InputError(
                "the business day was sealed before",
                where="day",
                found=str(day),
                allowed=f"from {self.sealed + 1}",
                cure="Seal a later day.",
            )
        if uneven := {asset: value for asset, value in balance.differences().items() if value}:
            raise InputError(
                "the books do not balance and cannot be sealed",
                where="asset",
                found=str(uneven),
                allowed="debits that equal credits in each asset",
                cure="Read the journal again from the log, and verify the log.",
            )
        self.seals.append(_sealed(self.seals[-1].digest if self.seals else "", balance, books))
        return balance

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order, on an open day."""
        self._check_day(day)
        return self.ledger.open_accounts(batch, now_ms, day)

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change accounts, in order, on an open day."""
        self._check_day(day)
        return self.ledger.amend_accounts(batch, now_ms, day)

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order, on an open day.

        Raises
        ------
        InputError : the day is closed, or a transfer that is no reversal has its value time in a closed day
        """
        self._check_transfers(batch, day)
        return self.ledger.transfer(batch, now_ms, day)

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers, all or nothing, on an open day.

        Raises
        ------
        InputError : as for `transfer`
        """
        self._check_transfers(transfers, day)
        return self.ledger.open_and_transfer(accounts, transfers, now_ms, day)

    def _check_transfers(self, batch: Sequence[Transfer], day: int) -> None:
        self._check_day(day)
        for place, one in enumerate(batch):
            dated = one.flags & TransferFlag.IMPORTED and not one.flags & TransferFlag.REVERSAL
            if dated and self.cut_off.day_of(one.value_ms) <= self.sealed:
                raise InputError(
                    "the value time is in a closed business day",
                    where=f"transfer {place}",
                    found=date_of(self.cut_off.day_of(one.value_ms)).isoformat(),
                    allowed=f"after {date_of(self.sealed).isoformat()}",
                    cure="Reverse what was wrong and book anew on an open day.",
                )

    def _check_day(self, day: int) -> None:
        if day <= self.sealed:
            raise InputError(
                "the business day is closed",
                where="day",
                found=date_of(day).isoformat(),
                allowed=(date_of(self.sealed) + timedelta(days=1)).isoformat() + " or later",
                cure="Book on an open day; what was wrong is taken back by a reversal there.",
            )


def broken_seal(seals: Sequence[Seal], books: Books) -> Seal | None:
    """The first seal that the books do not fit any more, or None. O(lines) for each seal."""
    before = ""
    for seal in seals:
        if _sealed(before, trial_balance(books, seal.day), books) != seal:
            return seal
        before = seal.digest
    return None


def _sealed(before: str, balance: TrialBalance, books: Books) -> Seal:
    # A code that has accounts and has never moved may come after the seal: it is no part of it.
    rows = [row for row in balance.rows if row.opening_minor or row.debits_minor or row.credits_minor]
    sums: dict[int, list[int]] = {}
    for (_, account), (debits, credits) in moved(one for one in books.lines if one.day <= balance.day).items():
        total = sums.setdefault(account, [0, 0])
        total[0], total[1] = total[0] + debits, total[1] + credits
    texts = [str((row[:3], row[4:])) for row in rows] + [f"{id} {total}" for id, total in sorted(sums.items())]
    content = "\n".join([before, str(balance.day), *texts]).encode()
    return Seal(balance.day, hashlib.blake2b(content, digest_size=32, person=b"quanheng seal").hexdigest())
