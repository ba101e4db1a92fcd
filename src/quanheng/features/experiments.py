"""Arms of experiments: who is held out, or treated otherwise, is drawn from pseudonym and salt alone.

A source without state: nothing is stored of an assignment, so live, replay, backtest and rebuilt state agree because
they compute the same. The draw is BLAKE2b of the subject's pseudonym under the salt of the experiment; pseudonyms are
secret, so nobody outside can tell, or choose, an arm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from quanheng.features.source import Batch, SourceColumn

BASIS_POINTS = 10_000
ARMS_MAX = 8
"""Named arms of an experiment: one draw of 64 bits each, as many as one BLAKE2b digest holds."""
SALT_BYTES_MAX = 64
"""Longest key of BLAKE2b."""
_PERSON = b"quanheng arms"
_DRAW_BYTES = 8


def arm_of(key: bytes, salt: bytes, shares_bp: Sequence[int]) -> int:
    """Place of the arm that a subject falls to; `len(shares_bp)` = the rest.

    The arms are asked in order, each with a draw of its own, whether it takes the subject: with the probability that
    is its share of what the arms before it have left. So a share that grows keeps all that it has, and moves nobody
    from one of the other named arms to another.

    Parameters
    ----------
    key : 16 bytes, the pseudonym of the subject
    salt : 1 to 64 bytes; another salt draws independently
    shares_bp : basis points of all subjects, for each named arm; together at most 10 000
    """
    size = _DRAW_BYTES * len(shares_bp)
    drawn = hashlib.blake2b(key, key=salt, digest_size=size, person=_PERSON).digest()
    left = BASIS_POINTS
    for place, share_bp in enumerate(shares_bp):
        draw = int.from_bytes(drawn[_DRAW_BYTES * place : _DRAW_BYTES * (place + 1)], "little")
        if draw * left < share_bp << 64:  # draw / 2^64 < share / left, in whole numbers.
            return place
        left -= share_bp
    return len(shares_bp)


class Experiment:
    """A source (`features.source.Source`): the arm of each row's subject, as text; null where there is no subject, and
    before the experiment begins or when it is over.

    Parameters
    ----------
    name : as policies ask for it
    key_at : place of the subject among the key fields of the event
    salt : 1 to 64 bytes
    arms : name → basis points, in order; rest : arm of everybody else
    from_ms, until_ms : rows whose own time is in [from, until) are assigned; None = without end
    """

    needs: Sequence[str] = ()

    def __init__(
        self,
        name: str,
        key_at: int,
        salt: bytes,
        arms: Mapping[str, int],
        rest: str,
        from_ms: int,
        until_ms: int | None = None,
    ) -> None:
        self.name, self._key_at, self._salt = name, key_at, salt
        self._shares, self._from_ms, self._until_ms = tuple(arms.values()), from_ms, until_ms
        self.columns = (SourceColumn(name, "arm", 0, (*arms, rest)),)
        told = repr((salt, [*arms.items()], rest, from_ms, until_ms, key_at))
        self.version = hashlib.sha256(told.encode()).hexdigest()
        self._fixed = -1

    def fixed(self, arm: str) -> Experiment:
        """The same, with one arm for every subject (golden cases); "" = the rest. Its time and its nulls stay."""
        made = copy(self)
        words = self.columns[0].words
        made._fixed = words.index(arm) if arm else len(words) - 1
        return made

    def read(self, batch: Batch, known: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """f8[n, 1]: the place of the arm among the words of the column, NaN = null."""
        keys = np.ascontiguousarray(batch.keys[:, self._key_at])
        times = batch.times
        running = (times >= self._from_ms) & keys.any(axis=1)
        if self._until_ms is not None:
            running &= times < self._until_ms
        found = np.full((len(times), 1), np.nan)
        for row in np.flatnonzero(running).tolist():
            fixed = self._fixed
            found[row, 0] = arm_of(keys[row].tobytes(), self._salt, self._shares) if fixed < 0 else fixed
        return found
