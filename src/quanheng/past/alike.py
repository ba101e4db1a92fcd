"""What a version may take from the record of another, because both declare it alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quanheng.features.kernel.words import UNKNOWN
from quanheng.features.source import Source
from quanheng.kernel.codec import canonical_json
from quanheng.kernel.errors import InputError
from quanheng.loading.declared import Declared
from quanheng.program import Program

if TYPE_CHECKING:
    from quanheng.past.known import Asker, Floats, Served


class Alike:
    """Which folds, formulas and sources of a version were recorded under another, because both declare them alike.

    Parameters
    ----------
    recorded : the program that decided
    sources : versions of the sources with state ("pack.name") that folded for it then
    """

    def __init__(self, asker: Asker, recorded: Program, sources: Mapping[str, str]) -> None:
        self.asker, self.recorded = asker, recorded  # Kept, so that its id stays its own.
        self.same = recorded is asker.program
        theirs = recorded.packs.get(asker.pack.name)
        plan, prefix = asker.program.plan, f"{asker.pack.name}."
        places = {(column.fold, column.part): index for index, column in enumerate(recorded.plan.columns)}
        numbers = {replace(fold, name=""): number for number, fold in enumerate(recorded.plan.folds)}
        found = [numbers.get(replace(fold, name="")) for fold in plan.folds]
        self.columns = [-1 if (fold := found[one.fold]) is None else places[fold, one.part] for one in plan.columns]
        self.answers = self._answers(theirs, sources)
        self.missing = {
            fold.name.removeprefix(prefix) for fold, at in zip(plan.folds, found, strict=True) if at is None
        } | ({*asker.scope.answers} - self.answers)
        self.alike = {fold.name.removeprefix(prefix) for fold in plan.folds if fold in recorded.plan.folds}
        self.names = [*self.answers, *(self._names(theirs, recorded) if theirs is not None else [])]

    def _answers(self, theirs: Declared | None, versions: Mapping[str, str]) -> set[str]:
        """Columns of sources with state that folded the same events then, by the same version and settings."""
        if self.same:
            return {*self.asker.scope.answers}
        if theirs is None or self.recorded.layouts != self.asker.program.layouts:
            return set()
        pack = self.asker.pack
        known = {(one.name, canonical_json(one.settings), tuple(one.columns)) for one in theirs.sources}
        return {
            column.name
            for one in pack.sources
            if (one.name, canonical_json(one.settings), tuple(one.columns)) in known
            and versions.get(f"{pack.name}.{one.name}") == one.version
            for column in one.columns
        }

    def _names(self, theirs: Declared, recorded: Program) -> list[str]:
        """Names of formulas and columns of models that mean the same in both versions."""
        scope = self.asker.scope
        other = next((one for one in recorded.scopes.get(self.asker.code, ()) if one.pack == scope.pack), None)
        if other is None:
            return []
        good = {*self.alike, *self.answers, *scope.fields}
        mine = {one.name: one for one in self.asker.pack.formulas}
        their = {one.name: one for one in theirs.formulas}
        found = []
        for name in scope.formulas.names:
            alike = name in other.formulas.names and _formula(mine[name]) == _formula(their[name])
            if alike and good >= {*mine[name].uses}:
                good.add(name)
                found.append(name)
        sources = {source.name: source for source in other.sources}
        for source in scope.sources:
            alike = source.name in sources and _told(source) == _told(sources[source.name])
            if alike and good >= {*source.needs}:
                found += [column.name for column in source.columns]
        return found

    def check(self, asker: Asker) -> None:
        """Refuse what the policy, or a formula or model it needs, would have to guess.

        Raises
        ------
        InputError : naming the folds, and the columns of sources with state, that were not recorded
        """
        needed = needs_of(asker, {*self.names}) & self.missing
        if needed:
            raise InputError(
                "the version reads folds that were not recorded with the decisions",
                where=f"pack {asker.pack.name}",
                found=", ".join(sorted(needed)),
                allowed="folds, and sources with state, that the deciding version declared alike",
                cure="Fold the log again under this version: --rebuilt.",
            )

    def raw(self, record: Served) -> NDArray[np.int64]:
        if self.same:
            return record.raw
        made = np.full((len(record.raw), len(self.columns)), UNKNOWN, np.int64)
        known = [index for index, column in enumerate(self.columns) if column >= 0]
        made[:, known] = record.raw[:, [self.columns[index] for index in known]]
        return made

    def named(self, record: Served) -> dict[str, Floats]:
        return {name: record.named[f"{self.asker.pack.name}.{name}"] for name in self.names}


def needs_of(asker: Asker, given: set[str]) -> set[str]:
    """Names the policy reads, and those that formulas and sources not in `given` read for it."""
    needed = {one.name for one in asker.flow.policy.inputs}
    for source in reversed(asker.scope.sources):
        columns = {column.name for column in source.columns}
        if needed & columns and not columns <= given:
            needed |= {*source.needs}
    for formula in reversed(asker.scope.formulas.formulas):
        if formula.name in needed and formula.name not in given:
            needed |= {*formula.uses}
    return needed


def _formula(declared: object) -> tuple[object, ...]:
    return tuple(getattr(declared, part) for part in ("feel", "type", "decimals", "uses"))


def _told(source: Source) -> tuple[object, ...]:
    return source.version, tuple(source.columns), tuple(source.needs)
