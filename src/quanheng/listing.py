"""Lists that policies ask, for those who keep them: what may be changed, how it is recorded, and what stands there.

Like an activation, a change has a long half that may run beside groups (pseudonyms are made, clear texts are sealed)
and a short half between two groups (its events are appended as one durable batch, all or nothing). A large change comes
in parts, each with both halves, so that groups are taken between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from quanheng.decisions.lists import (
    CHANGE_ENTRIES_MAX,
    NEVER,
    Entries,
    ListEvent,
    ListVerdict,
    Part,
    Refusal,
    split_keys,
)
from quanheng.decisions.lists_told import changed_told, judged_told, waiting_told
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
    Refusal.PARTS_MISSING: "Wait for the rest; if it was broken off, reject it and let it be asked for again.",
}
_decode_event = msgspec.json.Decoder(ListEvent).decode


class AskedChange(msgspec.Struct, frozen=True):
    """What a person asks for.

    list : "pack.name", or the name alone where one pack in force declares it
    until_ms : when entries that are added expire; else `for_ms` counts from the change on; else what the list declares
    first : log offset of a change of the same person that this goes on with: the same list, change, reason and expiry
    more : True if further parts follow; they come into force as a whole, once all have come
    """

    list: str
    change: Literal["add", "remove"]
    values: Sequence[str]
    actor: str = ""
    reason: str = ""
    until_ms: int | None = None
    for_ms: int | None = None
    first: int | None = None
    more: bool = False


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
        staged = asked.more or asked.first is not None
        if asked.first is None:
            until_ms = _until_ms(declared, asked, self._writer.stamp())
            head, told = self._writer.state.head, (asked.actor, asked.reason, until_ms, staged or four_eyes)
            begun = ListEvent(name, declared.of, asked.change, head, b"", *told)
        else:
            begun = self._begun(asked.first, name, declared, asked)
        last = len(pieces) - 1
        events: list[tuple[int, object]] = [
            (LIST_CHANGED, replace(begun, keys=keys, sealed=sealed, more=asked.more or number < last))
            for number, (keys, sealed) in enumerate(pieces)
        ]
        waits = four_eyes or asked.more
        if staged and not waits:  # Nobody else is asked: with its last part the whole of it comes into force.
            events.append((LIST_JUDGED, ListVerdict(begun.first, True, asked.actor, asked.reason)))
        self._writer.record_all(events, once)
        return changed_told(begun, sum(len(keys) for keys, _ in pieces), waits)

    def _begun(self, first: int, name: str, declared: ListDeclaration, asked: AskedChange) -> ListEvent:
        """The first event of a change that goes on.

        Raises
        ------
        InputError : there is none that this person could go on with
        """
        found, wanted = None, (name, declared.of, asked.change, asked.actor)
        if 0 <= first < self._reader.log.head and self._reader.log.record(first).type == LIST_CHANGED:
            found, _ = self._event(first)
        parts = self._writer.state.lists.waiting(first)
        open_ = found is not None and parts and parts[-1].event.more
        if found is None or not open_ or (found.list, found.of, found.change, found.actor) != wanted:
            raise InputError(
                "there is no change to go on with",
                where=name,
                found=f"offset {first}",
                allowed="the first part of a change of the same list by the same person, of which more was announced",
                cure="Begin a new change.",
            )
        return found

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
        return judged_told(waited, verdict)

    def recorded(self, offset: int) -> dict[str, Any]:
        """What `change` or `judge` answered when it recorded at `offset`."""
        record = self._reader.log.record(offset)
        if record.type == LIST_CHANGED:
            parts, judged = self._parts(_decode_event(record.payload).first, offset, offset + 1)
            keys = sum(len(part.event.keys) for part in parts)
            return changed_told(parts[0].event, keys, parts[0].event.waiting and not judged)
        verdict = msgspec.json.decode(record.payload, type=ListVerdict)
        return judged_told(self._parts(verdict.first, verdict.first, offset)[0], verdict)

    def _parts(self, first: int, start: int, last: int) -> tuple[list[Part], bool]:
        """Events of the change at `first` in the batches of start <= offset < last, and whether it is judged there."""
        parts, judged = list[Part](), False
        for at, columns in self._reader.log.read_columns(start, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX):
            if at >= last:
                break
            of_lists = (columns.type == LIST_CHANGED) | (columns.type == LIST_JUDGED)
            for row in np.flatnonzero((columns.kind == EVENT) & of_lists).tolist():
                payload = columns.record(row).payload
                if columns.type[row] == LIST_JUDGED:
                    judged |= msgspec.json.decode(payload, type=ListVerdict).first == first
                elif (event := _decode_event(payload)).first == first:
                    parts.append(Part(at + row, event))
        return parts, judged

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
        return {"lists": shown, "waiting": [waiting_told(parts) for parts in state.lists.all_waiting()]}

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
            return {**waiting_told(parts), "shown": found}
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
        sealed = msgspec.json.decode(event.sealed, type=list[bytes] | bytes)
        shared = self._ring.pseudonym("list", event.list)
        if isinstance(sealed, bytes):
            opened = self._ring.unseal(shared, _bound_to(event.list, event.keys), sealed)
            texts = msgspec.msgpack.decode(opened, type=list[bytes])
            for key, text in zip(split_keys(event.keys), texts, strict=True):
                if entries is None or entries.added.get(key) == offset:
                    yield key, text.decode("utf-8", "surrogatepass")
            return
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
        keys = ring.pseudonyms(declared.entity, values)
        joined, texts = b"".join(keys), [value.encode("utf-8", "surrogatepass") for value in values]
        if not declared.personal:
            [together] = ring.seal_many([ring.pseudonym("list", name)], [_bound_to(name, joined)], [_encode(texts)])
            return joined, msgspec.Raw(msgspec.json.encode(together))
        sealed = ring.seal_many(keys, [_bound_to(name, key) for key in keys], texts)
        return joined, msgspec.Raw(msgspec.json.encode([_PERSONAL + one for one in sealed]))


_encode = msgspec.msgpack.Encoder().encode
_PERSONAL = b"p"
"""Marks a text that is sealed under the key of the person that the entry stands for; others are under the list's."""


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
                one = {**waiting_told([Part(first + row, event)]), **at, "waited": event.waiting, "of": event.first}
                del one["complete"]  # It is said of the whole change.
            else:
                verdict = msgspec.json.decode(record.payload, type=ListVerdict)
                change = "approve" if verdict.approved else "reject"
                one = {**at, "list": lists[verdict.first], "change": change, "of": verdict.first}
                one |= {"actor": verdict.actor, "reason": verdict.reason}
            if not name or one["list"] == name or str(one["list"]).endswith(f".{name}"):
                told.append(one)
    return told
