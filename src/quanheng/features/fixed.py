"""Tables of whole numbers that plans carry: buckets of percentiles, logarithms. Exact arithmetic, no float anywhere."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

from quanheng.features.kernel.words import LOGARITHMS, NUMBER_MAX, NUMBER_MIN

_DIGITS = Context(prec=40)


@lru_cache(maxsize=16)
def buckets(accuracy: Decimal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Edges and answers of the buckets of a sketch (kernel/sketch.py).

    Bucket 0 is zero alone; bucket i holds the whole numbers from edges[i] to edges[i + 1] - 1, and answers[i] is a
    whole number no further from any of them than `accuracy` times it. Each bucket is the largest for which there is
    such a number: from its edge e on, the answer is the largest r with r - e <= accuracy * e, and the last member the
    largest v with v - r <= accuracy * v. So the bound holds by construction, and below 1 / accuracy every number is a
    bucket of its own: exact.

    Parameters
    ----------
    accuracy : above 0, below 1; taken as an exact fraction
    """
    part, whole = accuracy.as_integer_ratio()
    edges, answers, edge = [0], [0], 1
    while edge <= NUMBER_MAX:
        answer = edge + edge * part // whole
        edges.append(edge)
        answers.append(min(answer, -NUMBER_MIN))  # So that it is a number with either sign.
        edge = answer * whole // (whole - part) + 1
    return tuple(edges), tuple(answers)


def bucket_words(accuracy: Decimal) -> list[int]:
    """The table as the kernel reads it: number of buckets beside bucket 0, values that are buckets of their own, edges,
    answers."""
    edges, answers = buckets(accuracy)
    alone = next(number for number in range(1, len(edges)) if edges[number + 1] != number + 1) - 1
    return [len(edges) - 1, alone, *edges, *answers]


@lru_cache(maxsize=1)
def log2_words() -> tuple[int, ...]:
    """2^32 * log2(c), rounded, for c = 0 (0), 1, 2, …, 2047: within 0.5, as `Decimal.ln` is right to the last digit."""
    unit = _DIGITS.divide(Decimal(2**32), Decimal(2).ln(_DIGITS))
    return (0, *(int(_DIGITS.multiply(Decimal(c).ln(_DIGITS), unit).to_integral_value()) for c in range(1, LOGARITHMS)))
