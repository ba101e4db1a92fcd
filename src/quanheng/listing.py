"""Lists that policies ask, for those who keep them: what may be changed, how it is recorded, and what stands there.

Like an activation, a change has a long half that may run beside groups (pseudonyms are made, clear texts are sealed)
and a short half between two groups (its events are appended as one durable batch, all or nothing).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from quanheng.decisions.lists import (
    CHANGE_ENTRIES_MAX,
    KEY_BYTES,
    NEVER,
    Entries,
    ListEvent,
    ListVerdict,
    Part,
    Refusal,
    split_keys,
)
from quanheng.kernel.errors import DataErased, InputError, NotFound, NotPermitted
from quanheng.kernel.log.records import EVENT
from quanheng.kernel.time import format_time
from quanheng.loading.declared import ListDeclaration
from quanheng.once import UNNAMED, Once
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import LIST_CHANGED, LIST_JUDGED
from quanheng.writer import Writer

VALUES_MAX = 1_000_000
"""Values of one change."""

VALUE_LENGTH_MAX = 1_024
"""Characters of one value."""

SHOWN_MAX = 1_000
CURES = {
    Refusal.NOTHING_WAITS: "See what waits: quanheng list.",
    Refusal.AUTHOR_JUDGES_OWN: "Ask another person: four eyes see more than two.",
    Refusal.REASON_MISSING: "Give one with --reason.",
}
_decode_event = msgspec.json.Decoder(ListEvent).decode


class AskedChange(msgspec.Struct, frozen=True):
    """What a person asks for.

    list : "pack.name", or the name alone where one pack in force declares it
    until_ms : when entries that are added expire; else `for_ms` counts from the change on; else what the list declares
    """

    list: str
    change: Literal["add", "remove"]
    values: Sequence[str]
    actor: str = ""
    reason: str = ""
    until_ms: int | None = None
    for_ms: int | None = None


class Prepared(NamedTuple):
    """A change whose long half is done: pseudonyms and sealed texts, in bounded pieces."""

    name: str
    declared: ListDeclaration
    asked: AskedChange
    pieces: list[tuple[bytes, msgspec.Raw]]


class Listing:
    """Keeps the lists of the packs in force."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer, self._reader, self._ring = writer, reader, writer.ring

    # Changes.

    def prepare(self, asked: AskedChange) -> Prepared:
        """The long half of a change. Changes nothing that is in force; may run in another thread, beside groups.

        Raises
        ------
        NotFound : no such list is declared; InputError : a value or time that does not fit
        """
        name, declared = self.declared(asked.list)
        values = list(dict.fromkeys(asked.values))
        _check_values(name, values)
        pieces = [
            self._piece(name, declared, values[at : at + CHANGE_ENTRIES_MAX])
            for at in range(0, len(values), CHANGE_ENTRIES_MAX)
        ]
        return Prepared(name, declared, asked, pieces)

    def change(self, prepared: Prepared, four_eyes: bool, once: Once = UNNAMED) -> dict[str, Any]:
        """The short half: in force from here on, or waiting for another person. No group may be in flight.

        Raises
        ------
        InputError : the time has passed already, or the packs changed what the list is of; nothing was recorded
        """
        name, declared, asked, pieces = prepared
        if self.declared(name)[1].of != declared.of:
            raise InputError(
                "other packs were put in force meanwhile", where=name, found=declared.of, cure="Change the list again."
            )
        now_ms, first = self._writer.stamp(), self._writer.state.head
        until_ms = _until_ms(declared, asked, now_ms)
        events = [
            ListEvent(
                name, declared.of, asked.change, first, keys, asked.actor, asked.reason, until_ms, four_eyes, sealed
            )
            for keys, sealed in pieces
        ]
        self._writer.record_all([(LIST_CHANGED, event) for event in events], once)
        return _changed(events)

    def judge(self, verdict: ListVerdict, once: Once = UNNAMED) -> dict[str, Any]:
        """Approve or reject a change that waits. No group may be in flight.

        Raises
        ------
        NotPermitted : it is the own change; InputError : nothing waits there, or a reason is missing
        """
        lists = self._writer.state.lists
        refusal = lists.may(verdict)
        if refusal is not None:
            what = NotPermitted if refusal is Refusal.AUTHOR_JUDGES_OWN else InputError
            found = verdict.actor if refusal is Refusal.AUTHOR_JUDGES_OWN else ""
            raise what(refusal.value, where=f"offset {verdict.first}", found=found, cure=CURES[refusal])
        waited = lists.waiting(verdict.first)
        self._writer.record_all([(LIST_JUDGED, verdict)], once)
        return _judged(waited, verdict)

    def recorded(self, offset: int) -> dict[str, Any]:
        """What `change` or `judge` answered when it recorded at `offset`."""
        record = self._reader.log.record(offset)
        if record.type == LIST_CHANGED:
            return _changed([part.event for part in self._parts(offset)])
        verdict = msgspec.json.decode(record.payload, type=ListVerdict)
        return _judged(self._parts(verdict.first), verdict)

    def _parts(self, first: int) -> list[Part]:
        """The events of a change whose first stands at `first`; they are one batch."""
        parts: list[Part] = []
        _, columns = next(self._reader.log.read_columns(first, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX))
        for row in range(len(columns)):
            event = _decode_event(columns.record(row).payload) if columns.type[row] == LIST_CHANGED else None
            if event is None or event.first != first:
                break
            parts.append(Part(first + row, event))
        return parts

    # Reads: as of now.

    def declared(self, name: str) -> tuple[str, ListDeclaration]:
        """The list that is meant, as ("pack.name", declaration).

        Raises
        ------
        NotFound : no pack in force declares it, or several do
        """
        packs = self._writer.state.program.packs
        known = {f"{pack.name}.{one.name}": one for pack in packs.values() for one in pack.lists}
        found = [full for full in known if name == full or full.endswith(f".{name}")]
        if len(found) != 1:
            raise NotFound(
                "several packs declare a list of that name" if found else "no pack in force declares such a list",
                where="list",
                found=repr(name),
                allowed=", ".join(sorted(known)) or "none is declared",
                cure="Name it as PACK.LIST." if found else "Lists are declared in lists.toml of a pack.",
            )
        return found[0], known[found[0]]

    def sizes(self) -> dict[str, Any]:
        """Every declared list with its size, and the changes that wait."""
        state, now_ms = self._writer.state, self._writer.stamp()
        shown = []
        for pack in state.program.packs.values():
            for one in pack.lists:
                name = f"{pack.name}.{one.name}"
                entries = state.lists.get(name)
                shown.append(
                    {
                        "list": name,
                        "kind": one.kind,
                        "of": one.of,
                        "title": {"en": one.title.en, "zh": one.title.zh},
                        "entries": entries.size(now_ms) if entries is not None and entries.of == one.of else 0,
                    }
                )
        return {"lists": shown, "waiting": [_waiting(parts) for parts in state.lists.all_waiting()]}

    def find(self, name: str, value: str) -> dict[str, Any]:
        """Whether a value is on a list now, since when, until when, by whom and why."""
        name, declared = self.declared(name)
        key, entries = self._ring.pseudonym(declared.entity, value), self._entries(name, declared)
        if entries is None or not entries.holds(key, self._writer.stamp()):
            return {"list": name, "value": value, "listed": False}
        return {"list": name, "value": value, "listed": True, **self._origin(entries.added[key])}

    def entries(self, name: str, limit: int = 100) -> dict[str, Any]:
        """The entries in clear, newest first, or those of a change that waits where `name` is its offset.

        An entry whose subject was erased is still on the list, known by its pseudonym alone.
        """
        if name.isdigit():
            parts = self._writer.state.lists.waiting(int(name))
            if not parts:
                raise NotFound(Refusal.NOTHING_WAITS.value, where=f"offset {name}", cure=CURES[Refusal.NOTHING_WAITS])
            found = [{"value": value} for part in parts for _, value in self._clear(part.offset)][:limit]
            return {**_waiting(parts), "shown": found}
        name, declared = self.declared(name)
        entries = self._entries(name, declared)
        shown: list[dict[str, Any]] = []
        for offset in sorted(entries.until, reverse=True) if entries is not None else ():
            if len(shown) >= limit:
                break
            assert entries is not None
            shown += self._live(entries, offset, limit - len(shown))
        return {"list": name, "kind": declared.kind, "shown": shown}

    def _live(self, entries: Entries, offset: int, limit: int) -> list[dict[str, Any]]:
        """Entries in force that one event put there."""
        if entries.until.get(offset, 0) <= self._writer.stamp():
            return []
        origin = self._origin(offset)
        live: list[dict[str, Any]] = []
        for key, value in self._clear(offset, entries):
            live.append({"value": value, "key": key.hex(), **origin})
            if len(live) == limit:
                break
        return live

    def _entries(self, name: str, declared: ListDeclaration) -> Entries | None:
        entries = self._writer.state.lists.get(name)
        return entries if entries is not None and entries.of == declared.of else None

    def _event(self, offset: int) -> tuple[ListEvent, int]:
        record = self._reader.log.record(offset)
        return _decode_event(record.payload), record.received_ms

    def _origin(self, offset: int) -> dict[str, Any]:
        event, received_ms = self._event(offset)
        return {
            "offset": offset,
            "since": format_time(received_ms),
            "until": "" if event.until_ms == NEVER else format_time(event.until_ms),
            "by": event.actor,
            "reason": event.reason,
        }

    def _clear(self, offset: int, entries: Entries | None = None) -> Iterator[tuple[bytes, str | None]]:
        """(pseudonym, value) of the entries of one event; None for one whose subject was erased.

        Only those that still stand in `entries` by that event, where it is given.
        """
        event, _ = self._event(offset)
        sealed = msgspec.json.decode(event.sealed, type=list[bytes])
        shared = self._ring.pseudonym("list", event.list)
        for key, marked in zip(split_keys(event.keys), sealed, strict=True):
            if entries is not None and entries.added.get(key) != offset:
                continue
            personal, text = marked[:1] == _PERSONAL, marked[1:]
            try:
                clear = self._ring.unseal(key if personal else shared, _bound_to(event.list, key), text)
                yield key, clear.decode("utf-8", "surrogatepass")
            except DataErased:
                yield key, None

    def _piece(self, name: str, declared: ListDeclaration, values: Sequence[str]) -> tuple[bytes, msgspec.Raw]:
        """Pseudonyms of some values, and each value sealed: under its own person's key where it stands for one."""
        ring = self._ring
        keys = [ring.pseudonym(declared.entity, value) for value in values]
        subjects = keys if declared.personal else [ring.pseudonym("list", name)] * len(keys)
        headers = [_bound_to(name, key) for key in keys]
        sealed = ring.seal_many(subjects, headers, [value.encode("utf-8", "surrogatepass") for value in values])
        mark = _PERSONAL if declared.personal else _SHARED
        return b"".join(keys), msgspec.Raw(msgspec.json.encode([mark + one for one in sealed]))


