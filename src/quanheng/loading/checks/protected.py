"""Attributes on which nobody may be treated differently: they are measured by, and enter no model and no decision."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from quanheng.events.schema import EventDeclaration
from quanheng.loading.checks.events import PROTECTED
from quanheng.loading.classes import data_classes
from quanheng.loading.declared import Declared
from quanheng.loading.notes import Notes

CURE = "Leave it out. It may stay in the event, where fairness is measured by it."


def check_protected(
    declared: Declared, events: Mapping[str, EventDeclaration], files: Mapping[str, str], notes: Notes
) -> None:
    """Refuse models and policies that read what is of the class `protected`, be it through a fold or a formula.

    Parameters
    ----------
    declared : a pack whose other checks were made
    events : that it may use, by name
    files : model → the file that declares it
    """
    decided = [events[flow.when] for flow in declared.flows if flow.when in events]
    named = {name for event in decided for name, field in event.fields.items() if field.data_class == PROTECTED}
    named |= {name for name, found in data_classes(declared, events).items() if found == PROTECTED}
    if not named:
        return
    for model in declared.models:
        for name in sorted({*model.inputs} & named):
            text = "a protected attribute, or what is computed from one, is no input of a model"
            notes.add(files[model.name], "model.inputs", text, found=name, cure=CURE)
    for policy, content in declared.policies.items():
        for name in sorted(_inputs(content) & named):
            text = "a protected attribute, or what is computed from one, is no input of a decision"
            notes.add(f"policies/{policy}.dmn", f"inputData {name}", text, found=name, cure=CURE)


def _inputs(content: bytes) -> set[str]:
    """Names of what a policy reads; nothing where it cannot be read, which is told elsewhere."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        return set()
    return {one.get("name", "") for one in root.iter("{*}inputData")}
