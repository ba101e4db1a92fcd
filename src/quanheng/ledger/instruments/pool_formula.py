"""Constant-product pricing in integers: every rounding is in favour of the pool, so its product never falls by a swap.

With reserves x and y, an amount a in, and a fee of f basis points, the amount out is that for which the reserves, the
fee of the amount in left aside, keep their product: floor(a (10 000 - f) y / (10 000 x + a (10 000 - f))). Uniswap v1
states it for f = 30 (Zhang, Chen, Park: "Formal specification of constant product market maker model and
implementation", 2018, with the bounds of its integer roundings); v2 has the same (`getAmountOut`, `getAmountIn` of
UniswapV2Library; Adams, Zinsmeister, Robinson: "Uniswap v2 core", 2020). Shares of the first liquidity are
floor(sqrt(x y)), as in v2.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

BASIS_POINTS = 10_000
SHARES_LOCKED = 1_000
"""Shares of the first liquidity that nobody can take out, as in Uniswap v2: a share cannot become too dear to buy."""


class Reserves(NamedTuple):
    """What the pool has of its two assets, and the shares in it, all in minor units."""

    first_minor: int = 0
    second_minor: int = 0
    shares: int = 0


def amount_out(in_minor: int, reserve_in: int, reserve_out: int, fee_basis_points: int) -> int:
    """Most that can be had for an amount in, rounded down; less than `reserve_out`."""
    paid = in_minor * (BASIS_POINTS - fee_basis_points)
    return paid * reserve_out // (reserve_in * BASIS_POINTS + paid)


def amount_in(out_minor: int, reserve_in: int, reserve_out: int, fee_basis_points: int) -> int:
    """Least that buys an amount out, rounded up. `out_minor` < `reserve_out`, fee < 10 000.

    Uniswap adds 1 to the quotient rounded down, one too many where the division is exact; here the quotient is rounded
    up.
    """
    owed = reserve_in * out_minor * BASIS_POINTS
    return -(-owed // ((reserve_out - out_minor) * (BASIS_POINTS - fee_basis_points)))


def liquidity(first_max: int, second_max: int, reserves: Reserves) -> Reserves:
    """What is taken of the two amounts offered, and the shares given for it; for the first liquidity all, and the
    shares in all, the locked ones included.

    Later on shares are rounded down and amounts up, so a share of the pool is never worth less than before.
    """
    first, second, shares = reserves
    if shares == 0:
        return Reserves(first_max, second_max, isqrt(first_max * second_max))
    given = min(first_max * shares // first, second_max * shares // second)
    return Reserves(-(-given * first // shares), -(-given * second // shares), given)


def withdrawal(shares: int, reserves: Reserves) -> tuple[int, int]:
    """What shares are worth, rounded down."""
    return reserves.first_minor * shares // reserves.shares, reserves.second_minor * shares // reserves.shares
