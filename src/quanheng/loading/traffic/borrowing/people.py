"""People who apply in one month of a simulation: hidden traits, segment, rings, what becomes of their loans.

Integers only, drawn as in `traffic.draws`: the same on every machine.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

import msgspec
import numpy as np

from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration, Drive, Measure, Shock
from quanheng.loading.traffic.draws import Draws, Integers

DAY_MS, MONTH_DAYS = 86_400_000, 30
SIGMA = 1_000
"""One standard deviation."""
PEOPLE_STREAM, OUTCOME_STREAM, OTHERS_STREAM, FIELD_STREAM, ROW_STREAM = 11, 12, 13, 14, 15
QUIET_MS = 600_000
_REACH, _UNIT = 5_000, 2**20
_EXACT = Context(prec=30)


class People(msgspec.Struct, frozen=True, kw_only=True):
    """The applicants of a month, in order of their applications; all i8[n].

    number : from 0 over the whole run; time_ms : of the application
    ability, honesty, health : thousandths of a standard deviation
    segment : position in the declaration; ring : 0 = none, else its number from 1 over the whole run
    income_minor : true income of a month
    worth : z of the default without its noise, thousandths: the truth that an oracle ranks by
    bad : 1 = goes bad within the year; stops : the instalment, from 1, that is the first never paid (0 = all are paid)
    """

    number: Integers
    time_ms: Integers
    ability: Integers
    honesty: Integers
    health: Integers
    segment: Integers
    ring: Integers
    income_minor: Integers
    worth: Integers
    bad: Integers
    stops: Integers
    choices: dict[str, Integers]


@lru_cache(maxsize=1)
def _exponentials() -> Integers:
    """exp(k / 1000) * 2**20 for k from -5000 to 5000, from 30-digit decimals: the same everywhere."""
    return np.array(
        [int(_EXACT.exp(Decimal(k) / 1000) * _UNIT) for k in range(-_REACH, _REACH + 1)],
        np.int64,
    )


def grown(base: Integers, exponent: Integers) -> Integers:
    """base * exp(exponent / 1000), whole; exponents beyond 5 are cut, base is at most 2**36."""
    factor = _exponentials()[np.clip(exponent, -_REACH, _REACH) + _REACH]
    return (np.minimum(base, 2**36) * factor) // _UNIT


def normal(draws: Draws, count: int) -> Integers:
    """Standard normal numbers, thousandths."""
    return draws.bell(np.zeros(count, np.int64), np.full(count, SIGMA))


def applicants(declared: BorrowingDeclaration, month: int) -> tuple[int, int]:
    """(how many before the month, how many in it), rings included."""
    counts = [declared.per_month * weight // 100 for weight in declared.season]
    ring = declared.rings.per_month * declared.rings.members
    year, rest = divmod(month, len(counts))
    before = year * sum(counts) + sum(counts[:rest])
    return before + month * ring, counts[rest] + ring


def people_of(declared: BorrowingDeclaration, seed: int, month: int, signal: int = 1) -> People:
    """The applicants of month `month` (30 days each, from 0).

    signal : 0 = what becomes of a loan follows from the traits of somebody else: nothing told can know it
    """
    first, count = applicants(declared, month)
    draws = Draws(seed, PEOPLE_STREAM, month)
    start = declared.start_ms + month * MONTH_DAYS * DAY_MS
    time_ms = np.sort(start + QUIET_MS + draws.below(MONTH_DAYS * DAY_MS - 2 * QUIET_MS, count))
    ability, honesty, health = (normal(draws, count) for _ in range(3))
    segment = draws.pick([one.weight for one in declared.segments], count)
    ring = _rings(declared, month, draws, count)
    honesty = np.where(ring > 0, honesty - 2 * SIGMA, honesty)
    noise = normal(draws, count)
    income = grown(
        np.full(count, int(declared.income.base), np.int64),
        _slope(declared.income, _weighed(declared.income.drive, ability, honesty, health, 0 * ability, noise)),
    )
    choices = {
        one.field: Draws(seed, FIELD_STREAM, place, month).pick(list(one.weights.values()), count)
        for place, one in enumerate(declared.application.measures)
        if one.shape == "choice"
    }
    shock = sum((shocked(declared, one, choices, time_ms) for one in declared.shocks), 0 * ability)
    told = (ability, honesty, health, shock, ring)
    if not signal:
        others = Draws(seed, OTHERS_STREAM, month)
        told = (normal(others, count), normal(others, count), normal(others, count), 0 * ability, 0 * ring)
    worth, bad, stops = _fate(declared, Draws(seed, OUTCOME_STREAM, month), *told)
    return People(
        number=first + np.arange(count), time_ms=time_ms, ability=ability, honesty=honesty, health=health,
        segment=segment, ring=ring, income_minor=income, worth=worth, bad=bad, stops=stops, choices=choices,
    )  # fmt: skip


def weighed(drive: Drive, people: People, rows: Integers, shock: Integers, noise: Integers) -> Integers:
    """z of rows about people: `rows` are positions in `people`; thousandths."""
    traits = (people.ability[rows], people.honesty[rows], people.health[rows])
    return _weighed(drive, *traits, shock, noise)


def shocked(
    declared: BorrowingDeclaration, shock: Shock, choices: dict[str, Integers], time_ms: Integers, ahead_days: int = 180
) -> Integers:
    """How much worse off each applicant is by a shock: it weighs on loans applied for up to `ahead_days` before it."""
    since = shock.start_ms - ahead_days * DAY_MS
    hit = (time_ms >= since) & (time_ms < shock.start_ms + shock.days * DAY_MS)
    if shock.field:
        measure = next(one for one in declared.application.measures if one.field == shock.field)
        hit &= choices[shock.field] == list(measure.weights).index(shock.value)
    return np.where(hit, shock.size, 0)


def _weighed(
    drive: Drive, ability: Integers, honesty: Integers, health: Integers, shock: Integers, noise: Integers
) -> Integers:
    total = drive.ability * ability + drive.honesty * honesty + drive.health * health
    return (total - drive.shock * shock + drive.noise * noise) // SIGMA


def _slope(measure: Measure, z: Integers) -> Integers:
    return (int(measure.slope * SIGMA) * z) // SIGMA


def _rings(declared: BorrowingDeclaration, month: int, draws: Draws, count: int) -> Integers:
    """Which applicants are members of which ring: those nearest in time to a moment of the month."""
    rings, found = declared.rings, np.zeros(count, np.int64)
    for which in range(rings.per_month):
        free = np.flatnonzero(found == 0)
        at = int(draws.below(max(1, len(free) - rings.members + 1), 1)[0])
        found[free[at : at + rings.members]] = 1 + month * rings.per_month + which
    return found


def _fate(
    declared: BorrowingDeclaration,
    draws: Draws,
    ability: Integers,
    honesty: Integers,
    health: Integers,
    shock: Integers,
    ring: Integers,
) -> tuple[Integers, Integers, Integers]:
    """(worth, bad, stops): members of rings never pay; others who go bad pay one to nine instalments before."""
    silent, count = declared.default, len(ability)
    worth = _weighed(msgspec.structs.replace(silent, noise=0), ability, honesty, health, shock, 0 * ability)
    worth = np.where(ring > 0, -10 * SIGMA, worth)
    z = worth + (silent.noise * normal(draws, count)) // SIGMA
    bad = (z < -declared.threshold).astype(np.int64)
    stops = np.where(bad == 1, np.where(ring > 0, 1, 2 + draws.below(9, count)), 0)
    return worth, bad, stops
