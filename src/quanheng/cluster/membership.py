"""What stands on lists, for policies that are judged where neither the lists are nor the keys of their pseudonyms.

Answers travel, for the texts that a policy may ask about: those of the event's own fields. A policy that asks about
another text (one that it has put together) is told so afterwards, and the event is judged where the lists are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from quanheng.decisions.lists import TEXT, entity_of
from quanheng.events.intake import EventFact
from quanheng.events.schema import EventType
from quanheng.feel.types import STRING
from quanheng.feel.values import EVERY, Membership
from quanheng.flows import Flow
from quanheng.known import FIELD_TYPES, ListsNow
from quanheng.program import Program

Answers = dict[tuple[str, str], dict[str, bool]]
"""("pack.name", entity) of each list that holds something → text → whether it stands on it at the group's moment."""


def flows_of(program: Program, code: int) -> list[Flow]:
    """Flows of the champion and of its challengers for one event type."""
    return [flow for one in (program, *(c.program for c in program.challengers)) for flow in one.flows.get(code, ())]


def answers_for(program: Program, events: Sequence[EventFact], lists: ListsNow) -> Answers:
    """What the policies of some events may ask of lists, answered now."""
    types = {one.code: one for one in program.types.values()}
    found: Answers = {}
    for code in sorted({event.code for event in events}):
        for flow in flows_of(program, code):
            membership = lists(flow.lists)
            held = _held(membership, flow.lists)
            some = [event.fields for event in events if event.code == code] if held else []
            for name in held:
                known = found.setdefault(flow.lists[name], {})
                for field in _fields(types[code], *flow.lists[name]):
                    new = set(map(attrgetter(field), some)) - known.keys() - {None}
                    known.update((text, membership(name, text)) for text in new)
    return found


def _held(membership: Membership, names: Iterable[str]) -> list[str]:
    """Lists that hold something."""
    held = getattr(membership, "held", EVERY)
    return [name for name in names if name in held]


def _fields(kind: EventType, name: str, entity: str) -> list[str]:
    """Fields whose text may be asked of a list: of ids those of its entity and free texts, of texts every one."""
    texts = {field: one for field, one in kind.declaration.fields.items() if FIELD_TYPES[one.kind] is STRING}
    if entity == entity_of(name, TEXT):
        return list(texts)
    return [field for field, one in texts.items() if one.kind == "text" or one.entity == entity]


class Answered:
    """A `ListsNow` of answers that came along.

    Attributes
    ----------
    missing : lists that were asked about a text of which no answer came; what was judged by them does not count
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.missing: set[str] = set()

    def __call__(self, names: Mapping[str, tuple[str, str]]) -> Membership:
        """The lists that one flow asks."""
        return _Asked({name: (one[0], self._answers[one]) for name, one in names.items() if one in self._answers}, self)


class _Asked:
    """`Membership` for one flow; see `decisions.lists.Asked`, of which it gives the answers."""

    def __init__(self, known: Mapping[str, tuple[str, dict[str, bool]]], lists: Answered) -> None:
        self._known, self._lists = known, lists
        self.held = frozenset(known)

    def __call__(self, name: str, value: str) -> bool:
        if name not in self._known:  # It holds nothing.
            return False
        full, answers = self._known[name]
        answer = answers.get(value)
        if answer is None:
            self._lists.missing.add(full)
        return bool(answer)
