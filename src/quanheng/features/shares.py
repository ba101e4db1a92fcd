"""A plan in shares, one for each of its tables, and which part of the entities an event belongs to in each.

The folds of one (event type, key) know nothing of the others: their columns of a vector come from the rows of that key
alone. So a share can be folded apart, and within a share the entities can be dealt out by a hash of their key: whoever
owns an entity folds every event of it, in log order, with the same kernel, and gives the same bits as one process.

Where another fold answers the key that is read (`through`), only the reading waits for it: what is folded, and by whom,
stands in the event. So such a share takes a group once that fold's share has answered it, with the answers beside the
events; and nobody needs them where the log is folded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from quanheng.features.fold import Fold
from quanheng.features.kernel.words import UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.features.ways import HALVES
from quanheng.features.windows import depth

NOBODY = -1
"""Owner of a row that has no such key, or has nothing to do with the share."""

Members = tuple[int, ...]
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TWIN, _ASKED = " that only reads", "key that is read"


class Share(NamedTuple):
    """One table of a plan as a plan of its own.

    number, title : which share of the plan, and that of the table, for people
    plan : the table's folds; event types that may read one key and enter another also stand in it as types that only
        read (`readers`: code → code of that type)
    columns : places of its raw columns in the whole vector; halves of whole keys, behind them, have none there
    inserts, reads : code → key columns whose hash says who folds the event, and who answers for it
    through : the fold that answers the key that is read, which is then the first key column of the share's plan and the
        only one that `reads` counts
    depth : how many shares must have answered before it
    tells : fold whose whole key another share waits for → its own raw column, and the first of the two halves
    """

    number: int
    title: str
    plan: Plan
    columns: np.ndarray
    inserts: dict[int, Members]
    reads: dict[int, Members]
    readers: dict[int, int]
    through: str | None
    depth: int
    tells: dict[str, tuple[int, int]]

    def keys(self, keys: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Keys of some events as the share's plan takes them; `asked`: u8[n, 2], what the other fold has answered."""
        if self.through is None:
            return keys
        first = np.zeros((len(keys), 2), np.uint64) if asked is None else asked
        return np.concatenate([first[:, None], keys], axis=1)


def shares_of(plan: Plan) -> tuple[Share, ...]:
    """The shares of a plan, in the order of its tables: one whose key another answers stands behind that one."""
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, table in enumerate(plan.tables):
        for fold in table.folds:
            groups.setdefault((number, plan.folds[fold].match), []).append(fold)
    titled = [(plan.tables[table].title, folds) for (table, _), folds in groups.items()]
    return tuple(_share(plan, number, title, folds) for number, (title, folds) in enumerate(titled))


def _share(plan: Plan, number: int, title: str, folds: Sequence[int]) -> Share:
    own, layouts = [plan.folds[fold] for fold in folds], list(plan.layouts)
    one, through = own[0], own[0].through
    deep = depth({fold.name: fold for fold in plan.folds}, one)
    if through is not None:
        own = [replace(fold, through=None, match=(_ASKED,)) for fold in own]
        layouts = [replace(layout, keys=(_ASKED, *layout.keys)) for layout in layouts]
    inserts, reads, readers = {}, {}, {}
    free = max(layout.code for layout in layouts) + 1
    into, asks = _members(own[0])
    for was, layout in zip(plan.layouts, tuple(layouts), strict=True):
        if layout.name == one.of:
            inserts[layout.code] = tuple(was.keys.index(key) for key in into)
        if layout.name in plan.decide and set(asks) <= set(layout.keys):
            reads[layout.code] = tuple(layout.keys.index(key) for key in asks)
        if layout.code in inserts and layout.code in reads and into != asks:
            readers[layout.code] = free
            layouts.append(replace(layout, name=layout.name + _TWIN, code=free))
            free += 1
    decide = [*plan.decide, *(layout.name for layout in layouts[len(plan.layouts) :])]
    wanted = {fold.through for fold in plan.folds}
    whole = [fold.name for fold in own if fold.name in wanted]
    part = Plan.compile(layouts, own, decide, plan.lateness_ms, calendars=plan.calendars, whole=whole)
    answers_n = len(part.columns) - len(HALVES) * len(whole)
    tells = {name: (_column(part, name), answers_n + len(HALVES) * at) for at, name in enumerate(whole)}
    columns = _columns(plan, part, folds)
    return Share(number, title, part, columns, inserts, reads, readers, through, deep, tells)


