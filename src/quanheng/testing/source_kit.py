"""Conformance kit: does a Source keep the laws of `quanheng.features.source`? For users who write one.

    from quanheng.testing.source_kit import check_source
    assert check_source(make_source, batch, known) == []
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quanheng.features.source import Batch, Source, order_sources


def check_source(make: Callable[[], Source], batch: Batch, known: Mapping[str, np.ndarray]) -> list[str]:
    """Broken laws, one sentence each; empty if the source conforms.

    Parameters
    ----------
    make : gives a fresh source each time, always with the same content
    batch : a group of at least 4 rows
    known : f8[n] columns, at least what the source needs
    """
    source = make()
    if not isinstance(source, Source):
        return ["it lacks an attribute or method of the protocol Source"]
    broken = order_sources([source], list(known))
    if broken:
        return broken
    before = _bytes(batch, known)
    whole = source.read(batch, known)
    if _bytes(batch, known) != before:
        return ["read wrote into its inputs"]
    broken += _shape(source, batch, whole)
    if broken:
        return broken
    broken += _pure(make, source, batch, known, whole)
    broken += _rows(make, batch, known, whole)
    broken += _replay(make, batch, known)
    return broken


def _bytes(batch: Batch, known: Mapping[str, np.ndarray]) -> list[bytes]:
    arrays = [batch.types, batch.times, batch.keys, batch.numbers, *known.values()]
    return [array.tobytes() for array in arrays]


def _shape(source: Source, batch: Batch, whole: object) -> list[str]:
    wanted = (len(batch.times), len(source.columns))
    if not isinstance(whole, np.ndarray) or whole.dtype != np.float64 or whole.shape != wanted:
        found = f"{whole.dtype} {whole.shape}" if isinstance(whole, np.ndarray) else type(whole).__name__
        return [f"read gave {found}, allowed: float64 {wanted}"]
    if not source.name or not source.version:
        return ["name or version is empty"]
    if np.isinf(whole).any():
        return ["read gave an infinity; what cannot be computed is null (NaN)"]
    return []


def _pure(
    make: Callable[[], Source], source: Source, batch: Batch, known: Mapping[str, np.ndarray], whole: np.ndarray
) -> list[str]:
    broken = []
    if not _same(source.read(batch, known), whole):
        broken.append("a second read of the same group differs: read changes something, or uses a clock or chance")
    if not _same(make().read(batch, known), whole):
        broken.append("a fresh source with the same content answers otherwise")
    extra = dict(known, **{"a column it did not declare": np.zeros(len(batch.times))})
    needed = {name: extra[name] for name in source.needs}
    if not _same(make().read(batch, needed), whole):
        broken.append("it reads a known column that it does not declare in `needs`")
    return broken


def _rows(make: Callable[[], Source], batch: Batch, known: Mapping[str, np.ndarray], whole: np.ndarray) -> list[str]:
    source = make()
    for row in range(len(batch.times)):
        alone = source.read(batch.rows(row, row + 1), {name: column[row : row + 1] for name, column in known.items()})
        if not _same(alone, whole[row : row + 1]):
            return [f"row {row} alone differs from row {row} of the group: rows see each other, or sums are reordered"]
    return []


def _replay(make: Callable[[], Source], batch: Batch, known: Mapping[str, np.ndarray]) -> list[str]:
    together, apart = make(), make()
    together.apply(batch)
    half = len(batch.times) // 2
    apart.apply(batch.rows(0, half))
    apart.read(batch, known)
    apart.apply(batch.rows(half, len(batch.times)))
    if not _same(together.read(batch, known), apart.read(batch, known)):
        return ["after the same events in other groups, with a read in between, it answers otherwise"]
    return []


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, all NaN alike."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))
