"""Which models a model imports, directly and through others. Nothing is fetched: the caller hands the files over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quanheng.decisions.dmn.model import Definitions, Element, Import
from quanheng.decisions.dmn.types import TypeTable
from quanheng.decisions.dmn.xml import NAMESPACES, Reader
from quanheng.feel.limits import LIMITS
from quanheng.feel.scope import Scope
from quanheng.kernel.errors import Problem

_CURE_MISSING = "Hand the imported file over with the model (in a pack: policies/ of it or of a pack it requires)."
_CURE_CIRCLE = "Put what both need into a third file."
_CURE_SEVERAL = "Give each file a namespace of its own."
_CURE_KIND = "Put its elements into a DMN file."


@dataclass(frozen=True, slots=True)
class Origin:
    """One file: its types, and under which names it sees the files that it imports (by namespace)."""

    definitions: Definitions
    types: TypeTable
    names: Mapping[str, str]

    def seen(self, element: Element, other: Origin) -> str:
        """The name of an element of `other` in the expressions of this file."""
        return (
            element.name if other is self else qualified(self.names.get(other.definitions.namespace, ""), element.name)
        )


def qualified(prefix: str, name: str) -> str:
    """`prefix.name`; an import without a name adds nothing."""
    return f"{prefix}.{name}" if prefix else name


class Gatherer:
    """Reads the imported files that are needed, each once."""

    def __init__(self, files: Mapping[str, bytes], problems: list[Problem], strict: bool, root: Scope) -> None:
        self.files, self.problems, self.strict, self.root = files, problems, strict, root
        self.origins: dict[str, Origin] = {}
        self._open: list[str] = []
        self._read: dict[str, list[Definitions]] | None = None

    def origin(self, definitions: Definitions) -> Origin:
        """The origin of a file, after those it imports."""
        self._open.append(definitions.namespace)
        names: dict[str, str] = {}
        types: dict[str, TypeTable] = {}
        for one in definitions.imports:
            other = self.imported(definitions, one)
            if other is not None:
                names[one.namespace], types[one.name] = one.name, other.types
        self._open.pop()
        table = TypeTable(definitions, self.problems, self.root.inner(), self.strict, types)
        return Origin(definitions, table, names)

    def imported(self, definitions: Definitions, one: Import) -> Origin | None:
        if one.kind and one.kind not in NAMESPACES:
            if self.strict:
                self.problem(definitions, one, "an import that is no DMN model is not read", one.kind, _CURE_KIND)
            return None
        if one.namespace in self.origins:
            return self.origins[one.namespace]
        if one.namespace in self._open:
            circle = " -> ".join([*self._open[self._open.index(one.namespace) :], one.namespace])
            self.problem(definitions, one, "models import each other in a circle", circle, _CURE_CIRCLE)
            return None
        found = self.available().get(one.namespace, [])
        if not found:
            self.problem(definitions, one, "the imported model is not at hand", one.namespace, _CURE_MISSING)
            return None
        if len(found) > 1 and self.strict:
            where = ", ".join(other.where for other in found)
            self.problem(definitions, one, "several files have the namespace that is imported", where, _CURE_SEVERAL)
            return None
        if len(self.origins) + len(self._open) > LIMITS.model_imports:
            what = f"more than {LIMITS.model_imports} models are imported"
            self.problem(definitions, one, what, one.namespace, "Import fewer.")
            return None
        origin = self.origin(found[0])
        self.origins[one.namespace] = origin
        return origin

    def available(self) -> dict[str, list[Definitions]]:
        """The files at hand by namespace; those that are no models are passed over unless they are asked for."""
        if self._read is None:
            self._read = {}
            for where, xml in self.files.items():
                reader = Reader(where, qualified=True)
                definitions = reader.read(xml)
                if definitions is not None and not reader.problems:
                    self._read.setdefault(definitions.namespace, []).append(definitions)
        return self._read

    def problem(self, definitions: Definitions, one: Import, message: str, found: str, cure: str) -> None:
        known = ", ".join([*self.available()][:20])
        self.problems.append(
            Problem(definitions.where, f"import {one.name or one.namespace}", message, found, known, cure)
        )
