"""Words of a plan about windows whose low edge is no distance, and about ways to a key other than the event's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quanheng.features.fold import EventLayout
from quanheng.features.kernel import words as w
from quanheng.features.kinds import KINDS
from quanheng.features.zones import zone_words

HALVES = ("half 1", "half 2")
"""Parts of a whole key among raw columns."""

if TYPE_CHECKING:
    from quanheng.features.tables import Encoder, Table


def operations(
    encoder: Encoder, layout: EventLayout, table: Table, offset: int, does: tuple[bool, bool]
) -> list[list[int]]:
    """What one event type does to a table: one operation, or two where it is put in and read under different keys."""
    inserts, decides = does
    elsewhere = decides and (table.match != () or table.through is not None)
    keys = table.match if elsewhere and table.match else table.by
    through = elsewhere and table.through is not None
    has = set(keys) <= set(layout.keys) and not through
    members = [layout.keys.index(key) for key in keys] if has else []
    split, special = inserts and elsewhere, (w.THROUGH if through else 0)
    if split:
        special |= w.FOLLOWS
    if special:
        encoder.words[w.P_ORDERED] = 1
    answer = encoder.through.index(table.through) if through else 0
    reads = [offset, int(inserts and not split), int(decides), len(members) if has else -1, encoder.put(members)]
    where = encoder.condition(table) if inserts else 0
    ops = [[*reads, special, answer, 0 if split else where]]
    if split:
        own = [layout.keys.index(key) for key in table.by]
        ops.insert(0, [offset, 1, 0, len(own), encoder.put(own), 0, 0, where])
    return ops


def place_answers(encoder: Encoder) -> None:
    """Give each whole key a place in the control words: in rows of what is remembered ahead that no operation has."""
    if not encoder.through:
        return
    first = encoder.words[w.P_OPS_N]
    encoder.words[w.P_OPS_N] = ops_n = first + -(-len(encoder.through) // w.AHEAD)
    for at, number in encoder.answers:
        row = (number % w.AHEAD) * ops_n + first + number // w.AHEAD
        encoder.words[at] = w.X_WORDS + row * w.Y_WORDS


def both_halves(encoder: Encoder, number: int, outs: Sequence[int], place: int, own: int) -> list[int]:
    """Column operations of the halves of a whole key. It takes two words of a row; each is read as a number would be.

    number, own : of the fold, and which of its table; outs : columns of the table; place : of the key in a row
    """
    columns = [at for at, column in enumerate(encoder.columns) if column.fold == number and column.part in HALVES]
    operations = [[w.LAST, at, place + half, outs.index(at), number, own] for half, at in enumerate(columns)]
    return [word for operation in operations for word in operation]


def encoded_edges(encoder: Encoder, table: Table, bound_words: int, sessions_at: int) -> list[int]:
    """The words of the edges of a table."""
    words: list[int] = []
    for place, edge in enumerate(table.edges):
        at, high = len(table.bounds) + place, table.bounds.index(edge.delay_ms)
        words += [
            w.K_BOUNDS + at * bound_words, w.K_BOUNDS + high * bound_words, edge.delay_ms, edge.window_ms,
            edge.unit, encoder.once(zone_words(edge.zone)) if edge.zone else 0, edge.last, edge.gap_ms,
            int(edge.without), sessions_at + 2 * place,
        ]  # fmt: skip
    return words


def encoded_ages(encoder: Encoder, aged: Sequence[tuple[int, int, int, int, int]]) -> int:
    """Offset of the words of the folds of a table that have a largest age.

    aged : number of the fold, offsets in a slot of its low (0: all history) and high boundary, its first column in a
        vector and within the table
    """
    words: list[int] = []
    answers = []
    for number, low, high, first, place in aged:
        fold = encoder.folds[number]
        if fold.name in encoder.through:
            answers.append((len(words) + w.J_THROUGH, encoder.through.index(fold.name)))
        without, parts = int(fold.current == "out" and fold.delay_ms == 0), len(KINDS[fold.fold].parts)
        words += [low, high, without, fold.age_ms_max or 0, first, place, parts, 0]
    at = encoder.put(words)
    encoder.answers += [(at + word, number) for word, number in answers]
    return at
