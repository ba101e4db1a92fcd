"""A plan in shares, one for each of its tables, and which part of the entities an event belongs to in each.

The folds of one (event type, key) know nothing of the others: their columns of a vector come from the rows of that key
alone. So a share can be folded apart, and within a share the entities can be dealt out by a hash of their key: whoever
owns an entity folds every event of it, in log order, with the same kernel, and gives the same bits as one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from quanheng.features.fold import Fold
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.kernel.errors import DeclarationError, Problem

NOBODY = -1
"""Owner of a row that has no such key, or has nothing to do with the share."""

Members = tuple[int, ...]
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TWIN = " that only reads"


class Share(NamedTuple):
    """One table of a plan as a plan of its own.

    number : which share of the plan
    plan : the table's folds; event types that may read one key and enter another also stand in it as types that only
        read (`readers`: code → code of that type)
    columns : places of its raw columns in the whole vector
    inserts, reads : code → key columns whose hash says who folds the event, and who answers for it
    """

    number: int
    plan: Plan
    columns: np.ndarray
    inserts: dict[int, Members]
    reads: dict[int, Members]
    readers: dict[int, int]


def shares_of(plan: Plan) -> tuple[Share, ...]:
    """The shares of a plan, in the order of its tables.

    Raises
    ------
    DeclarationError : a fold finds its key in the answer of another fold, which may be owned by somebody else
    """
    through = [fold for fold in plan.folds if fold.through is not None]
    if through:
        raise DeclarationError(
            "the folds cannot be spread over machines",
            [
                Problem(
                    "features.toml", f"fold {fold.name}", "the key of this fold is the answer of another one",
                    f"through = {fold.through!r}", "folds whose key is a field of the event",
                    "Serve without --cluster, or remove the fold.",
                )
                for fold in through
            ],
        )  # fmt: skip
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, table in enumerate(plan.tables):
        for fold in table.folds:
            groups.setdefault((number, plan.folds[fold].match), []).append(fold)
    return tuple(_share(plan, number, folds) for number, folds in enumerate(groups.values()))


def _share(plan: Plan, number: int, folds: Sequence[int]) -> Share:
    one = plan.folds[folds[0]]
    inserts, reads, readers, layouts = {}, {}, {}, list(plan.layouts)
    free = max(layout.code for layout in layouts) + 1
    into, asks = _members(one)
    for layout in plan.layouts:
        if layout.name == one.of:
            inserts[layout.code] = tuple(layout.keys.index(key) for key in into)
        if layout.name in plan.decide and set(asks) <= set(layout.keys):
            reads[layout.code] = tuple(layout.keys.index(key) for key in asks)
        if layout.code in inserts and layout.code in reads and into != asks:
            readers[layout.code] = free
            layouts.append(replace(layout, name=layout.name + _TWIN, code=free))
            free += 1
    decide = [*plan.decide, *(layout.name for layout in layouts[len(plan.layouts) :])]
    own = [plan.folds[fold] for fold in folds]
    part = Plan.compile(layouts, own, decide, plan.lateness_ms, calendars=plan.calendars)
    places = {column: place for place, column in enumerate(zip(plan.columns, _parts(plan.columns), strict=True))}
    columns = [
        places[column._replace(fold=folds[column.fold]), part_n]
        for column, part_n in zip(part.columns, _parts(part.columns), strict=True)
    ]
    return Share(number, part, np.array(columns, np.int64), inserts, reads, readers)


def _members(fold: Fold) -> tuple[list[str], list[str]]:
    """Key fields in the order of their names, and for each the field of the decided event that stands for it."""
    pairs = sorted(zip(fold.by, fold.match or fold.by, strict=True))
    return [own for own, _ in pairs], [asked for _, asked in pairs]


def _parts(columns: Sequence[object]) -> list[int]:
    """Which column of its fold each is."""
    seen: dict[int, int] = {}
    numbers = []
    for column in columns:
        fold = column.fold  # type: ignore[attr-defined]
        numbers.append(seen.get(fold, 0))
        seen[fold] = numbers[-1] + 1
    return numbers


def owners(share: Share, keys: np.ndarray, members: Members, partitions: int) -> np.ndarray:
    """i4[n]: which of `partitions` equal ranges of the hash holds the key of each row; `NOBODY` where a member is null.

    keys : u8[n, K, 2]. The hash is that of SplitMix64 (Steele, Lea, Flood 2014), over both halves of every member.
    """
    if not members:  # All events of the type are of one entity; entities of that kind are dealt out by their share.
        hashed = _mix(np.full(len(keys), share.number + 1, np.uint64))
        return ((hashed >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int32)
    hashed = np.zeros(len(keys), np.uint64)
    null = np.zeros(len(keys), np.bool_)
    for member in members:
        first, second = keys[:, member, 0], keys[:, member, 1]
        null |= (first == 0) & (second == 0)
        hashed = _mix(_mix(hashed ^ first) ^ second)
    owner = ((hashed >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int32)
    owner[null] = NOBODY
    return owner


def _mix(words: np.ndarray) -> np.ndarray:
    words = words + _GOLDEN
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    mixed: np.ndarray = words ^ (words >> np.uint64(31))
    return mixed


class Dealt(NamedTuple):
    """Who folds and who answers each row of a group in one share: i4[n], `NOBODY` = nobody needs to."""

    inserts: np.ndarray
    reads: np.ndarray


def deal(share: Share, types: np.ndarray, keys: np.ndarray, partitions: int) -> Dealt:
    """Deal the rows of a group out to the owners of their keys."""
    dealt = []
    for by_code in (share.inserts, share.reads):
        owner = np.full(len(types), NOBODY, np.int32)
        for code, members in by_code.items():
            rows = types == code
            if rows.all():
                owner = owners(share, keys, members, partitions)
            elif rows.any():
                owner[rows] = owners(share, keys[rows], members, partitions)
        dealt.append(owner)
    return Dealt(*dealt)


class Piece(NamedTuple):
    """What one owner does in one share: rows in log order.

    rows : i4[m], their places in the group; types : i4[m]; reads : b1[m], which of them it answers
    """

    share: int
    rows: np.ndarray
    types: np.ndarray
    reads: np.ndarray


def pieces_for(shares: Sequence[Share], dealt: Sequence[Dealt], types: np.ndarray, owner: int) -> list[Piece]:
    """What `owner` has to do of a group."""
    pieces = []
    for share, (inserts, reads) in zip(shares, dealt, strict=True):
        folds, asked = inserts == owner, reads == owner
        rows = np.flatnonzero(folds | asked)
        if not len(rows):
            continue
        codes = types[rows].astype(np.int32)
        for code, reader in share.readers.items():  # Its event enters another key, so here it may only look.
            codes[(codes == code) & ~folds[rows]] = reader
        pieces.append(Piece(share.number, rows.astype(np.int32), codes, asked[rows]))
    return pieces


def empty_answers(
    share: Share, nothing: FeatureState, rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """What the share answers decided rows of which nobody owns the key: the kernel is asked, with nothing folded.

    nothing : a state of the share's plan with nothing folded, which it stays
    """
    types, times, keys, numbers = rows
    codes = types.astype(np.int32)
    for code, reader in share.readers.items():
        codes[codes == code] = reader
    return nothing.peek(codes, times, keys, numbers)
