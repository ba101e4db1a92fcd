"""What a node of a JDM sees: paths of the merged context, and the FEEL that gives each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quanheng.decisions.exchange.zen_feel import ATOM, LOOSE, Feel, Resolve, is_name
from quanheng.feel.literals import text_literal
from quanheng.kernel.errors import ExpressionError

if TYPE_CHECKING:
    from quanheng.decisions.exchange.jdm import JdmReader

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provided:
    """What a node gives to those after it.

    paths : path to FEEL; the empty path where the whole is a list
    open : every other name is an input of the model
    doubted : the node could not be taken over, so nobody can say what is missing
    """

    paths: Mapping[Path, Feel]
    open: bool
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What comes in by one edge: `guard` says when (None: always), `branches` the branch of each switch it needs."""

    guard: Feel | None
    branches: Mapping[str, int]
    provided: Provided


def merged(sources: Sequence[Given]) -> tuple[Provided, list[Path]]:
    """The outputs of several nodes as one, and the paths that two of them give at once.

    Two that give the same path behind different branches of a switch become a chain of conditions: one is taken.
    """
    found: dict[Path, list[Given]] = {}
    for one in sources:
        for path, feel in one.provided.paths.items():
            held = found.setdefault(path, [])
            if not any(other.guard == one.guard and other.provided.paths[path] == feel for other in held):
                held.append(one)
    clashes = [path for path, held in found.items() if not _exclusive([one.branches for one in held])]
    paths = {path: _chain([(one.guard, one.provided.paths[path]) for one in held]) for path, held in found.items()}
    provided = [one.provided for one in sources]
    return Provided(paths, any(one.open for one in provided), any(one.doubted for one in provided)), clashes


def beside_input(sources: Sequence[Given]) -> list[Path]:
    """Paths that one node gives while another passes the whole input on: the input may hold the same name."""
    if not any(one.provided.open for one in sources):
        return []
    return [path for one in sources if not one.provided.open for path in one.provided.paths]


def _exclusive(branches: Sequence[Mapping[str, int]]) -> bool:
    """Whether each two need different branches of a switch that takes the first."""
    return all(
        any(other.get(switch, branch) != branch for switch, branch in one.items())
        for at, one in enumerate(branches)
        for other in branches[at + 1 :]
    )


def _chain(held: Sequence[tuple[Feel | None, Feel]]) -> Feel:
    if len(held) == 1 and held[0][0] is None:
        return held[0][1]
    told = "".join(f"if {guard.text} then {feel.at(LOOSE + 1)} else " for guard, feel in held if guard is not None)
    last = next((feel.text for guard, feel in held if guard is None), "null")
    return Feel(f"{told}{last}", LOOSE)


class Environment:
    """Resolves the names of one node; everything it reads is noted as a requirement."""

    def __init__(
        self, reader: JdmReader, provided: Provided, prefix: Path = (), outer: Environment | None = None
    ) -> None:
        self.reader, self.provided, self.prefix = reader, provided, prefix
        self.outer: Environment = outer or self
        self.kinds: set[str] = set()
        """Kinds of the values that the name being resolved is compared with."""

    def inside(self, field: str) -> Environment:
        """The same for a node that sees one field of the context only."""
        return Environment(self.reader, self.provided, tuple(field.split(".")), self)

    def own(self, entries: Mapping[Path, Feel]) -> Resolve:
        """Resolves `$.a`, the entries of the same node so far."""

        def resolve(path: Path) -> Feel:
            for length in range(len(path), 0, -1):
                if path[:length] in entries:
                    return _member(entries[path[:length]], path[length:])
            raise ExpressionError(
                "no entry before it has that name",
                where="",
                found=repr(f"$.{'.'.join(path)}"),
                allowed=", ".join(".".join(one) for one in entries),
                cure="Move the entry above its use.",
            )

        return resolve

    def resolve(self, path: Path) -> Feel:
        """The FEEL of a path.

        Raises
        ------
        ExpressionError : no node before gives it, or it is no name in FEEL
        """
        path = (*self.prefix, *path)
        paths = self.provided.paths
        for length in range(len(path), 0, -1):
            if path[:length] in paths:
                return _member(self.read(paths[path[:length]]), path[length:])
        inner = {one[len(path) :]: feel for one, feel in paths.items() if one[: len(path)] == path}
        if inner:
            return Feel(self._context(inner))
        if not self.provided.open and not self.provided.doubted:
            known = ", ".join(sorted(".".join(one) for one in paths))
            cure = "Let it pass through the node before, or draw an edge from the node that gives it."
            raise ExpressionError(
                "no node before gives this name", found=repr(".".join(path)), allowed=known, cure=cure
            )
        for name in path:
            if not is_name(name):
                raise ExpressionError("the name cannot be read in FEEL", found=repr(name), cure="Rename it.")
        self.reader.read_paths.add(path)
        self.reader.input(path[0], self.kinds if len(path) == 1 else {"context"})
        return Feel(".".join(path))

    def _context(self, inner: Mapping[Path, Feel]) -> str:
        roots: dict[str, dict[Path, Feel]] = {}
        for path, feel in inner.items():
            roots.setdefault(path[0], {})[path[1:]] = feel
        told = [
            f"{text_literal(root)}: {self.read(below[()]).text if () in below else self._context(below)}"
            for root, below in roots.items()
        ]
        return f"{{{', '.join(told)}}}"

    def read(self, feel: Feel) -> Feel:
        """A text of another decision: what it names is required."""
        self.reader.read_names(feel.text)
        return feel


def listed(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list in a node."""
    found = content.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _member(feel: Feel, rest: Path) -> Feel:
    return Feel(f"{feel.at(ATOM)}{''.join(f'.{one}' for one in rest)}") if rest else feel
