"""One group as the sequencer deals it out and joins the answers, in as many rounds as folds wait for one another.

A fold whose key another fold answers (`through`) waits until that one has answered the whole group: its share has its
part in a later round, with the answered keys beside the events. Within a round every partition is asked at once. Where
no event of a group reads such a fold, one round is enough, as it is for every group of a plan without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quanheng.cluster.partition import Answer
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.shares import NOBODY, Dealt, Piece, Share, Told, deal, empty_answers, piece_for
from quanheng.features.state import FeatureState

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Group:
    """One group. For each round: `deal`, `pieces` for every partition, `join` every answer, `fill`.

    read : whether decided events are answered

    Attributes
    ----------
    out : i8[n, columns], the vectors as far as they are known
    overflows : (row, name of the fold) of each sum that does not fit 64 bits
    rounds : how many there are
    """

    def __init__(self, plan: Plan, shares: Sequence[Share], arrays: Arrays, read: bool, partitions: int) -> None:
        self.shares, self.arrays, self.read, self.partitions = shares, arrays, read, partitions
        types = arrays[0]
        self.out = np.full((len(types), len(plan.columns)), NULL, np.int64)
        self.overflows: list[tuple[int, str]] = []
        self._decided = np.isin(types, [layout.code for layout in plan.layouts if layout.name in plan.decide])
        self._told = {name: Told.nothing(len(types)) for share in shares for name in share.tells}
        # What nobody reads through is folded at once: who folds an event stands in the event itself.
        waits = read and self._decided.any()
        self._waits = [share.depth if waits else 0 for share in shares]
        self.rounds = 1 + max(self._waits, default=0)
        self._dealt: list[tuple[Share, Dealt, np.ndarray | None]] = []

    def deal(self, round_n: int) -> None:
        """Deal out what the shares of a round have to do; what they wait for is there."""
        types, _, keys, _ = self.arrays
        self._dealt = []
        for share, waits in zip(self.shares, self._waits, strict=True):
            if waits != round_n:
                continue
            asked = None if share.through is None else self._told[share.through].keys
            dealt = deal(share, types, keys, self.partitions, asked)
            if not self.read:
                dealt = dealt._replace(reads=np.full_like(dealt.reads, NOBODY))
            self._dealt.append((share, dealt, asked))

    def pieces(self, owner: int) -> list[Piece]:
        """What a partition has to do of the round."""
        found = (piece_for(share, dealt, self.arrays[0], owner, asked) for share, dealt, asked in self._dealt)
        return [piece for piece in found if piece is not None]

    def join(self, pieces: Sequence[Piece], answer: Answer) -> None:
        """Take in what a partition has answered to its pieces."""
        for piece, raw, cells in zip(pieces, answer.raw, answer.overflows, strict=True):
            share, into = self.shares[piece.share], piece.rows[piece.reads]
            self.out[into[:, None], share.columns[None, :]] = raw[:, : len(share.columns)]
            for name, place in share.tells.items():
                self._told[name].learn(into, raw, place)
            self.overflows += [(int(into[row]), fold) for row, fold in cells]

    def fill(self, empty: Sequence[FeatureState]) -> None:
        """Answer the decided rows of the round of which nobody owns the key: it is null, absent or not known.

        empty : a state of each share's plan with nothing folded
        """
        if not self.read:
            return
        for share, dealt, _ in self._dealt:
            rows = np.flatnonzero(self._decided & (dealt.reads == NOBODY))
            if share.through is not None and len(rows):
                rows = self._fill_unknown(share, self._told[share.through].unknown, rows)
            if len(rows):
                types, times, keys, numbers = (array[rows] for array in self.arrays)
                answers = empty_answers(share, empty[share.number], (types, times, keys, numbers))
                self.out[rows[:, None], share.columns[None, :]] = answers

    def _fill_unknown(self, share: Share, unknown: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Where the key is not known no answer is, nor what is looked up under it. The other rows."""
        here = rows[unknown[rows]]
        others: np.ndarray = rows[~unknown[rows]]
        self.out[here[:, None], share.columns[None, :]] = UNKNOWN
        for name in share.tells:
            self._told[name].unknown[here] = True
        return others
