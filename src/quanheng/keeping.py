"""What a snapshot keeps of the state: the small folds as one struct, the others as arrays under names."""

from __future__ import annotations

import msgspec
from numpy.typing import NDArray

from quanheng.decisions.versions import Version
from quanheng.told import Told

SOURCES, SOURCE, LIST, LEDGER, BOOK, OUTBOX, LOANS = (
    "sources", "source.", "list.", "ledger.", "book.", "outbox.", "loan.",
)  # fmt: skip
"""Names in a snapshot: what folded the sources, the arrays of each, those of lists, ledger, instances, messages and
loans."""


class Actor(msgspec.Struct, frozen=True, array_like=True):
    """Who may call: a client with scopes, known by the digest of its token.

    owners, entities : of the ledger's accounts that the client is limited to, ids in decimal; empty = not limited
    """

    name: str
    token_digest: bytes
    scopes: tuple[str, ...]
    owners: tuple[str, ...] = ()
    entities: tuple[int, ...] = ()


class Kept(msgspec.Struct):
    """What a snapshot keeps of the state besides the features. One that lacks a part is of another format."""

    head: int
    received_ms: int
    activation: int
    actors: dict[str, Actor]
    decided: dict[str, int]
    events: dict[int, int]
    rejected: int
    rejects: list[int]
    erasures: dict[str, int]
    versions: list[Version]
    lists: bytes
    told: Told


class Retried(msgspec.Struct, frozen=True):
    """Payload of the event by which dead letters of the outbox are asked for again: their ids, 16 bytes each."""

    ids: bytes
    by: str = ""
    why: str = ""


def named(arrays: dict[str, NDArray], prefix: str) -> dict[str, NDArray]:
    """The arrays whose name begins like that, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
