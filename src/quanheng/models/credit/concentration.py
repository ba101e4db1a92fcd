"""How a book is spread over regions, industries and groups of connected borrowers, and which limits it breaks."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from quanheng.kernel.errors import InputError

Dimension = Literal["borrower", "group", "region", "industry"]
Base = Literal["tier1", "net_capital", "book"]
DIMENSIONS: tuple[Dimension, ...] = ("borrower", "group", "region", "industry")


class Holding(NamedTuple):
    """What is owed by one borrower. group : those he is connected with; empty = he stands alone.

    loan_minor : the part that is a loan, where a rule counts loans alone; None = all of it
    """

    borrower: str
    exposure_minor: int
    group: str = ""
    region: str = ""
    industry: str = ""
    loan_minor: int | None = None


class Limit(NamedTuple):
    """Each name of a dimension has at most `share` of the base; `loans` counts loans alone. source : where it is from.

    A group limit holds for groups of two or more; a borrower who stands alone is limited as a borrower.
    """

    dimension: Dimension
    share: Decimal
    base: Base
    source: str
    loans: bool = False


BASEL = (
    Limit("borrower", Decimal("0.25"), "tier1", "Basel LEX20"),
    Limit("group", Decimal("0.25"), "tier1", "Basel LEX20"),
)
CHINA = (
    Limit("borrower", Decimal("0.10"), "net_capital", "CBIRC 2018 No. 1, article 7, loans", loans=True),
    Limit("borrower", Decimal("0.15"), "tier1", "CBIRC 2018 No. 1, article 7"),
    Limit("group", Decimal("0.20"), "tier1", "CBIRC 2018 No. 1, article 8"),
)
"""《商业银行大额风险暴露管理办法》 for clients that are no banks."""
RULES = {"basel": BASEL, "china": CHINA}


class Breach(NamedTuple):
    """A limit that is exceeded: by whom, how much is there, how much may be."""

    limit: Limit
    name: str
    found_minor: int
    most_minor: int


class Spread(NamedTuple):
    """One dimension. largest : (name, exposure), the largest first; hhi : sum of squared shares, 1 / n to 1."""

    dimension: Dimension
    names: int
    hhi: float
    largest: tuple[tuple[str, int], ...]


class Concentration(NamedTuple):
    """The whole book. spreads : in the order of `DIMENSIONS`; breaches : in the order of the limits, worst first."""

    total_minor: int
    spreads: tuple[Spread, ...]
    breaches: tuple[Breach, ...]


def concentration(
    holdings: Iterable[Holding], limits: Iterable[Limit] = (), bases_minor: dict[Base, int] | None = None
) -> Concentration:
    """Shares, Hirschman-Herfindahl indices and breaches. Sums and comparisons are exact.

    bases_minor : tier1 and net_capital in minor units; the book is the sum of what is owed

    Raises
    ------
    InputError : an exposure below zero, or a limit whose base is not told
    """
    held = tuple(holdings)
    for one in held:
        if one.exposure_minor < 0 or (one.loan_minor or 0) < 0:
            raise InputError(
                "an exposure cannot be negative",
                where=f"borrower {one.borrower}",
                found=str(one.exposure_minor),
                cure="Give what is owed in minor units.",
            )
    total = sum(one.exposure_minor for one in held)
    bases = {**(bases_minor or {}), "book": total}
    spreads = tuple(_spread(dimension, _sums(held, dimension, False)) for dimension in DIMENSIONS)
    return Concentration(total, spreads, tuple(one for limit in limits for one in _breaches(held, limit, bases)))


def _sums(held: tuple[Holding, ...], dimension: Dimension, loans: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in held:
        name = getattr(one, dimension) or (one.borrower if dimension == "group" else "")
        amount = one.loan_minor if loans and one.loan_minor is not None else one.exposure_minor
        found[name] = found.get(name, 0) + amount
    return found


def _spread(dimension: Dimension, sums: dict[str, int]) -> Spread:
    total = sum(sums.values())
    hhi = float(Fraction(sum(one * one for one in sums.values()), total * total)) if total else 0.0
    largest = tuple(sorted(sums.items(), key=lambda one: (-one[1], one[0])))
    return Spread(dimension, len(sums), hhi, largest)


def _breaches(held: tuple[Holding, ...], limit: Limit, bases: dict[Base, int]) -> list[Breach]:
    if limit.base not in bases:
        raise InputError(
            "a limit is a share of a sum that is not told",
            where=f"{limit.dimension} limit ({limit.source})",
            found=limit.base,
            cure="Give it in minor units.",
        )
    inside = held
    if limit.dimension == "group":
        members: dict[str, set[str]] = {}
        for one in held:
            members.setdefault(one.group, set()).add(one.borrower)
        inside = tuple(one for one in held if one.group and len(members[one.group]) > 1)
    most = int(Fraction(limit.share) * bases[limit.base])
    sums = _spread(limit.dimension, _sums(inside, limit.dimension, limit.loans)).largest
    return [Breach(limit, name, found, most) for name, found in sums if found > most]
