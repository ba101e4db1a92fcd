"""How rows are split into those a model is fitted on and those it is measured on. Nothing is drawn without a seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

Rows = NDArray[np.intp]


class Split(NamedTuple):
    """One fit and its test.

    name : `fold 1`, `2 of repeat 3`, …
    train, test : places of rows, ascending
    """

    name: str
    train: Rows
    test: Rows


def stratified_folds(target: NDArray[np.bool_], folds: int, seed: int, repeats: int = 1) -> list[Split]:
    """Each row is tested once in each repeat; every fold has its share of the events, to one row.

    Raises
    ------
    InputError : fewer than 2 folds, no repeat, or fewer rows of a kind than folds
    """
    fewest = int(min(target.sum(), (~target).sum()))
    if folds < 2 or repeats < 1 or fewest < folds:
        raise InputError(
            "the rows cannot be split into these folds", where="--folds", found=f"{folds} folds, {repeats} repeats",
            allowed=f"2 folds or more, at most {fewest}: each needs both outcomes", cure="Choose another number.",
        )  # fmt: skip
    random = np.random.default_rng(seed)
    splits = []
    for repeat in range(1, repeats + 1):
        fold = np.empty(len(target), np.intp)
        begin = 0
        for kind in (True, False):
            places = random.permutation(np.flatnonzero(target == kind))
            fold[places] = (np.arange(len(places)) + begin) % folds
            begin += len(places)  # The larger folds of one kind are not those of the other.
        for at in range(folds):
            name = f"fold {at + 1}" if repeats == 1 else f"fold {at + 1} of repeat {repeat}"
            splits.append(Split(name, np.flatnonzero(fold != at), np.flatnonzero(fold == at)))
    return splits


def time_ordered_folds(times: NDArray[np.int64], target: NDArray[np.bool_], folds: int) -> list[Split]:
    """Test blocks of equal size in the order of time, each fitted on all rows before its first moment.

    Rows of one moment are never on both sides. The oldest block is never tested.

    Raises
    ------
    InputError : too few moments or events for so many folds
    """
    order = np.argsort(times, kind="stable")
    starts = [order[len(order) * at // (folds + 1)] for at in range(1, folds + 1)] if folds > 0 else []
    bounds = [*sorted({int(times[at]) for at in starts}), int(times.max()) + 1]
    splits = []
    for number, (since, until) in enumerate(pairwise(bounds), 1):
        train, test = np.flatnonzero(times < since), np.flatnonzero((times >= since) & (times < until))
        splits.append(Split(f"period {number}", train, test))
    _check_both(splits, target, folds)
    return splits


def out_of_time(times: NDArray[np.int64], target: NDArray[np.bool_], share: float) -> Split:
    """The latest `share` of the rows as test, all rows before their first moment as training.

    Raises
    ------
    InputError : a share outside of (0, 1), or a part without rows of both outcomes
    """
    if not 0 < share < 1:
        raise InputError(
            "the share must lie between 0 and 1", where="--out-of-time", found=f"{share:g}", allowed="for example 0.2"
        )
    order = np.argsort(times, kind="stable")
    since = times[order[min(len(order) - 1, round(len(order) * (1 - share)))]]
    split = Split("out of time", np.flatnonzero(times < since), np.flatnonzero(times >= since))
    _check_both([split], target, 1)
    return split


def _check_both(splits: Sequence[Split], target: NDArray[np.bool_], folds: int) -> None:
    """Every part needs both outcomes."""
    poor = [one.name for one in splits for part in (one.train, one.test) if len(set(target[part].tolist())) < 2]
    if not splits or poor or len(splits) < folds:
        raise InputError(
            "the rows cannot be split by time into these folds", where="--folds",
            found=f"{folds} folds; too poor: {', '.join(dict.fromkeys(poor)) or 'moments are too few'}",
            allowed="rows of both outcomes before and in each period", cure="Choose fewer folds.",
        )  # fmt: skip
