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
        self._read: dict[str, Definitions] | None = None

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
                self.problem(definitions, one, "an import that is no DMN model is not read", one.kind)
            return None
        if one.namespace in self.origins:
            return self.origins[one.namespace]
        if one.namespace in self._open:
            self.problem(definitions, one, "models import each other in a circle", " -> ".join(self._open))
            return None
        found = self.available().get(one.namespace)
        if found is None or len(self.origins) + len(self._open) > LIMITS.model_imports:
            what = (
                "the imported model is not at hand"
                if found is None
                else f"more than {LIMITS.model_imports} models are imported"
            )
            self.problem(definitions, one, what, one.namespace)
            return None
        origin = self.origin(found)
        self.origins[one.namespace] = origin
        return origin

    def available(self) -> dict[str, Definitions]:
        """The files at hand by namespace; those that are no models are passed over unless they are asked for."""
        if self._read is None:
            self._read = {}
            for where, xml in self.files.items():
                reader = Reader(where, qualified=True)
                definitions = reader.read(xml)
                if definitions is not None and not reader.problems:
                    self._read.setdefault(definitions.namespace, definitions)
        return self._read

    def problem(self, definitions: Definitions, one: Import, message: str, found: str) -> None:
        cure = "Hand the imported file over with the model, or put its elements into this file."
        known = ", ".join([*self.available()][:20])
        self.problems.append(
            Problem(definitions.where, f"import {one.name or one.namespace}", message, found, known, cure)
        )
