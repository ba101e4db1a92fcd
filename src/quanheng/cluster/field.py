"""What holds partitions: machines that start them, carry calls and may lose them. Ray is one; tests bring another.

Where a partition goes is decided here, evenly; that machines are there, and that calls arrive, is for the field to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from quanheng.cluster.partition import Spec
from quanheng.kernel.errors import LogError


class ClusterLost(LogError):
    """Partitions are gone and no machine takes them: the process stops, and what was answered is in the log."""


class Lost(NamedTuple):
    """In place of an answer: whoever should have given it is gone."""

    why: str


class Hold(Protocol):
    """One partition that runs somewhere."""

    @property
    def node(self) -> str:
        """The machine it runs on."""
        ...

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call a method of the partition; a ticket for `Field.answers`."""
        ...

    def kill(self) -> None:
        """End it now. It may be gone already."""
        ...


class Field(Protocol):
    """Machines that hold partitions."""

    def nodes(self) -> Sequence[str]:
        """The machines that are alive, in a fixed order."""
        ...

    def start(self, spec: Spec, number: int, node: str) -> Hold:
        """A new partition with nothing folded, on that machine if it is alive, else on another."""
        ...

    def answers(self, tickets: Sequence[Any]) -> list[Any]:
        """What was asked, in order; `Lost` where nobody is left to answer. What a partition raises is raised."""
        ...


class Move(NamedTuple):
    """A partition changes machines."""

    partition: int
    node: str


def even_out(holders: Mapping[int, str], nodes: Sequence[str]) -> list[Move]:
    """The fewest moves after which no machine holds two partitions more than another.

    Parameters
    ----------
    holders : partition → machine it is on, "" or one that is gone = it must be placed
    nodes : machines that are alive; none = no moves
    """
    if not nodes:
        return []
    held = Counter(dict.fromkeys(nodes, 0))
    homeless = []
    for partition, node in sorted(holders.items()):
        if node in held:
            held[node] += 1
        else:
            homeless.append(partition)
    order = {node: place for place, node in enumerate(nodes)}
    moves = []

    def emptiest() -> str:
        return min(nodes, key=lambda node: (held[node], order[node]))

    for partition in homeless:
        node = emptiest()
        moves.append(Move(partition, node))
        held[node] += 1
    for partition, node in sorted(holders.items(), reverse=True):
        to = emptiest()
        if node in order and held[node] > held[to] + 1:
            moves.append(Move(partition, to))
            held[node] -= 1
            held[to] += 1
    return moves
