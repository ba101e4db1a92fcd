"""A pool told plainly: what a swap gives is looked for, as the most or the least that keeps the law.

It knows none of the instrument's formulas. The laws are: reserves after a swap, its fee left aside, have no smaller
product; a share is worth no less after liquidity came or went; among what keeps that, whoever acts gets the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments import pool as p
from quanheng.ledger.instruments.pool import PoolRefusal as R

POOR = "POOR"
LOCKED = 1_000
Account = tuple[str, int]
Move = tuple[Account, Account, int]
FIRST, SECOND, ISSUED, OUT = ("pool", 1), ("pool", 2), ("pool", 3), ("pool", 4)


def most(holds: Callable[[int], bool], upto: int) -> int:
    """The largest number from 0 to `upto` for which a law holds that holds for 0 and stops holding once."""
    low, high = 0, upto
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def least(holds: Callable[[int], bool], upto: int) -> int:
    """The smallest number for which a law holds that, once it holds, holds up to `upto`."""
    return upto - most(lambda below: holds(upto - below), upto)


@dataclass(slots=True)
class SlowPool:
    """Balances and nothing else.

    balances : ("cash", ledger account), ("shares", owner), and the pool's own: FIRST, SECOND, ISSUED (below zero), OUT
        (shares that nobody takes out)
    """

    terms: p.PoolTerms
    balances: Counter[Account]
    done: dict[int, Any] = field(default_factory=dict)

    @property
    def reserves(self) -> tuple[int, int, int]:
        """Of the first asset, of the second, and shares."""
        return self.balances[FIRST], self.balances[SECOND], -self.balances[ISSUED]

    def do(self, one: Any, now_ms: int) -> str:
        """Apply an action: "" if it is applied or a repeat, else the code of its refusal, or POOR."""
        if one.id in self.done:
            return "" if self.done[one.id] == one else R.ID_HAS_OTHER_CONTENT
        for code, broken in self._laws(one, now_ms):
            if broken:
                return code
        after = self.balances.copy()
        for debit, credit, minor in self._moves(one):
            after[debit] -= minor
            after[credit] += minor
            if after[debit] < 0 and debit != ISSUED:
                return POOR
        self.balances, self.done[one.id] = after, one
        return ""

    # --- what an action comes to

    def swapped(self, one: p.SwapIn | p.SwapOut) -> tuple[int, int]:
        """What is given and got: the most that keeps the product, or the least, up to more than a reserve can take."""
        into, out = self.reserves[:2] if one.asset_in == self.terms.first_asset else self.reserves[1::-1]
        kept = 10_000 - self.terms.fee_basis_points

        def keeps(given: int, got: int) -> bool:
            return (10_000 * into + kept * given) * (out - got) >= 10_000 * into * out

        if isinstance(one, p.SwapIn):
            return one.in_minor, most(lambda got: keeps(one.in_minor, got), out)
        return least(lambda given: keeps(given, one.out_minor), 10_000 * (into + 1) * (out + 1)), one.out_minor

    def added(self, one: p.AddLiquidity) -> tuple[int, int, int]:
        """What is taken of both assets, and the shares for it."""
        first, second, shares = self.reserves
        if not shares:
            offered = one.first_max_minor * one.second_max_minor
            return one.first_max_minor, one.second_max_minor, most(lambda root: root * root <= offered, offered)

        def needs(new: int, reserve: int) -> int:
            return least(lambda taken: taken * shares >= new * reserve, new * reserve)

        new = most(
            lambda new: needs(new, first) <= one.first_max_minor and needs(new, second) <= one.second_max_minor,
            one.first_max_minor * shares,
        )
        return needs(new, first), needs(new, second), new

    def removed(self, shares: int) -> tuple[int, int]:
        """What shares are worth in both assets."""
        first, second, whole = self.reserves
        worth = [most(lambda got: got * whole <= shares * held, held) for held in (first, second)]  # noqa: B023
        return worth[0], worth[1]

    # --- the law, in order of precedence

    def _laws(self, one: Any, now_ms: int) -> Iterator[tuple[str, bool]]:
        numbers = [getattr(one, name, 1) for name in ("by", "pays", "gets", "first_account", "second_account")]
        yield R.ID_IS_OUT_OF_RANGE, not 0 < one.id < ID_MAX
        yield R.OWNER_IS_OUT_OF_RANGE, not all(0 < number < ID_MAX for number in numbers)
        for name in one.__struct_fields__:
            if name.endswith("_minor") or name.startswith("shares"):
                lowest = 0 if "_min" in name.replace("_minor", "") else 1
                yield R.AMOUNT_IS_OUT_OF_RANGE, not lowest <= getattr(one, name) <= AMOUNT_MAX
        is_swap, reserves = isinstance(one, (p.SwapIn, p.SwapOut)), self.reserves
        if is_swap:
            assets = self.terms.first_asset, self.terms.second_asset
            yield R.ASSET_IS_NOT_OF_THE_POOL, one.asset_in not in assets
        yield R.DEADLINE_HAS_PASSED, now_ms > one.deadline_ms
        yield R.POOL_IS_EMPTY, not isinstance(one, p.AddLiquidity) and reserves[2] == 0
        if isinstance(one, (p.SwapIn, p.SwapOut)):
            into, out = reserves[:2] if one.asset_in == self.terms.first_asset else reserves[1::-1]
            yield R.RESERVE_IS_TOO_SMALL, isinstance(one, p.SwapOut) and one.out_minor >= out
            given, got = self.swapped(one)
            yield R.RESERVE_WOULD_OVERFLOW, into + given > AMOUNT_MAX
            yield R.NOTHING_COMES_OUT, got == 0
            worse = got < one.out_min_minor if isinstance(one, p.SwapIn) else given > one.in_max_minor
            yield R.SLIPPAGE_EXCEEDED, worse
        elif isinstance(one, p.AddLiquidity):
            added = self.added(one)
            yield R.RESERVE_WOULD_OVERFLOW, any(a + b > AMOUNT_MAX for a, b in zip(reserves, added, strict=True))
            mine = added[2] - (0 if reserves[2] else LOCKED)
            yield R.LIQUIDITY_IS_TOO_SMALL, mine < 1
            yield R.SLIPPAGE_EXCEEDED, mine < one.shares_min
        else:
            yield R.RESERVE_IS_TOO_SMALL, one.shares > reserves[2] - LOCKED
            worth = self.removed(one.shares)
            yield R.NOTHING_COMES_OUT, 0 in worth
            yield R.SLIPPAGE_EXCEEDED, worth[0] < one.first_min_minor or worth[1] < one.second_min_minor

    def _moves(self, one: Any) -> Iterator[Move]:
        mine = ("shares", one.by)
        match one:
            case p.SwapIn() | p.SwapOut():
                given, got = self.swapped(one)
                into, out = (FIRST, SECOND) if one.asset_in == self.terms.first_asset else (SECOND, FIRST)
                yield ("cash", one.pays), into, given
                yield out, ("cash", one.gets), got
            case p.AddLiquidity():
                first, second, shares = self.added(one)
                locked = 0 if self.reserves[2] else LOCKED
                yield ("cash", one.first_account), FIRST, first
                yield ("cash", one.second_account), SECOND, second
                yield ISSUED, mine, shares - locked
                yield ISSUED, OUT, locked
            case p.RemoveLiquidity():
                first, second = self.removed(one.shares)
                yield mine, ISSUED, one.shares
                yield FIRST, ("cash", one.first_account), first
                yield SECOND, ("cash", one.second_account), second
