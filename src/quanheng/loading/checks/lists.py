"""lists.toml: the lists that policies ask. What stands on them is in the log, not in the pack."""

from __future__ import annotations

from collections.abc import Mapping

from quanheng.decisions.lists import TEXT, entity_of
from quanheng.loading.declared import Entity, ListDeclaration
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

FILE = "lists.toml"
KINDS = ("deny", "allow", "watch")


def check_lists(
    values: Mapping[str, object], pack: str, entities: Mapping[str, Entity], notes: Notes
) -> tuple[ListDeclaration, ...]:
    """Read the lists of a pack (parsed). `entities` are those of the pack and of all that it requires."""
    top = Table(values, FILE, "", notes)
    found = [_list(name, table, pack, entities) for name, table in top.named("list", NAME, required=True, of="list")]
    top.done()
    return tuple(found)


def _list(name: str, table: Table, pack: str, entities: Mapping[str, Entity]) -> ListDeclaration:
    title = table.title()
    kind = table.choice("kind", KINDS, default=KINDS[0])
    own = {one.removeprefix(f"{pack}."): one for one in entities if one.startswith(f"{pack}.")}
    of = table.choice("of", [TEXT, *entities, *own], default=TEXT, of="entity")
    of = own.get(of, of)
    expires_ms = table.duration_ms("expires", least_ms=1)
    table.done()
    personal = of in entities and entities[of].personal
    entity = entity_of(f"{pack}.{name}", of)
    return ListDeclaration(
        name=name, title=title, kind=kind, of=of, entity=entity, personal=personal, expires_ms=expires_ms
    )