_PERSONAL, _SHARED = b"p", b"l"
"""Whose key a text is sealed under: the person's that the entry stands for, or the list's."""


def _bound_to(name: str, key: bytes) -> bytes:
    """What a sealed text is bound to, so that it cannot be moved to another entry."""
    return name.encode() + b"\0" + key


def _check_values(name: str, values: Sequence[str]) -> None:
    wrong = next((value for value in values if not value or len(value) > VALUE_LENGTH_MAX), None)
    if wrong is not None or not 1 <= len(values) <= VALUES_MAX:
        raise InputError(
            "these values cannot stand on a list",
            where=name,
            found=f"{len(values)} values" if wrong is None else f"a value of {len(wrong)} characters",
            allowed=f"1 to {VALUES_MAX} values of 1 to {VALUE_LENGTH_MAX} characters",
        )


def _until_ms(declared: ListDeclaration, asked: AskedChange, now_ms: int) -> int:
    """When entries that are added now expire."""
    if asked.change == "remove":
        return NEVER
    if asked.until_ms is None:
        lasting_ms = asked.for_ms if asked.for_ms is not None else declared.expires_ms
        return NEVER if lasting_ms is None else now_ms + lasting_ms
    if asked.until_ms <= now_ms:
        raise InputError(
            "the entries would have expired already",
            where=declared.name,
            found=format_time(asked.until_ms),
            allowed=f"a moment after {format_time(now_ms)}",
        )
    return asked.until_ms


