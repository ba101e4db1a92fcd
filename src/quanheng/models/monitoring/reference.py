"""The reference of a model: how its scores and inputs were distributed in training, kept beside its weights.

A file `reference.json` in the folder of a fit, `models/NAME.reference.json` in a pack. It holds counts per bin and no
value of a person: cuts are tenths of a column, and a category stands in it only by its name and count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.monitoring.bins import BINS, Bins, as_floats, category_bins, number_bins

if TYPE_CHECKING:
    import polars as pl

    from quanheng.models.table import Column

FORMAT = 1
FILE = "reference.json"
"""Its name in the folder of a fit."""
SUFFIX = ".reference.json"
"""In a pack it stands beside the weights as models/NAME + this."""


class Strength(msgspec.Struct, frozen=True):
    """How well a model separated where it was developed, on rows that it was not fitted on.

    auc, ks : with the number of events and of all rows behind them
    """

    auc: float
    ks: float
    events: int
    rows: int


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was made for.

    model, weights : which, and the hash of its weights
    source : where the rows came from, in words
    rows : of the inputs; events : among them, -1 = not known
    score : bands of the score; inputs : bins of every input, in the model's order
    mean_score : mean over the rows
    strength : None where it was not measured
    approved : rows that were approved, -1 = not known
    """

    model: str
    weights: str
    source: str
    rows: int
    events: int
    score: Bins
    inputs: tuple[Bins, ...]
    mean_score: float
    strength: Strength | None = None
    approved: int = -1
    format: int = FORMAT


def reference_of(
    rows: pl.DataFrame,
    scores: NDArray[np.float64],
    columns: Sequence[Column],
    *,
    model: str,
    weights: str,
    source: str,
    target: NDArray[np.bool_] | None = None,
    strength: Strength | None = None,
    approved: int = -1,
    own: Mapping[str, Bins] | None = None,
) -> Reference:
    """The reference of a population.

    Parameters
    ----------
    rows : inputs by name; numbers are Float64, categories String; null = missing
    scores : of these rows, or of those of them that the model was not fitted on; NaN = the model gave none
    columns : inputs in order, with their special values
    own : bins that the model itself has (of a scorecard, with points), by input; others get tenths
    """
    made = dict(own or {})
    for column in columns:
        if column.name not in made:
            made[column.name] = _bins(rows[column.name], column)
    present = scores[~np.isnan(scores)]
    return Reference(
        model=model,
        weights=weights,
        source=source,
        rows=len(rows),
        events=-1 if target is None else int(target.sum()),
        score=number_bins("score", scores, bins=BINS),
        inputs=tuple(made[column.name] for column in columns),
        mean_score=float(present.mean()) if len(present) else float("nan"),
        strength=strength,
        approved=approved,
    )


def _bins(values: pl.Series, column: Column) -> Bins:
    if column.kind == "category":
        return category_bins(column.name, values.rename(column.name))
    return number_bins(column.name, as_floats(values), column.specials)


def encode(reference: Reference) -> bytes:
    """As the file holds it: JSON, a line; the same reference gives the same bytes."""
    return msgspec.json.encode(reference) + b"\n"


def decode(content: bytes, where: str) -> Reference:
    """The reference of a file.

    Raises
    ------
    InputError : the file holds something else, another format, or counts that do not fit its bins
    """
    cure = "Make it anew: quanheng models watch PACK --reference FROM..TO --save-reference FILE"
    try:
        found = msgspec.json.decode(content, type=Reference)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError("the file holds no reference", where=where, found=str(error), cure=cure) from None
    if found.format != FORMAT:
        raise InputError(
            "the reference has another format", where=where, found=str(found.format), allowed=str(FORMAT), cure=cure
        )
    for one in (found.score, *found.inputs):
        if len(one.counts) != one.size or (one.points and len(one.points) != one.size):
            raise InputError(
                "the counts of a column do not fit its bins", where=f"{where}, {one.name}",
                found=f"{len(one.counts)} counts, {len(one.points)} points", allowed=f"{one.size} of each", cure=cure,
            )  # fmt: skip
    return found
