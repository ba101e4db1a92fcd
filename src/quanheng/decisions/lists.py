"""Lists that policies ask (deny, allow, watch): a fold of the changes that the log holds. Pure; times are passed in.

The folded part knows entries as 16-byte keyed pseudonyms only, so recovery needs no keys and a snapshot gives nobody
away. What an entry is in clear is sealed inside the change that put it there.

    change ─▶ in force                     changed by one person
    change ─▶ waiting ─▶ in force          proposed, then approved by another (four eyes)
                    └──▶ (rejected)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

NEVER = 2**63 - 1
"""`until_ms` of an entry that does not expire."""

KEY_BYTES = 16
CHANGE_ENTRIES_MAX = 10_000
"""Entries of one change event; a larger change is several events in one durable batch."""

SWEPT_MIN = 1_024
"""A list is swept of expired entries when it has grown to twice what the last sweep left, from here on."""

TEXT = "text"
"""What a list is `of` when its entries are no ids of an entity."""


class PseudonymOf(Protocol):
    """(entity, id) → the 16 bytes that stand for it."""

    def __getitem__(self, named: tuple[str, str], /) -> bytes: ...


class ListEvent(msgspec.Struct, frozen=True):
    """A change of one list, as the log keeps it.

    list : "pack.name"; of : entity of its entries, or "text"
    first : log offset of the first event of this change
    keys : pseudonyms of the entries, 16 bytes each
    until_ms : when entries that are added expire, epoch milliseconds; NEVER = not
    waiting : True if it waits for another person
    sealed : what the entries are in clear, sealed one by one, or all together where no entry stands for a person;
        folds leave it alone
    more : True if further parts of this change follow, in batches of their own
    """

    list: str
    of: str
    change: Literal["add", "remove"]
    first: int
    keys: bytes
    actor: str
    reason: str = ""
    until_ms: int = NEVER
    waiting: bool = False
    sealed: msgspec.Raw = msgspec.Raw(b"[]")
    more: bool = False


class ListVerdict(msgspec.Struct, frozen=True):
    """What another person said to a change that waited: `first` names it."""

    first: int
    approved: bool
    actor: str
    reason: str = ""


class Refusal(Enum):
    """Why a verdict on a change is not taken. Order is precedence: the first that applies is given."""

    NOTHING_WAITS = "no change of a list waits there"
    AUTHOR_JUDGES_OWN = "whoever proposed a change of a list cannot judge it"
    REASON_MISSING = "a rejection needs a reason"
    PARTS_MISSING = "the change is not complete: parts of it have not come"


class Part(NamedTuple):
    """One event of a change that waits."""

    offset: int
    event: ListEvent


class Entries:
    """One list.

    of : entity of its entries, or "text"
    added : pseudonym → log offset of the event that put it there
    until : log offset of such an event → when its entries expire
    """

    __slots__ = ("added", "of", "swept", "until")

    def __init__(self, of: str) -> None:
        self.of = of
        self.added: dict[bytes, int] = {}
        self.until: dict[int, int] = {}
        self.swept = 0

    def holds(self, key: bytes, now_ms: int) -> bool:
        """Whether an entry is in force: an entry that expires at t is not, from t on."""
        offset = self.added.get(key)
        return offset is not None and now_ms < self.until[offset]

    def size(self, now_ms: int) -> int:
        """How many entries are in force."""
        expired = {offset for offset, until in self.until.items() if until <= now_ms}
        return sum(offset not in expired for offset in self.added.values()) if expired else len(self.added)

    def add(self, keys: Iterable[bytes], offset: int, until_ms: int) -> None:
        """Put entries on the list. One that is on it already takes the new expiry and the new origin."""
        self.until[offset] = until_ms
        self.added.update(dict.fromkeys(keys, offset))

    def remove(self, keys: Iterable[bytes]) -> None:
        """Take entries off the list; those that are not on it are passed over."""
        for key in keys:
            self.added.pop(key, None)

    def sweep(self, now_ms: int) -> None:
        """Drop what has expired, once the list has grown to twice its size: memory stays within twice what is live.

        A list that grows without anything expiring, as in an import, is not walked.
        """
        if max(len(self.added), len(self.until)) < max(SWEPT_MIN, 2 * self.swept):
            return
        until = self.until
        expired = any(when <= now_ms for when in until.values())
        if expired:
            self.added = {key: offset for key, offset in self.added.items() if now_ms < until[offset]}
        if expired or len(until) > len(self.added):  # Of entries that came again, or are gone.
            used = set(self.added.values())
            self.until = {offset: when for offset, when in until.items() if offset in used}
        self.swept = max(len(self.added), len(self.until))

    def dump(self) -> dict[str, NDArray[Any]]:
        """The list as arrays, in the order in which entries came."""
        return {
            "keys": np.frombuffer(b"".join(self.added), np.uint8),
            "added": np.fromiter(self.added.values(), np.int64, len(self.added)),
            "until": np.array([*self.until.items()], np.int64).reshape(-1, 2),
            "swept": np.array([self.swept], np.int64),
        }

    @classmethod
    def load(cls, of: str, arrays: Mapping[str, NDArray[Any]]) -> Entries:
        """The list that `dump` gave."""
        entries = cls(of)
        entries.added = dict(zip(split_keys(arrays["keys"].tobytes()), arrays["added"].tolist(), strict=True))
        entries.until = dict(arrays["until"].tolist())
        entries.swept = int(arrays["swept"][0])
        return entries


class Asked:
    """Answers `list("name")` for the policies of one pack, as of one moment. Changes nothing, does no I/O.

    known : name as policies say it → the list (None while nothing was ever on it) and the entity of its pseudonyms
    pseudonyms : (entity, value) → pseudonym

    Attributes
    ----------
    held : names of those that hold something; most lists are empty most of the time
    """

    __slots__ = ("_known", "_now_ms", "_pseudonyms", "held")

    def __init__(
        self,
        known: Mapping[str, tuple[Entries | None, str]],
        now_ms: int,
        pseudonyms: PseudonymOf,
    ) -> None:
        self._known, self._now_ms, self._pseudonyms = known, now_ms, pseudonyms
        self.held = frozenset([name for name, (entries, _) in known.items() if entries is not None and entries.added])

    def __call__(self, name: str, value: str) -> bool:
        """Is a value on a list?"""
        entries, entity = self._known[name]
        if entries is None or not entries.added:  # Nothing is hashed then.
            return False
        offset = entries.added.get(self._pseudonyms[entity, value])
        return offset is not None and self._now_ms < entries.until[offset]


class Lists:
    """Every list of every pack. `apply` and `judge` are the only mutators."""

    def __init__(self) -> None:
        self._lists: dict[str, Entries] = {}
        self._waiting: dict[int, list[Part]] = {}

    def __iter__(self) -> Iterator[tuple[str, Entries]]:
        return iter(sorted(self._lists.items()))

    def get(self, name: str) -> Entries | None:
        """A list by "pack.name"; None while nothing was ever on it."""
        return self._lists.get(name)

    def kept_of(self, name: str, now_ms: int) -> set[str]:
        """What the entries of a list in force, and those of changes that wait, are of; nothing while there are none."""
        entries = self._lists.get(name)
        found = {entries.of} if entries is not None and entries.size(now_ms) else set()
        return found | {part.event.of for parts in self._waiting.values() for part in parts if part.event.list == name}

    def waiting(self, first: int) -> list[Part]:
        """The events of a change that waits for another person; empty if none waits there."""
        return list(self._waiting.get(first, ()))

    def all_waiting(self) -> list[list[Part]]:
        """Every change that waits, oldest first."""
        return [list(self._waiting[first]) for first in sorted(self._waiting)]

    def at(self, now_ms: int, pseudonyms: PseudonymOf) -> Callable[[Mapping[str, tuple[str, str]]], Asked]:
        """The lists as of now, for policies: takes the names that one asks, each with its ("pack.name", entity)."""

        def asked(names: Mapping[str, tuple[str, str]]) -> Asked:
            known = {name: (self._lists.get(full), entity) for name, (full, entity) in names.items()}
            return Asked(known, now_ms, pseudonyms)

        return asked

    def may(self, verdict: ListVerdict) -> Refusal | None:
        """Whether a verdict can be given; None = yes. Scopes are checked by whoever knows the actor's token."""
        parts = self._waiting.get(verdict.first)
        if not parts:
            return Refusal.NOTHING_WAITS
        if any(part.event.actor == verdict.actor for part in parts):
            return Refusal.AUTHOR_JUDGES_OWN
        if not verdict.approved and not verdict.reason.strip():
            return Refusal.REASON_MISSING
        if verdict.approved and parts[-1].event.more:
            return Refusal.PARTS_MISSING
        return None

    def apply(self, event: ListEvent, offset: int, received_ms: int) -> None:
        """Fold one change that the log holds."""
        if event.waiting:
            kept = msgspec.structs.replace(event, sealed=msgspec.Raw(b"[]"))
            self._waiting.setdefault(event.first, []).append(Part(offset, kept))
        else:
            self._carry_out(Part(offset, event), received_ms)

    def judge(self, verdict: ListVerdict, received_ms: int) -> None:
        """Fold one verdict that the log holds."""
        for part in self._waiting.pop(verdict.first, []):
            if verdict.approved:
                self._carry_out(part, received_ms)

    def _carry_out(self, part: Part, received_ms: int) -> None:
        offset, event = part
        entries = self._lists.get(event.list)
        if entries is None or entries.of != event.of:  # Pseudonyms of another entity say nothing any more.
            entries = self._lists[event.list] = Entries(event.of)
        if event.change == "add":
            entries.add(split_keys(event.keys), offset, event.until_ms)
        else:
            entries.remove(split_keys(event.keys))
        entries.sweep(received_ms)

    def put(self, name: str, of: str, keys: Iterable[bytes]) -> None:
        """Put entries on a list for as long as this object lives: golden cases."""
        self._lists[name] = Entries(of)
        self._lists[name].add(keys, 0, NEVER)

    def keep(self) -> tuple[bytes, dict[str, NDArray[Any]]]:
        """What a snapshot stores: what is small as bytes, the entries as arrays."""
        parts = [part for waiting in self.all_waiting() for part in waiting]
        bare = [(part.offset, len(part.event.keys), msgspec.structs.replace(part.event, keys=b"")) for part in parts]
        small = msgspec.json.encode(([(name, entries.of) for name, entries in self], bare))
        arrays = {
            f"{number}.{part}": array
            for number, (_, entries) in enumerate(self)
            for part, array in entries.dump().items()
        }
        arrays["waiting"] = np.frombuffer(b"".join(part.event.keys for part in parts), np.uint8)
        return small, arrays

    @classmethod
    def restore(cls, small: bytes, arrays: Mapping[str, NDArray[Any]]) -> Lists:
        """The lists that `keep` gave."""
        lists = cls()
        named, bare = msgspec.json.decode(small, type=tuple[list[tuple[str, str]], list[tuple[int, int, ListEvent]]])
        for number, (name, of) in enumerate(named):
            mine = f"{number}."
            own = {part.removeprefix(mine): array for part, array in arrays.items() if part.startswith(mine)}
            lists._lists[name] = Entries.load(of, own)
        keys, at = arrays["waiting"].tobytes(), 0
        for offset, length, event in bare:
            whole = msgspec.structs.replace(event, keys=keys[at : at + length])
            lists._waiting.setdefault(event.first, []).append(Part(offset, whole))
            at += length
        return lists

    def digest(self) -> str:
        """SHA-256 (hex) of everything folded; "" while there is nothing."""
        if not self._lists and not self._waiting:
            return ""
        small, arrays = self.keep()
        hasher = hashlib.sha256(small)
        for name, array in sorted(arrays.items()):
            hasher.update(f"{name} {array.shape}".encode())
            hasher.update(np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()


def split_keys(keys: bytes) -> list[bytes]:
    """Pseudonyms one by one."""
    return [keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)]


def entity_of(name: str, of: str) -> str:
    """What the pseudonyms of entries are made under: their entity, or for texts the list ("pack.name") itself."""
    return f"list/{name}" if of == TEXT else of
