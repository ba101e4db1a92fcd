"""Conformance kit: does a source keep the laws of `quanheng.features.source`? For users who write one.

from quanheng.testing.source_kit import check_source, check_stateful_source
assert check_source(make_model, batch, known) == []            # without state
assert check_stateful_source(make_graph, batch) == []          # with state
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quanheng.features.source import Batch, Source, StatefulSource, order_sources


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
    return broken


def check_stateful_source(make: Callable[[], StatefulSource], batch: Batch) -> list[str]:
    """Broken laws, one sentence each; empty if the source conforms.

    Parameters
    ----------
    make : gives a fresh source each time, that has folded nothing
    batch : at least 4 events that the source folds, as many as it takes to make it answer variously
    """
    source = make()
    if not isinstance(source, StatefulSource):
        return ["it lacks an attribute or method of the protocol StatefulSource"]
    before = _bytes(batch, {})
    whole = source.apply(batch)
    if _bytes(batch, {}) != before:
        return ["apply wrote into its inputs"]
    broken = _shape(source, batch, whole)
    if broken:
        return broken
    broken += _groups(make, batch, source, whole)
    broken += _dry_runs(make, batch, source, whole)
    broken += _saved(make, batch, source)
    return broken


def _bytes(batch: Batch, known: Mapping[str, np.ndarray]) -> list[bytes]:
    arrays = [batch.types, batch.times, batch.keys, batch.numbers, *known.values()]
    return [array.tobytes() for array in arrays]


def _shape(source: Source | StatefulSource, batch: Batch, whole: object) -> list[str]:
    wanted = (len(batch.times), len(source.columns))
    if not isinstance(whole, np.ndarray) or whole.dtype != np.float64 or whole.shape != wanted:
        found = f"{whole.dtype} {whole.shape}" if isinstance(whole, np.ndarray) else type(whole).__name__
        return [f"the answer was {found}, allowed: float64 {wanted}"]
    if not getattr(source, "name", "-") or not source.version:
        return ["name or version is empty"]
    if np.isinf(whole).any():
        return ["an answer is an infinity; what cannot be computed is null (NaN)"]
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


def _groups(make: Callable[[], StatefulSource], batch: Batch, source: StatefulSource, whole: np.ndarray) -> list[str]:
    """One by one, unread, or named by another offset: the same answers and the same state."""
    n, alone, unread, moved = len(batch.times), make(), make(), make()
    rows = [alone.apply(batch.rows(row, row + 1)) for row in range(n)]
    unread.apply(batch, False)
    elsewhere = moved.apply(batch._replace(offset=batch.offset + 1_000))
    broken = []
    if not _same(np.vstack(rows), whole) or alone.digest() != source.digest():
        broken.append("events one by one give other answers or another digest than in a group")
    if unread.digest() != source.digest():
        broken.append("events that nobody reads are folded otherwise, or the digest depends on what was read")
    if not _same(elsewhere, whole) or moved.digest() != source.digest():
        broken.append("it uses `offset`, which a group has another of in recovery")
    if make().digest() == source.digest():
        broken.append("the digest does not change though events were folded")
    return broken


def _dry_runs(make: Callable[[], StatefulSource], batch: Batch, source: StatefulSource, whole: np.ndarray) -> list[str]:
    half = len(batch.times) // 2
    first, second = batch.rows(0, half), batch.rows(half, len(batch.times))
    dry = make()
    dry.apply(first)
    before = dry.digest(), _dumped(dry)
    seen = dry.peek(second)
    if (dry.digest(), _dumped(dry)) != before:
        return ["peek changes the state"]
    if not _same(seen, whole[half:]):
        return ["peek does not answer what apply would"]
    dry.apply(second)
    return [] if dry.digest() == source.digest() else ["after a peek events are folded otherwise"]


def _saved(make: Callable[[], StatefulSource], batch: Batch, source: StatefulSource) -> list[str]:
    half = len(batch.times) // 2
    begun, loaded = make(), make()
    begun.apply(batch.rows(0, half))
    dump = begun.dump()
    if any(not isinstance(array, np.ndarray) or array.dtype.hasobject for array in dump.values()):
        return ["dump gives something else than plain arrays"]
    kept = {name: array.copy() for name, array in dump.items()}
    begun.apply(batch.rows(half, len(batch.times)))
    if any(not np.array_equal(dump[name], kept[name]) for name in kept):
        return ["a dump changes with the source that it was taken of"]
    loaded.load(kept)
    loaded.apply(batch.rows(half, len(batch.times)))
    if loaded.digest() != source.digest():
        return ["a source that was dumped, loaded and gone on with differs from one that was not"]
    return []


def _dumped(source: StatefulSource) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in source.dump().items()}


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, all NaN alike."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))
