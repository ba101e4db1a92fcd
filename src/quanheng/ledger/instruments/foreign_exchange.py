"""Foreign exchange of a dealer: quotes with a validity, conversions, rates that are locked, revaluation of positions.

A conversion is one chain: the customer's currency goes into the dealer's position account of that currency, the other
one comes out of the other position account; the spread and the residue of rounding go to accounts of their own. A
locked rate is the same chain held with a time-out, so both sides have their value reserved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.kernel.money import DIGITS_MAX, exponent
from quanheng.ledger.entries import ALL, AMOUNT_MAX, TIME_MAX_MS, TOTAL_MAX, Transfer, TransferFlag
from quanheng.ledger.instruments.action_fold import (
    CODE_MAX,
    ActionFold,
    RefusalCode,
    first_refusal,
    is_amount,
    is_code,
    is_id,
    is_timeout,
)
from quanheng.ledger.instruments.conversion import ROUNDINGS, SPREAD_MAX, Price, convert, rounded
from quanheng.ledger.instruments.foreign_exchange_actions import (
    ANYBODY,
    Convert,
    Dealer,
    Exercise,
    FxRefusal,
    Mark,
    Quote,
    Release,
    Revalue,
)
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.ranges import in_range

part_id = parts_of("foreign exchange")


class Given(msgspec.Struct, frozen=True):
    """A quote that was given, until when, and how much of it was used, in minor units of its base."""

    quote: Quote
    until_ms: int
    used_minor: int = 0


class Lock(msgspec.Struct, frozen=True):
    """A rate that is locked: its holds until when, or None after they were posted or voided."""

    owner: int
    quote: int
    holds: tuple[int, ...] | None
    until_ms: int


R = FxRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


class ForeignExchange(ActionFold):
    """All quotes and locks of a dealer: a fold of Quote, Convert, Exercise, Release and Revalue."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, dealer: Dealer) -> None:
        super().__init__()
        for currency in (*dealer.books, dealer.reporting):
            exponent(currency)  # Raises for what is no currency, before anything is quoted in it.
        self.dealer = dealer
        self.quotes: dict[int, Given] = {}
        self.locks: dict[int, Lock] = {}
        self.revalued: tuple[int, ...] = ()

    def _kept(self) -> Sequence[str]:
        return "dealer", "quotes", "locks", "revalued"

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Quote):
            return first_refusal(self._wrong_in_quote(action, now_ms))
        if isinstance(action, Convert):
            given = self.quotes.get(action.quote)
            if given is None:
                return Refusal(R.QUOTE_NOT_FOUND, "quote", str(action.quote))
            return first_refusal(self._wrong_in_convert(action, given, now_ms))
        if isinstance(action, Revalue):
            return first_refusal(self._wrong_in_revalue(action))
        lock = self.locks.get(action.lock)
        if lock is None:
            return Refusal(R.LOCK_NOT_FOUND, "lock", str(action.lock))
        return first_refusal(_wrong_in_lock(action, lock, now_ms))

    def _wrong_in_quote(self, one: Quote, now_ms: int) -> Checks:
        price, dealt = one.price, ", ".join(sorted(self.dealer.books))
        yield one.by != self.dealer.owner, R.ACTOR_MAY_NOT, "by", one.by, "the dealer"
        for currency in (price.base, price.term):
            yield currency not in self.dealer.books, R.CURRENCY_IS_NOT_DEALT, "price", currency, dealt
        yield price.base == price.term, R.CURRENCIES_MUST_DIFFER, "price", price.base, "two currencies"
        yield not _is_rate(price.mid), R.RATE_IS_OUT_OF_RANGE, "price.mid", price.mid, "a Decimal above 0, 60 digits"
        spread = price.spread_basis_points
        wrong = not in_range(spread, 0, SPREAD_MAX - 1)
        yield wrong, R.SPREAD_IS_OUT_OF_RANGE, "price.spread_basis_points", spread, f"0 .. {SPREAD_MAX - 1}"
        for mode in (price.customer_rounding, price.dealer_rounding, price.spread_rounding):
            yield mode not in ROUNDINGS, R.ROUNDING_IS_UNKNOWN, "price", mode, ", ".join(sorted(ROUNDINGS))
        valid = f"1 .. {TIME_MAX_MS - now_ms}"
        yield not is_timeout(one.valid_ms, now_ms), R.VALIDITY_IS_OUT_OF_RANGE, "valid_ms", one.valid_ms, valid
        most = one.base_max_minor
        yield not is_amount(most), R.AMOUNT_IS_OUT_OF_RANGE, "base_max_minor", most, f"1 .. {AMOUNT_MAX}"
        timed, longest = one.lock_max_ms, TIME_MAX_MS - now_ms - one.valid_ms
        yield not in_range(timed, 0, longest), R.TIMEOUT_IS_OUT_OF_RANGE, "lock_max_ms", timed, f"0 .. {longest}"

    def _wrong_in_convert(self, one: Convert, given: Given, now_ms: int) -> Checks:
        quote, price = given.quote, given.quote.price
        yield quote.customer not in (ANYBODY, one.by), R.ACTOR_MAY_NOT, "by", one.by, "the customer of the quote"
        pair = (price.base, price.term)
        yield one.sell not in pair, R.CURRENCY_IS_NOT_DEALT, "sell", one.sell, " or ".join(pair)
        for account in (one.from_account, one.to_account):
            wrong = not is_id(account) or self._is_of_dealer(account)
            yield wrong, R.ACCOUNT_IS_OUT_OF_RANGE, "account", account, "1 .. 2**128 - 2, none of the dealer's"
        yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
        fixed = one.fixed_minor
        yield not is_amount(fixed), R.AMOUNT_IS_OUT_OF_RANGE, "fixed_minor", fixed, f"1 .. {AMOUNT_MAX}"
        most = min(quote.lock_max_ms, TIME_MAX_MS - now_ms)
        yield not in_range(one.lock_ms, 0, most), R.TIMEOUT_IS_OUT_OF_RANGE, "lock_ms", one.lock_ms, f"0 .. {most}"
        yield now_ms >= given.until_ms, R.QUOTE_HAS_EXPIRED, "quote", now_ms, f"before {given.until_ms}"
        left = quote.base_max_minor - given.used_minor
        amounts = convert(price, one.sell, fixed, one.buys_fixed)
        base = amounts.sold_minor if one.sell == price.base else amounts.bought_minor
        yield base > left, R.QUOTE_IS_EXCEEDED, "fixed_minor", f"{base} of {price.base}", f"at most {left}"
        smallest, largest = min(amounts[:2]), max(*amounts[:2], amounts.spread_minor, amounts.position_minor)
        yield smallest == 0, R.CONVERTED_IS_NOTHING, "fixed_minor", smallest, "1 or more on both sides"
        yield largest > AMOUNT_MAX, R.CONVERTED_IS_TOO_MUCH, "fixed_minor", largest, f"at most {AMOUNT_MAX}"

    def _wrong_in_revalue(self, one: Revalue) -> Checks:
        yield one.by != self.dealer.owner, R.ACTOR_MAY_NOT, "by", one.by, "the dealer"
        mode = one.rounding
        yield mode not in ROUNDINGS, R.ROUNDING_IS_UNKNOWN, "rounding", mode, ", ".join(sorted(ROUNDINGS))
        yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
        named = sorted(mark.currency for mark in one.marks)
        wrong = named != sorted(self.dealer.books) or not all(
            _is_rate(mark.rate) and in_range(mark.position_minor, -TOTAL_MAX, TOTAL_MAX) for mark in one.marks
        )
        own = [mark for mark in one.marks if mark.currency == self.dealer.reporting]
        wrong = wrong or any(mark.rate != 1 for mark in own)
        allowed = f"a rate above 0 for each of {', '.join(sorted(self.dealer.books))}; 1 for {self.dealer.reporting}"
        yield wrong, R.MARKS_ARE_WRONG, "marks", ", ".join(named), allowed
        values = [abs(worth_minor(mark, self.dealer.reporting, one.rounding)) for mark in one.marks]
        most = max(values, default=0)
        yield most > AMOUNT_MAX, R.CONVERTED_IS_TOO_MUCH, "marks", most, f"at most {AMOUNT_MAX}"

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, Convert):
            return Step(self._conversion(action))
        if isinstance(action, Revalue):
            return Step([*_taken_back(action.id, self.revalued), *self._revaluation(action)])
        if isinstance(action, Quote):
            return Step()
        flag = TransferFlag.POST if isinstance(action, Exercise) else TransferFlag.VOID
        holds = self.locks[action.lock].holds or ()
        return Step([
            Transfer(part_id(action.id, place), amount_minor=ALL, flags=int(flag), reference=hold)
            for place, hold in enumerate(holds)
        ])  # fmt: skip

    def _conversion(self, one: Convert) -> list[Transfer]:
        price = self.quotes[one.quote].quote.price
        amounts = convert(price, one.sell, one.fixed_minor, one.buys_fixed)
        given, taken = self.dealer.books[one.sell], self.dealer.books[_other(price, one.sell)]
        book = given if one.buys_fixed else taken
        # Spread and residue pass through the position of the currency whose amount was derived.
        moves = (
            ("sold", one.from_account, given.position, amounts.sold_minor),
            ("bought", taken.position, one.to_account, amounts.bought_minor),
            ("spread", book.position, book.spread, amounts.spread_minor),
            ("residue", book.position, book.residue, amounts.residue_minor),
            ("residue", book.residue, book.position, -amounts.residue_minor),
        )
        hold = int(TransferFlag.HOLD) if one.lock_ms else 0
        return [
            Transfer(part_id(one.id, name), debit, credit, amount, one.code, hold, timeout_ms=one.lock_ms)
            for name, debit, credit, amount in moves
            if amount > 0
        ]

    def _revaluation(self, one: Revalue) -> list[Transfer]:
        """What each position is worth, from the revaluation account to the result, or back where it is negative."""
        pair = self.dealer.revaluation, self.dealer.result
        worth = [(mark.currency, worth_minor(mark, self.dealer.reporting, one.rounding)) for mark in one.marks]
        return [
            Transfer(part_id(one.id, currency), *(pair if value > 0 else pair[::-1]), abs(value), one.code)
            for currency, value in worth
            if value
        ]

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Quote):
            self.quotes[action.id] = Given(action, now_ms + action.valid_ms)
        elif isinstance(action, Revalue):
            self.revalued = tuple(one.id for one in self._revaluation(action))
        elif isinstance(action, Convert):
            given = self.quotes[action.quote]
            self._use(action.quote, _base_minor(given.quote.price, action))
            if action.lock_ms:
                holds = tuple(one.id for one in self._conversion(action))
                self.locks[action.id] = Lock(action.by, action.quote, holds, now_ms + action.lock_ms)
        else:
            lock = self.locks[action.lock]
            self.locks[action.lock] = replace(lock, holds=None)
            if isinstance(action, Release):
                locked, _ = self.done[action.lock]
                self._use(lock.quote, -_base_minor(self.quotes[lock.quote].quote.price, locked))

    def _use(self, quote: int, base_minor: int) -> None:
        given = self.quotes[quote]
        self.quotes[quote] = replace(given, used_minor=given.used_minor + base_minor)

    # --- of the dealer

    def _is_of_dealer(self, account: int) -> bool:
        books = self.dealer.books.values()
        return any(account in (one.position, one.spread, one.residue) for one in books)


