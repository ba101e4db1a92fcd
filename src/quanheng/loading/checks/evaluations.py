"""evaluations.toml: protocols by which the pack's models are measured."""

from __future__ import annotations

from collections.abc import Collection

from quanheng.loading.notes import Notes
from quanheng.loading.table import DOTTED_NAME, NAME, Table

FILE = "evaluations.toml"
KINDS = ("delayed_card",)
DAYS_MAX = 3660


def check_evaluations(
    values: dict[str, object], events: Collection[str], keys: Collection[str], mappings: Collection[str], notes: Notes
) -> dict[str, dict[str, object]]:
    """Read evaluations.toml.

    Parameters
    ----------
    events : names of events
    keys : key fields of decided events
    mappings : names of files in mappings/
    """
    top = Table(values, FILE, "", notes)
    found = {}
    for name, table in top.named("protocol", NAME, required=True):
        table.choice("kind", KINDS)
        table.title(required=False)
        table.time_ms("train_from")
        for days in ("train_days", "delay_days", "test_days"):
            table.integer(days, least=0 if days == "delay_days" else 1, most=DAYS_MAX)
        _one_of(table, "key", table.text("key", pattern=NAME), keys, "decided")
        _one_of(table, "label_event", table.text("label_event", pattern=DOTTED_NAME), events, "event")
        if table.has("mapping"):
            _one_of(table, "mapping", table.text("mapping"), mappings, "mapping")
        table.integer("top_k", required=False, default=100, least=1, most=1_000_000)
        table.done()
        found[name] = dict(table.values)
    top.done()
    return found


def _one_of(table: Table, key: str, name: str, known: Collection[str], of: str) -> None:
    if name and name not in known:
        table.problem(key, "no such name is declared", found=name, known=list(known), of=of)
