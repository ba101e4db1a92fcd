"""A liquidity pool with constant-product pricing: swaps between two assets, liquidity added and taken out for shares.

Reserves and shares are value in ledger accounts that the pool opens. The pool keeps what the reserves are, to price by;
by law that is what the accounts have. A swap states its worst price and its deadline; both are judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import AMOUNT_MAX, Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import (
    CODE_MAX,
    ActionFold,
    RefusalCode,
    first_refusal,
    is_amount,
    is_code,
    is_id,
)
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.pool_formula import (
    BASIS_POINTS,
    SHARES_LOCKED,
    Reserves,
    amount_in,
    amount_out,
    liquidity,
    withdrawal,
)

part_id = parts_of("pool")


class PoolRefusal(RefusalCode):
    """Why an action of a pool is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    OWNER_IS_OUT_OF_RANGE = "OWNER_IS_OUT_OF_RANGE", "An owner or account is out of range", "主体或账户编号超出范围"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "An amount is out of range", "金额超出范围"
    ASSET_IS_NOT_OF_THE_POOL = "ASSET_IS_NOT_OF_THE_POOL", "The pool does not have this asset", "该资产不属于此资金池"
    DEADLINE_HAS_PASSED = "DEADLINE_HAS_PASSED", "The deadline has passed", "已过截止时间"
    POOL_IS_EMPTY = "POOL_IS_EMPTY", "There is no liquidity", "资金池没有流动性"
    RESERVE_IS_TOO_SMALL = "RESERVE_IS_TOO_SMALL", "The reserve is too small", "储备不足"
    RESERVE_WOULD_OVERFLOW = "RESERVE_WOULD_OVERFLOW", "A reserve would be too large", "储备将超出上限"
    LIQUIDITY_IS_TOO_SMALL = "LIQUIDITY_IS_TOO_SMALL", "The liquidity is too small", "流动性过小"
    NOTHING_COMES_OUT = "NOTHING_COMES_OUT", "The amount out would be zero", "兑出金额为零"
    SLIPPAGE_EXCEEDED = "SLIPPAGE_EXCEEDED", "The price is worse than the limit", "价格超出滑点限制"


class PoolTerms(msgspec.Struct, frozen=True):
    """Two assets, the asset of the shares, the code of accounts and transfers, and the fee of a swap.

    fee_basis_points : of the amount in, 0 .. 9 999; it stays in the pool
    """

    first_asset: int
    second_asset: int
    share_asset: int
    code: int
    fee_basis_points: int


class SwapIn(msgspec.Struct, frozen=True):
    """Give an exact amount of `asset_in`, and get at least `out_min_minor` of the other asset.

    pays, gets : accounts of the owner; deadline_ms : not applied after it
    """

    id: int
    by: int
    asset_in: int
    in_minor: int
    out_min_minor: int
    pays: int
    gets: int
    deadline_ms: int


class SwapOut(msgspec.Struct, frozen=True):
    """Get an exact amount, and give at most `in_max_minor` of `asset_in` for it."""

    id: int
    by: int
    asset_in: int
    out_minor: int
    in_max_minor: int
    pays: int
    gets: int
    deadline_ms: int


class AddLiquidity(msgspec.Struct, frozen=True):
    """Give up to two amounts in the proportion of the reserves, for at least `shares_min` shares."""

    id: int
    by: int
    first_max_minor: int
    second_max_minor: int
    shares_min: int
    first_account: int
    second_account: int
    deadline_ms: int


class RemoveLiquidity(msgspec.Struct, frozen=True):
    """Give shares back for their part of both reserves, at least the two amounts stated."""

    id: int
    by: int
    shares: int
    first_min_minor: int
    second_min_minor: int
    first_account: int
    second_account: int
    deadline_ms: int


R = PoolRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]
_MEASURES = "in_minor", "out_minor", "in_max_minor", "first_max_minor", "second_max_minor", "shares"
_LIMITS = "out_min_minor", "shares_min", "first_min_minor", "second_min_minor"
_PARTIES = "by", "pays", "gets", "first_account", "second_account"