def marks_of(dealer: Dealer, position_minor: Callable[[int], int], rates: Mapping[str, Decimal]) -> tuple[Mark, ...]:
    """Marks of all currencies that are dealt in: `position_minor` reads credits less debits of an account."""
    one = Decimal(1)
    return tuple(
        Mark(currency, position_minor(book.position), rates.get(currency, one))
        for currency, book in sorted(dealer.books.items())
    )


def worth_minor(mark: Mark, reporting: str, rounding: str) -> int:
    """What a position is worth in minor units of the reporting currency, rounded once."""
    scale = Fraction(10) ** (exponent(reporting) - exponent(mark.currency))
    return rounded(mark.position_minor * Fraction(mark.rate) * scale, rounding)


def _taken_back(id: int, transfers: Sequence[int]) -> list[Transfer]:
    reversal = int(TransferFlag.REVERSAL)
    return [
        Transfer(part_id(id, f"back {place}"), amount_minor=ALL, flags=reversal, reference=one)
        for place, one in enumerate(transfers)
    ]


def _other(price: Price, currency: str) -> str:
    return price.term if currency == price.base else price.base


def _base_minor(price: Price, one: Convert) -> int:
    amounts = convert(price, one.sell, one.fixed_minor, one.buys_fixed)
    return amounts.sold_minor if one.sell == price.base else amounts.bought_minor


def _is_rate(rate: object) -> bool:
    if not isinstance(rate, Decimal) or not rate.is_finite() or rate <= 0:
        return False
    return abs(rate.adjusted()) < DIGITS_MAX and len(rate.as_tuple().digits) <= DIGITS_MAX


def _wrong_in_lock(one: Exercise | Release, lock: Lock, now_ms: int) -> Checks:
    yield one.by != lock.owner, R.ACTOR_MAY_NOT, "by", one.by, "the customer of the lock"
    yield lock.holds is None, R.LOCK_HAS_ENDED, "lock", one.lock, "a lock that stands"
    yield now_ms >= lock.until_ms, R.LOCK_HAS_EXPIRED, "lock", now_ms, f"before {lock.until_ms}"