def _changed(events: Sequence[ListEvent]) -> dict[str, Any]:
    """A change that was recorded, for people and programs."""
    one, entries = events[0], sum(len(event.keys) for event in events) // KEY_BYTES
    return {"list": one.list, "change": one.change, "offset": one.first, "entries": entries, "waiting": one.waiting}


def _judged(waited: Sequence[Part], verdict: ListVerdict) -> dict[str, Any]:
    """A verdict that was recorded, for people and programs."""
    return {**_waiting(waited), "approved": verdict.approved, "by": verdict.actor}


def _waiting(parts: Sequence[Part]) -> dict[str, Any]:
    """A change that waits, for people and programs."""
    event = parts[0].event
    return {
        "offset": event.first,
        "list": event.list,
        "change": event.change,
        "entries": sum(len(part.event.keys) for part in parts) // KEY_BYTES,
        "actor": event.actor,
        "reason": event.reason,
        "until": "" if event.until_ms == NEVER else format_time(event.until_ms),
    }


def history(reader: Reader, name: str = "") -> list[dict[str, Any]]:
    """Every change of lists and every verdict on one, oldest first; of one list ("pack.name") where it is named.

    Reads the headers of the whole log. Values are not shown: they are sealed.
    """
    told: list[dict[str, Any]] = []
    lists: dict[int, str] = {}
    for first, columns in reader.log.read_columns(0, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX):
        of_lists = (columns.type == LIST_CHANGED) | (columns.type == LIST_JUDGED)
        for row in np.flatnonzero((columns.kind == EVENT) & of_lists).tolist():
            record = columns.record(row)
            at = {"offset": first + row, "time": format_time(record.received_ms)}
            if record.type == LIST_CHANGED:
                event = _decode_event(record.payload)
                lists[event.first] = event.list
                one = {**_waiting([Part(first + row, event)]), **at, "waited": event.waiting, "of": event.first}
            else:
                verdict = msgspec.json.decode(record.payload, type=ListVerdict)
                change = "approve" if verdict.approved else "reject"
                one = {**at, "list": lists[verdict.first], "change": change, "of": verdict.first}
                one |= {"actor": verdict.actor, "reason": verdict.reason}
            if not name or one["list"] == name or str(one["list"]).endswith(f".{name}"):
                told.append(one)
    return told
