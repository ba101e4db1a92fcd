"""experiments.toml: who is drawn into which arm, so that what a decision does can be measured against doing nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from quanheng.events.schema import EventDeclaration
from quanheng.features.experiments import ARMS_MAX, BASIS_POINTS, SALT_BYTES_MAX
from quanheng.loading.declared import Entity, ExperimentDeclaration
from quanheng.loading.experiments import knows
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

FILE = "experiments.toml"
_SHARE = "a share with at most four places, above 0 and below 1"


def check_experiments(
    values: Mapping[str, object],
    pack: str,
    entities: Mapping[str, Entity],
    judged: Mapping[str, EventDeclaration],
    taken: Collection[str],
    notes: Notes,
) -> tuple[ExperimentDeclaration, ...]:
    """Read the experiments of a pack (parsed).

    Parameters
    ----------
    entities : those of the pack and of all that it requires
    judged : events that flows decide or processes use
    taken : names of folds, formulas, balances, models and parameters
    """
    top = Table(values, FILE, "", notes)
    found = []
    for name, table in top.named("experiment", NAME, required=bool(values), of="source"):
        of_field = name in {field for event in judged.values() for field in event.fields}
        if name in taken or of_field:
            cure = "A policy could not tell them apart: rename the experiment."
            table.problem("", "the name is taken by something else that a policy reads", found=name, cure=cure)
        found.append(_experiment(name, table, pack, entities, judged))
    top.done()
    return tuple(found)


def _experiment(
    name: str,
    table: Table,
    pack: str,
    entities: Mapping[str, Entity],
    judged: Mapping[str, EventDeclaration],
) -> ExperimentDeclaration:
    title = table.title()
    own = {one.removeprefix(f"{pack}."): one for one in entities if one.startswith(f"{pack}.")}
    of = table.choice("of", [*entities, *own], of="entity")
    of = own.get(of, of)
    by = table.text("by", pattern=NAME, wanted="a key field of the events that are decided")
    salt = table.text("salt", wanted="a text of 1 to 64 bytes; another one draws anew")
    if len(salt.encode()) > SALT_BYTES_MAX:
        found = f"{len(salt.encode())} bytes"
        table.problem("salt", "the salt is too long", found=found, known=f"at most {SALT_BYTES_MAX} bytes")
    from_ms = table.time_ms("from") or 0
    until_ms = table.time_ms("until", required=False) if table.has("until") else None
    if until_ms is not None and until_ms <= from_ms:
        ends = table.values["until"]
        table.problem("until", "the experiment ends before it begins", found=ends, known="after `from`")
    arms = _arms(table)
    rest = table.text("rest", pattern=NAME, wanted="the arm of everybody else, such as treated")
    if rest in arms:
        table.problem("rest", "the rest has an arm of its own", found=rest, cure="Give it a name that no arm has.")
    never = table.title("never", required=False)
    knowing = [event for event in judged.values() if knows(event, by, of)]
    if by and of and not knowing:
        told = "no event that is decided has this key field of this entity"
        keys = sorted({one for event in judged.values() for one, field in event.fields.items() if field.entity == of})
        table.problem("by", told, found=by, known=keys or "none of this entity", of="decided")
    table.done()
    return ExperimentDeclaration(
        name=name, title=title, never=never, of=of, by=by, salt=salt, arms=arms, rest=rest, from_ms=from_ms,
        until_ms=until_ms,
    )  # fmt: skip


def _arms(table: Table) -> dict[str, int]:
    """Name → basis points of the arms, in the order of the file."""
    inner = table.table("arms")
    arms: dict[str, int] = {}
    for name in inner.values:
        if not NAME.fullmatch(name):
            cure = "Names have small letters, digits and _ and begin with a letter."
            inner.any(name)
            inner.problem(name, "the name is not a plain name", found=name, cure=cure)
            continue
        share = inner.number(name)
        if share is None:
            continue
        scaled = share * BASIS_POINTS
        if not 0 < share < 1 or scaled != int(scaled):
            inner.problem(name, "the share cannot be drawn", found=share, known=_SHARE)
            continue
        arms[name] = int(scaled)
    inner.done()
    if inner.sound and table.has("arms") and not 1 <= len(arms) <= ARMS_MAX:
        table.problem("arms", "the number of arms is out of bounds", found=len(arms), known=f"1 to {ARMS_MAX}")
    if sum(arms.values()) >= BASIS_POINTS:
        told = Decimal(sum(arms.values())) / BASIS_POINTS
        table.problem("arms", "nothing is left for the rest", found=told, known="shares that add up to less than 1")
    return arms