class Pool(ActionFold):
    """A fold of SwapIn, SwapOut, AddLiquidity and RemoveLiquidity. Owners hold shares in accounts of the pool's.

    number : 128 bits that tell the pool from others

    Raises
    ------
    InputError : a field of the terms is out of range
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, number: int, terms: PoolTerms) -> None:
        super().__init__()
        _check_terms(terms)
        self.number, self.terms, self.reserves = number, terms, Reserves()

    def account_of(self, name: int | str) -> int:
        """Id of the account of an owner's shares, of "first", "second" (reserves), "issued" or "locked" (shares)."""
        return part_id(self.number, name)

    def quote_in(self, asset_in: int, in_minor: int) -> int:
        """What an amount of one of the two assets gets now; 0 from an empty pool."""
        into, out = self._sides(asset_in)
        return amount_out(in_minor, into, out, self.terms.fee_basis_points) if out else 0

    def quote_out(self, asset_in: int, out_minor: int) -> int:
        """What an amount out, less than the reserve, costs now in the other asset `asset_in`."""
        into, out = self._sides(asset_in)
        return amount_in(out_minor, into, out, self.terms.fee_basis_points)

    def _sides(self, asset_in: int) -> tuple[int, int]:
        """Reserves of what comes in, and of what goes out."""
        first, second, _ = self.reserves
        return (first, second) if asset_in == self.terms.first_asset else (second, first)

    def _kept(self) -> Sequence[str]:
        return "number", "terms", "reserves"

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        return first_refusal(self._wrong(action, now_ms))

    def _wrong(self, one: Any, now_ms: int) -> Checks:
        ids = [getattr(one, name) for name in _PARTIES if hasattr(one, name)]
        yield not all(map(is_id, ids)), R.OWNER_IS_OUT_OF_RANGE, ", ".join(_PARTIES), ids, "1 .. 2**128 - 2"
        for name in (*_MEASURES, *_LIMITS):
            amount = getattr(one, name, 1)
            right = is_amount(amount) or (name in _LIMITS and type(amount) is int and amount == 0)
            least = 0 if name in _LIMITS else 1
            yield not right, R.AMOUNT_IS_OUT_OF_RANGE, name, amount, f"{least} .. {AMOUNT_MAX}"
        if isinstance(one, (SwapIn, SwapOut)):
            pair = (self.terms.first_asset, self.terms.second_asset)
            yield one.asset_in not in pair, R.ASSET_IS_NOT_OF_THE_POOL, "asset_in", one.asset_in, f"one of {pair}"
        yield now_ms > one.deadline_ms, R.DEADLINE_HAS_PASSED, "deadline_ms", now_ms, f"{one.deadline_ms} or before"
        empty = self.reserves.shares == 0 and not isinstance(one, AddLiquidity)
        yield empty, R.POOL_IS_EMPTY, "pool", 0, "a pool with liquidity"
        if isinstance(one, (SwapIn, SwapOut)):
            yield from self._wrong_in_swap(one)
        elif isinstance(one, AddLiquidity):
            yield from self._wrong_in_adding(one)
        else:
            yield from self._wrong_in_removing(one)

    def _wrong_in_swap(self, one: SwapIn | SwapOut) -> Checks:
        into, out = self._sides(one.asset_in)
        if isinstance(one, SwapOut):
            yield one.out_minor >= out, R.RESERVE_IS_TOO_SMALL, "out_minor", one.out_minor, f"less than {out}"
        given, got = self._swapped(one)
        most = AMOUNT_MAX - into
        yield given > most, R.RESERVE_WOULD_OVERFLOW, "in_minor", given, f"at most {most}"
        yield got == 0, R.NOTHING_COMES_OUT, "in_minor", given, "an amount for which something comes out"
        if isinstance(one, SwapIn):
            yield got < one.out_min_minor, R.SLIPPAGE_EXCEEDED, "out_min_minor", got, f"{one.out_min_minor} or more"
        else:
            yield given > one.in_max_minor, R.SLIPPAGE_EXCEEDED, "in_max_minor", given, f"{one.in_max_minor} or less"

    def _wrong_in_adding(self, one: AddLiquidity) -> Checks:
        first, second, shares = self._added(one)
        fits = max(old + new for old, new in zip(self.reserves, (first, second, shares), strict=True)) <= AMOUNT_MAX
        yield not fits, R.RESERVE_WOULD_OVERFLOW, "first_max_minor", (first, second), f"reserves up to {AMOUNT_MAX}"
        mine = shares - (0 if self.reserves.shares else SHARES_LOCKED)
        yield mine <= 0, R.LIQUIDITY_IS_TOO_SMALL, "shares", mine, "one share or more"
        yield mine < one.shares_min, R.SLIPPAGE_EXCEEDED, "shares_min", mine, f"{one.shares_min} or more"

    def _wrong_in_removing(self, one: RemoveLiquidity) -> Checks:
        most = self.reserves.shares - SHARES_LOCKED
        yield one.shares > most, R.RESERVE_IS_TOO_SMALL, "shares", one.shares, f"at most {most}"
        first, second = withdrawal(one.shares, self.reserves)
        yield first == 0 or second == 0, R.NOTHING_COMES_OUT, "shares", (first, second), "something of both assets"
        less = first < one.first_min_minor or second < one.second_min_minor
        wanted = (one.first_min_minor, one.second_min_minor)
        yield less, R.SLIPPAGE_EXCEEDED, "first_min_minor", (first, second), f"{wanted} or more"

    def _swapped(self, one: SwapIn | SwapOut) -> tuple[int, int]:
        """What a swap gives, and what it gets."""
        if isinstance(one, SwapIn):
            return one.in_minor, self.quote_in(one.asset_in, one.in_minor)
        return self.quote_out(one.asset_in, one.out_minor), one.out_minor

    def _added(self, one: AddLiquidity) -> Reserves:
        return liquidity(one.first_max_minor, one.second_max_minor, self.reserves)

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        first, second = self.account_of("first"), self.account_of("second")
        issued, mine = self.account_of("issued"), self.account_of(action.by)
        moves: list[tuple[int, int, int]]
        if isinstance(action, (SwapIn, SwapOut)):
            given, got = self._swapped(action)
            into, out = (first, second) if action.asset_in == self.terms.first_asset else (second, first)
            return Step(self._transfers(action, [(action.pays, into, given), (out, action.gets, got)]))
        if isinstance(action, AddLiquidity):
            added = self._added(action)
            locked = 0 if self.reserves.shares else SHARES_LOCKED
            moves = [
                (action.first_account, first, added.first_minor),
                (action.second_account, second, added.second_minor),
            ]
            moves += [(issued, mine, added.shares - locked), (issued, self.account_of("locked"), locked)]
            return Step(self._transfers(action, moves), self._accounts(action.by))
        some, other = withdrawal(action.shares, self.reserves)
        moves = [(mine, issued, action.shares), (first, action.first_account, some)]
        return Step(
            self._transfers(action, [*moves, (second, action.second_account, other)]), self._accounts(action.by)
        )

    def _transfers(self, action: Any, moves: Sequence[tuple[int, int, int]]) -> list[Transfer]:
        return [
            Transfer(part_id(action.id, f"{self.number} {place}"), debit, credit, amount, self.terms.code)
            for place, (debit, credit, amount) in enumerate(moves)
            if amount
        ]

    def _accounts(self, owner: int) -> list[Account]:
        terms, bound = self.terms, int(AccountFlag.DEBITS_BOUND)
        for_good, code = bound | int(AccountFlag.DEBITS_FROZEN), self.terms.code
        return [
            Account(self.account_of("first"), terms.first_asset, code, bound),
            Account(self.account_of("second"), terms.second_asset, code, bound),
            Account(self.account_of("issued"), terms.share_asset, code),
            Account(self.account_of("locked"), terms.share_asset, code, for_good),
            Account(self.account_of(owner), terms.share_asset, code, bound, owner),
        ]

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        first, second, shares = self.reserves
        if isinstance(action, (SwapIn, SwapOut)):
            given, got = self._swapped(action)
            into_first = action.asset_in == self.terms.first_asset
            change = Reserves(given, -got) if into_first else Reserves(-got, given)
        elif isinstance(action, AddLiquidity):
            change = self._added(action)
        else:
            some, other = withdrawal(action.shares, self.reserves)
            change = Reserves(-some, -other, -action.shares)
        self.reserves = Reserves(first + change.first_minor, second + change.second_minor, shares + change.shares)


def _check_terms(terms: PoolTerms) -> None:
    assets = (terms.first_asset, terms.second_asset, terms.share_asset)
    for name, found, right, allowed in (
        ("first_asset", assets, len(set(assets)) == len(assets), "three assets that differ"),
        ("code", terms.code, is_code(terms.code), f"1 .. {CODE_MAX}"),
        ("fee_basis_points", terms.fee_basis_points, 0 <= terms.fee_basis_points < BASIS_POINTS, "0 .. 9999"),
    ):
        if not right:
            raise InputError(
                "terms of a pool are out of range",
                where=f"terms.{name}",
                found=str(found),
                allowed=allowed,
                cure="Give terms within the range.",
            )
