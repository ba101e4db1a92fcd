"""FEEL of processes.toml: conditions are true or false, what is set is a number, names are known of the event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from quanheng import feel
from quanheng.feel.tree import Compare, Const, Name, Node, Path, walk
from quanheng.feel.types import ANY, BOOLEAN, BY_NAME, NULL, NUMBER, STRING, ContextType, FeelType, possible
from quanheng.kernel.errors import ExpressionError
from quanheng.loading.checks.expressions import read_expression
from quanheng.loading.checks.processes import ProcessDraft
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.notes import Notes, Words
from quanheng.loading.process_steps import events_of
from quanheng.loading.table import Table

Texts = Mapping[str, frozenset[str]]
"""Name → all texts that it may be: choice fields, `outcome`, `instance.state`."""

_WORDS: dict[FeelType, str] = {
    BOOLEAN: "the condition is not true or false", NUMBER: "what is set is no number",
    STRING: "what the field is given is no text",
}  # fmt: skip


_NAMES = {"outcome": STRING, "refused": BOOLEAN, "instance": ANY}


def check_guards(
    drafts: tuple[ProcessDraft, ...],
    sources: Mapping[str, Mapping[str, str]],
    texts: Mapping[str, Texts],
    outcomes: Mapping[str, tuple[str, ...]],
    notes: Notes,
) -> None:
    """Check conditions and what is set, for every event behind which they are asked.

    Parameters
    ----------
    sources : per event that a process uses: name → FEEL type of everything that is known
    texts : event → its choice fields with their choices
    outcomes : event → what its decision may be, where a flow decides it
    """
    for draft in drafts:
        instance = ANY if notes.doubted("kept") else instance_type(draft.process)
        states = _states(draft.process)
        for table, key, text, event in _texts(draft):
            if event in sources:
                scope = {name: BY_NAME[kind] for name, kind in sorted(sources[event].items())}
                scope |= {"outcome": STRING, "refused": BOOLEAN, "instance": instance}
                known = {**texts.get(event, {}), **states}
                if event in outcomes:  # Else a pack that nobody knows here may decide it.
                    known["outcome"] = frozenset(outcomes[event])
                check_text(table, key, text, scope, known, NUMBER if key.startswith("set.") else BOOLEAN,
                           notes, told=f" for {event}")  # fmt: skip
            else:  # Nobody knows the names.
                check_form(table, key, text, notes)


def instance_type(process: ProcessDeclaration) -> ContextType:
    """What `instance` holds: kept numbers, the state or that of each part, when it was entered and begun."""
    parts = [part.name or "state" for part in process.parts]
    fields = [(one.name, NUMBER) for one in process.numbers]
    return ContextType((*fields, *((name, STRING) for name in parts), ("entered_ms", NUMBER), ("started_ms", NUMBER)))


def _states(process: ProcessDeclaration) -> dict[str, frozenset[str]]:
    return {f"instance.{part.name or 'state'}": frozenset(one.name for one in part.states) for part in process.parts}


def _texts(draft: ProcessDraft) -> Iterator[tuple[Table, str, str, str]]:
    """Table, key, text and event of every condition, and of everything that is set."""
    for one in draft.starts:
        if one.start.where:
            yield one.table, "where", one.start.where, one.start.event
    for move in draft.moves:
        for event in events_of(draft.process, move.part, move.state, move.move):
            if move.move.where:
                yield move.table, "where", move.move.where, event
            for name, text in move.move.set.items():
                if text:
                    yield move.table, f"set.{name}", text, event


def check_text(
    table: Table, key: str, text: str, scope: Mapping[str, FeelType], known: Texts, wanted: FeelType, notes: Notes,
    *, told: str = "",
) -> None:  # fmt: skip
    """One expression: it can be read, its names are known, it is of the type that is wanted, and the texts that it
    compares names with can be met.

    Parameters
    ----------
    known : names whose texts are a closed list
    told : what messages say besides of a name that is not known
    """
    place = f"{table.key}.{key}"
    tree = read_expression(text, scope, table.file, place, notes, of="source", told=told)
    if tree is None:
        table.sound = False
    elif tree.type is NULL or not possible(tree.type, wanted):
        found = Words(f"{text}, of type {tree.type}")
        notes.add(table.file, place, _WORDS[wanted], found=found, known=str(wanted))
    else:
        for name, value in _compared(tree):
            if name in known and value not in known[name]:
                of = "outcome" if name == "outcome" else "state" if name.startswith("instance.") else ""
                message = f"{name} is never this{'' if of == 'state' else told}"
                notes.add(table.file, place, message, found=value, known=sorted(known[name]), of=of)


def _compared(tree: Node) -> Iterator[tuple[str, str]]:
    """Names and the texts that they are compared with: `answer = "mine"`, `instance.state != "open"`."""
    for node in walk(tree):
        if isinstance(node, Compare) and node.op in ("=", "!="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(other, Const) and isinstance(other.value, str) and (name := _named(one)):
                    yield name, other.value


def _named(node: Node) -> str:
    if isinstance(node, Path) and isinstance(node.base, Name):
        return f"{node.base.name}.{node.name}"
    return node.name if isinstance(node, Name) else ""


def check_form(table: Table, key: str, text: str, notes: Notes) -> None:
    """Whether a text whose names nobody knows can be read at all."""
    try:
        feel.parse(text, _NAMES, strict=False)
    except ExpressionError:
        read_expression(text, _NAMES, table.file, f"{table.key}.{key}", notes, of="source")
        table.sound = False