def _columns(plan: Plan, part: Plan, folds: Sequence[int]) -> np.ndarray:
    """Places in the whole vector of the raw columns of a plan of some of the folds."""
    places = {column: place for place, column in enumerate(zip(plan.columns, _parts(plan.columns), strict=True))}
    return np.array(
        [
            places[column._replace(fold=folds[column.fold]), part_n]
            for column, part_n in zip(part.columns, _parts(part.columns), strict=True)
            if column.part not in HALVES
        ],
        np.int64,
    )


def _column(plan: Plan, name: str) -> int:
    """The first raw column of a fold."""
    return next(at for at, column in enumerate(plan.columns) if column.name == name)


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


def deal(share: Share, types: np.ndarray, keys: np.ndarray, partitions: int, asked: np.ndarray | None = None) -> Dealt:
    """Deal the rows of a group out to the owners of their keys.

    keys : u8[n, K, 2]; asked : u8[n, 2], what the share's `through` has answered, zeros where that is nothing
    """
    read = keys if asked is None else asked[:, None]
    folded = folders(share, types, keys, partitions)
    return Dealt(folded, _owned(share, share.reads, types, read, partitions))


def folders(share: Share, types: np.ndarray, keys: np.ndarray, partitions: int) -> np.ndarray:
    """Who folds each row of a group in one share: i4[n], `NOBODY` = nobody does."""
    return _owned(share, share.inserts, types, keys, partitions)


def _owned(
    share: Share, by_code: dict[int, Members], types: np.ndarray, keys: np.ndarray, partitions: int
) -> np.ndarray:
    owner = np.full(len(types), NOBODY, np.int32)
    for code, members in by_code.items():
        rows = types == code
        if rows.all():
            owner = owners(share, keys, members, partitions)
        elif rows.any():
            owner[rows] = owners(share, keys[rows], members, partitions)
    return owner


class Piece(NamedTuple):
    """What one owner does in one share: rows in log order.

    rows : i4[m], their places in the group; types : i4[m]; reads : b1[m], which of them it answers
    asked : u8[m, 2], the keys that the share's `through` has answered for them; None where there is none
    """

    share: int
    rows: np.ndarray
    types: np.ndarray
    reads: np.ndarray
    asked: np.ndarray | None = None


def piece_for(
    share: Share, dealt: Dealt, types: np.ndarray, owner: int, asked: np.ndarray | None = None
) -> Piece | None:
    """What `owner` has to do of a group in one share; None = nothing."""
    folds, reads = dealt.inserts == owner, dealt.reads == owner
    rows = np.flatnonzero(folds | reads)
    if not len(rows):
        return None
    codes = types[rows].astype(np.int32)
    for code, reader in share.readers.items():  # Its event enters another key, so here it may only look.
        codes[(codes == code) & ~folds[rows]] = reader
    return Piece(share.number, rows.astype(np.int32), codes, reads[rows], None if asked is None else asked[rows])


class Told(NamedTuple):
    """What a fold over keys has answered to a group: u8[n, 2], zeros where that is nothing; and b1[n], where its answer
    is not known."""

    keys: np.ndarray
    unknown: np.ndarray

    @staticmethod
    def nothing(rows: int) -> Told:
        """Of a fold that has answered nothing yet."""
        return Told(np.zeros((rows, 2), np.uint64), np.zeros(rows, np.bool_))

    def learn(self, rows: np.ndarray, raw: np.ndarray, place: tuple[int, int]) -> None:
        """Take answers for some rows out of a share's raw columns; `place` as in `Share.tells`."""
        column, half = place
        known = raw[:, column] >= 0  # 53 bits of a key; NULL and UNKNOWN are below.
        self.keys[rows[known]] = raw[known, half : half + len(HALVES)].view(np.uint64)
        self.unknown[rows] = raw[:, column] == UNKNOWN


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
    return nothing.peek(codes, times, share.keys(keys), numbers)[:, : len(share.columns)]
