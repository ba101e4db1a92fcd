"""The plain-Python twin of folds over structures: from the values of a window to raw columns, in the fewest lines.

Formulas are written down anew, on Python's integers, and floats step by step as IEEE 754 says, so that the fast kernel
must give the same bits.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

from quanheng.features.fold import Fold
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN

Value = int | tuple[int, int]
Place = tuple[int, int | None, int | None]  # Time in ms, latitude, longitude.

_WORD = 2**64 - 1
_EARTH_M = 6_371_008.8
_CONTEXT = Context(prec=40)


def values_answer(fold: Fold, values: Sequence[Value]) -> list[int]:
    """Raw columns of `top`, `top_share`, `entropy`, `percentile` and `distinct` over the values that are not null."""
    if fold.fold == "distinct":
        distinct = set(values)
        few = fold.exact_max is None or len(distinct) <= fold.exact_max
        return [len(distinct) if few else estimated(distinct)]
    if not values:
        return [NULL, 0] if fold.fold == "top_share" else [NULL]
    counts = Counter(values)
    top, count = min(counts.items(), key=lambda one: (-one[1], one[0]))
    if fold.fold == "top":
        return [top if isinstance(top, int) else top[0] >> 11]
    if fold.fold == "top_share":
        return [count, len(values)]
    if fold.fold == "entropy":
        return [bits(entropy(counts.values()))]
    numbers = sorted(value for value in values if isinstance(value, int))
    assert fold.quantile is not None
    rank = math.ceil(Fraction(fold.quantile) * len(numbers))
    return [in_bucket(numbers[rank - 1], Fraction(fold.accuracy or Decimal("0.01")))]


def streak(values: Sequence[Value | None]) -> int:
    """How many of the last values, one after the other, are neither 0 nor null."""
    length = 0
    for value in reversed(values):
        if not value:
            break
        length += 1
    return length


def bits(value: float) -> int:
    """The bits of a float as a signed whole number."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def entropy(counts: Iterable[int]) -> float:
    """Bits, from whole logarithms."""
    total, terms = 0, 0
    for count in counts:
        total += count
        terms += count * log2_of(count)
    rest = max(total * log2_of(total) - terms, 0)
    return (float(rest >> 64) * 2.0**64 + float(rest & _WORD)) / float(total) / 2.0**32


