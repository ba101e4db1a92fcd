"""Which structures over windows a table keeps for its folds, and what they and their columns are in the plan.

Folds that read the same values between the same boundaries share a structure: one counting hash serves `distinct`,
`top`, `top_share` and `entropy`; one sketch serves percentiles of any quantile with one accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from quanheng.features.fixed import bucket_words, log2_words
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.structure_checks import ACCURACY

_HASHES = {"distinct": 0, "top": w.HASH_TOP, "top_share": w.HASH_TOP, "entropy": w.HASH_ENTROPY}
_COLUMNS = {
    "top": w.TOP, "top_share": w.TOP_SHARE, "entropy": w.ENTROPY, "percentile": w.PERCENTILE, "distinct": w.ESTIMATE,
    "distance": w.DISTANCE, "speed": w.SPEED,
}  # fmt: skip
PLACES = frozenset({"distance", "speed"})
ROWS_OF_PLACES = 2  # Rows that folds over places read.


class Structure(NamedTuple):
    """Values between two boundaries: low -1 = all history; `setting` is an accuracy, or how many are held exactly."""

    low: int
    high: int
    value: str
    kind: int
    setting: Decimal | int | None = None


def structure_of(fold: Fold, edges: tuple[int, int]) -> Structure | None:
    """What a fold needs, without what it may share a hash with; None if nothing."""
    value = fold.value or ""
    if fold.fold == "distinct" and fold.exact_max is not None:
        return Structure(*edges, value, w.BOUNDED, fold.exact_max)
    if fold.fold in _HASHES:
        return Structure(*edges, value, 0)
    if fold.fold == "percentile":
        return Structure(*edges, value, w.SKETCH, ACCURACY if fold.accuracy is None else fold.accuracy)
    return None


def structures_of(folds: Iterable[tuple[Fold, tuple[int, int]]]) -> dict[Structure, int]:
    """The structures of the folds of a table, given with their edges, each with its kind (M_KIND)."""
    kinds: dict[Structure, int] = {}
    for fold, edges in folds:
        structure = structure_of(fold, edges)
        if structure is not None:
            kind = structure.kind or _HASHES.get(fold.fold, 0)
            kinds[structure] = kinds.get(structure, 0) | kind
    return kinds


def words_of(kind: int) -> int:
    """Words of a structure in a slot."""
    if kind == w.BOUNDED:
        return w.D_CODES + w.D_WORDS
    if kind == w.SKETCH:
        return w.D_TOTAL + 1
    return w.D_SUM_HIGH + 1 if kind else w.D_WORDS


def encoded(
    kinds: Mapping[Structure, int],
    at: int,
    places: Mapping[str, int],
    keys: Sequence[str],
    put: Callable[[Sequence[int]], int],
) -> list[int]:
    """The structures of a table as words (M_...).

    Parameters
    ----------
    kinds : as `structures_of` gives
    at : where they begin in a slot; they lie one behind the other
    places : word of each value in a row
    keys : values that are keys
    put : gives the offset of words in the plan
    """
    words: list[int] = []
    for structure, kind in kinds.items():
        argument = 0
        if kind == w.BOUNDED:
            argument = int(structure.setting or 0)
        elif kind == w.SKETCH:
            argument = put(bucket_words(Decimal(structure.setting or ACCURACY)))
        elif kind & w.HASH_ENTROPY:
            argument = put(log2_words())
        width = 2 if structure.value in keys else 1
        words += [structure.low, structure.high, places[structure.value], width, kind, at, argument]
        at += words_of(kind)
    return words


def column_of(
    fold: Fold,
    edges: tuple[int, int],
    kinds: Mapping[Structure, int],
    places: Mapping[str, int],
    layout: EventLayout,
    put: Callable[[Sequence[int]], int],
) -> tuple[int, int] | None:
    """(C_KIND, C_ARG) of a fold that `read_structure` reads; None for all others."""
    if fold.fold in PLACES:
        latitude, longitude = fold.value or "", fold.other or ""
        units = [10 ** layout.scale(latitude), 10 ** layout.scale(longitude)]
        return _COLUMNS[fold.fold], put([places[latitude], places[longitude], *units])
    structure = structure_of(fold, edges)
    if structure is None or (fold.fold == "distinct" and fold.exact_max is None):
        return None
    millionths = 0 if fold.quantile is None else int(fold.quantile * w.MILLIONTHS)
    return _COLUMNS[fold.fold], put([list(kinds).index(structure), millionths])
