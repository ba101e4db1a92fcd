"""Point-in-time vectors: what a model would have seen when each payment was decided.

The history goes through the same kernel and the same sources with state as live events, in order of arrival, and
formulas through the same code: a vector holds nothing that arrived later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.formulas import Formulas
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.source import Batch, StatefulSource
from quanheng.features.state import FeatureState
from quanheng.kernel.errors import InputError
from quanheng.models.history import NULL, History

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared, SourceDeclaration

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done and the total."""

LATENESS_MS = 30 * 24 * 3_600_000
"""As in live service: how far behind the newest event of its key an event is still put in its place."""

_CHUNK = 100_000


def vectors(
    declared: Declared,
    history: History,
    event: str,
    inputs: Sequence[str],
    wanted: NDArray[np.bool_],
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Inputs of a model at the moments of the wanted events.

    Parameters
    ----------
    declared : the pack whose folds, sources with state and formulas are meant
    event : type of the wanted events
    inputs : names of folds, columns of sources with state, formulas and number fields, in the model's order
    wanted : over all rows of the history; true only for rows of type `event`

    Returns
    -------
    f8[wanted rows, inputs], NaN = null, rows in order of arrival

    Raises
    ------
    InputError : an input is not declared for this event, or is a balance: no ledger comes with a history
    """
    layout = next(one for one in history.layouts if one.name == event)
    formulas, folds, declared_sources = needed_by(declared, event, layout, inputs)
    plan = Plan.compile(history.layouts, folds, [event], LATENESS_MS, calendars=declared.calendars)
    state, sources = FeatureState(plan), [one.make(history.layouts, one.settings) for one in declared_sources]
    answer_names = [column.name for one in declared_sources for column in one.columns]
    parts = [np.empty((0, len(inputs)))]
    total = len(history.types)
    for first in range(0, total, _CHUNK):
        part = slice(first, min(first + _CHUNK, total))
        read = wanted[part]
        raw = state.run(history.types[part], history.times[part], history.keys[part], history.numbers[part], read)
        rows = np.flatnonzero(read)
        answers = _answers(sources, history, part, wanted)
        if len(rows):
            columns = _columns(plan.floats(np.ascontiguousarray(raw[rows])), plan.names)
            for name in layout.amounts:
                numbers = history.numbers[part][rows, layout.numbers.index(name)]
                columns[name] = as_floats(numbers, layout.scale(name))
            columns |= _columns(answers, answer_names)
            formulas.compute(columns, len(rows))
            parts.append(np.column_stack([columns[name] for name in inputs]))
        if progress:
            progress("features", part.stop, total)
    return np.concatenate(parts)


def _answers(
    sources: Sequence[StatefulSource], history: History, part: slice, wanted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fold a part of the history into sources with state; what they answer to its wanted events.

    What arrived at one moment is one group, as the writer stamps a group: a source may read that clock.
    """
    width = sum(len(one.columns) for one in sources)
    found = [np.empty((0, width))]
    arrive = history.arrive_ms[part]
    edges = [0, *(np.flatnonzero(np.diff(arrive)) + 1).tolist(), len(arrive)]
    for first, last in pairwise(edges) if sources and len(arrive) else ():
        start, stop = part.start + first, part.start + last
        batch = Batch(
            history.types[start:stop],
            history.times[start:stop],
            history.keys[start:stop],
            history.numbers[start:stop],
            start,
            int(arrive[first]),
        )
        read = wanted[start:stop]
        answered = [one.apply(batch, bool(read.any())) for one in sources]
        if read.any():
            found.append(np.hstack(answered)[read])
    return np.concatenate(found)


def _columns(matrix: NDArray[np.float64], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    return {name: np.ascontiguousarray(matrix[:, index]) for index, name in enumerate(names)}


def as_floats(numbers: NDArray[np.int64], scale: int) -> NDArray[np.float64]:
    """Numbers of a header as formulas read them; NaN = null."""
    # Division by a power of ten is what `Decimal` to float gives, too: both round the exact quotient once.
    return np.where(numbers == NULL, np.nan, numbers.astype(np.float64) / np.float64(10**scale))


def _balances_of(declared: Declared) -> set[str]:
    """Balances and measures of loans, and formulas that need one."""
    found = set(declared.accounts.features)
    for formula in declared.formulas:  # In an order that can be computed.
        if found & set(formula.uses):
            found.add(formula.name)
    return found


def needed_by(
    declared: Declared, event: str, layout: EventLayout, inputs: Sequence[str]
) -> tuple[Formulas, list[Fold], list[SourceDeclaration]]:
    """Formulas, folds and sources with state that the inputs need: what no input needs is not computed.

    Raises
    ------
    InputError : an input that the event does not have, or that is, or needs, a balance
    """
    folds, numbers = declared.folds, layout.amounts
    usable = {fold.name: fold for fold in folds if reaches(fold, folds, event, layout.keys)}
    needed = set(inputs)
    for formula in reversed(declared.formulas):  # Declared in an order that can be computed.
        if formula.name in needed:
            needed |= set(formula.uses)
    chosen = [(one.name, one.feel, one.decimals, one.uses) for one in declared.formulas if one.name in needed]
    sources = [one for one in declared.sources if needed & {column.name for column in one.columns}]
    answers = [column.name for one in sources for column in one.columns]
    formulas = Formulas(chosen, [*usable, *numbers, *answers])
    known = {*usable, *numbers, *answers, *formulas.names}
    balances = _balances_of(declared)
    if asked := [name for name in inputs if name in balances]:
        raise InputError(
            "the model reads what a history of events does not tell: balances",
            where=f"pack {declared.name}",
            found=", ".join(asked),
            allowed=", ".join(sorted(known)),
            cure="Take it out of the model's inputs, and let the policy read the balance.",
        )
    if missing := [name for name in inputs if name not in known]:
        raise InputError(
            "the model reads what this event does not have",
            where=f"pack {declared.name}",
            found=", ".join(missing),
            allowed=", ".join(sorted(known)),
            cure="Declare it in features.toml, or take it out of the model's inputs.",
        )
    while more := {one.through for one in usable.values() if one.name in needed and one.through} - needed:
        needed |= more
    chosen_folds = [Fold.of_pack(one, one.name) for one in usable.values() if one.name in needed]
    return formulas, chosen_folds, sources