@cache
def log2_of(count: int) -> int:
    """2^32 * log2(count), nearly: rounded below 2048, beyond it by three terms of the series."""
    if count < 2048:
        return int((Decimal(count).ln(_CONTEXT) / Decimal(2).ln(_CONTEXT) * 2**32).to_integral_value())
    shift = count.bit_length() - 11
    head = count >> shift
    x = ((count - (head << shift)) << 48 >> shift) // head
    square = (x >> 7) ** 2 >> 34
    cube = square * (x >> 4) >> 44
    per_ln2 = round(2**24 / Fraction(math.log(2)))
    return log2_of(head) + (shift << 32) + ((x - square // 2 + cube // 3) * per_ln2 >> 40)


def in_bucket(value: int, accuracy: Fraction) -> int:
    """The answer that stands for a value."""
    lasts, answers = _buckets(accuracy)
    answer = answers[bisect_left(lasts, abs(value))]
    return answer if value >= 0 else -answer


@cache
def _buckets(accuracy: Fraction) -> tuple[list[int], list[int]]:
    """Last member and answer of each bucket from that of 0 on, built one behind the other."""
    lasts, answers = [0], [0]
    while lasts[-1] < NUMBER_MAX:
        answer = math.floor((lasts[-1] + 1) * (1 + accuracy))
        answers.append(min(answer, -NUMBER_MIN))
        lasts.append(math.floor(answer / (1 - accuracy)))
    return lasts, answers


def estimated(distinct: Iterable[Value]) -> int:
    """HyperLogLog over 4096 registers with Ertl's improved estimator."""
    ranks = [0] * 4096
    for value in distinct:
        first, second = (value, 0) if isinstance(value, int) else value
        word = _mixed((_mixed((first & _WORD) ^ 0x452821E638D01377) + second) & _WORD)
        rest = word & (2**52 - 1)
        register = word >> 52
        ranks[register] = max(ranks[register], 53 - rest.bit_length())
    shown = Counter(ranks)
    total = 4096.0 * _tau(1.0 - shown[53] / 4096.0)
    for rank in range(52, 0, -1):
        total = 0.5 * (total + shown[rank])
    total += 4096.0 * _sigma(shown[0] / 4096.0)
    return int(0.5 / math.log(2) * 4096.0 * 4096.0 / total + 0.5)


def _mixed(word: int) -> int:
    word ^= word >> 33
    word = word * 0xFF51AFD7ED558CCD & _WORD
    word ^= word >> 33
    word = word * 0xC4CEB9FE1A85EC53 & _WORD
    return word ^ word >> 33


def _sigma(x: float) -> float:
    total, weight, before = x, 1.0, -1.0
    while total != before:
        x, before = x * x, total
        total, weight = total + x * weight, weight + weight
    return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    total, weight, before = 1.0 - x, 1.0, -1.0
    while total != before:
        x, weight, before = math.sqrt(x), weight * 0.5, total
        total -= (1.0 - x) * (1.0 - x) * weight
    return total / 3.0


def places_answer(fold: Fold, rows: Sequence[Place], scales: tuple[int, int]) -> list[int]:
    """Raw column of `distance` and `speed` between the last two rows of a window."""
    if len(rows) < 2:
        return [NULL]
    (before, *one), (now, *two) = rows[-2:]
    ranges = (90 * 10 ** scales[0], 180 * 10 ** scales[1])
    for place in (one, two):
        for value, most in zip(place, ranges, strict=True):
            if value is None or abs(value) > most:
                return [NULL]
    metres = haversine(one, two, scales)
    if fold.fold == "distance":
        return [int(metres + 0.5)]
    return [bits(metres / float(now - before) * 3600.0) if now > before else NULL]


def haversine(one: Sequence[int | None], two: Sequence[int | None], scales: tuple[int, int]) -> float:
    """Metres between two places (latitude, longitude) in scaled degrees."""
    (p1, l1), (p2, l2) = ((place[0] or 0, place[1] or 0) for place in (one, two))
    unit_p, unit_l = 10.0 ** scales[0], 10.0 ** scales[1]
    both = _cosine(p1 / unit_p) * _cosine(p2 / unit_p)
    u, v = _sine((p2 - p1) / (2.0 * unit_p)), _sine((l2 - l1) / (2.0 * unit_l))
    m, w = _sine((p2 + p1) / (2.0 * unit_p)), _cosine((l2 - l1) / (2.0 * unit_l))
    y, x = math.sqrt(u * u + both * (v * v)), math.sqrt(m * m + both * (w * w))
    t = y / x if y <= x else x / y
    for _ in range(2):
        t = t / (1.0 + math.sqrt(1.0 + t * t))
    angle = 4.0 * (t * _horner([(-1) ** k / (2 * k + 1) for k in range(13)], t * t))
    return 2.0 * _EARTH_M * (angle if y <= x else math.pi / 2 - angle)


def _sine(degrees: float) -> float:
    degrees = abs(degrees)
    degrees = 180.0 - degrees if degrees > 90.0 else degrees
    if degrees <= 45.0:
        x = degrees * (math.pi / 180)
        return x * _horner([(-1) ** k / math.factorial(2 * k + 1) for k in range(9)], x * x)
    x = (90.0 - degrees) * (math.pi / 180)
    return _horner([(-1) ** k / math.factorial(2 * k) for k in range(9)], x * x)


def _cosine(degrees: float) -> float:
    return _sine(90.0 - abs(degrees))


def _horner(coefficients: list[float], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
