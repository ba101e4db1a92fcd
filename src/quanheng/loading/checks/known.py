"""What is known about an event by name: fields, features, parameters, models, each with its FEEL type."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from quanheng.events.schema import EventDeclaration
from quanheng.features.reach import reaches
from quanheng.loading.balances import balances_of
from quanheng.loading.declared import Fold, Formula, ModelDeclaration, Parameter
from quanheng.loading.declared_accounts import AccountsDeclaration
from quanheng.loading.notes import Notes

_FIELD_TYPES = {
    "key": "string",
    "text": "string",
    "choice": "string",
    "integer": "number",
    "decimal": "number",
    "time": "number",
    "boolean": "boolean",
}


def sources_of(
    event: EventDeclaration,
    folds: Sequence[Fold],
    answers: Sequence[str],
    accounts: AccountsDeclaration,
    formulas: Sequence[Formula],
    parameters: Sequence[Parameter],
    models: Sequence[ModelDeclaration],
) -> dict[str, str]:
    """Everything a policy may ask for when it decides this event, with its FEEL type."""
    fields = event.fields
    found = {name: _FIELD_TYPES[field.kind] for name, field in fields.items()}
    keys = [name for name, field in fields.items() if field.kind == "key"]
    found |= {fold.name: "number" for fold in folds if reaches(fold, folds, event.name, keys)}
    found |= dict.fromkeys(answers, "number") | {one.name: "number" for one in balances_of(accounts, event)}
    for formula in formulas:
        if set(formula.uses) <= set(found):
            found[formula.name] = "number"
    for model in models:
        if set(model.inputs) <= set(found):
            found[model.name] = "number"
            found |= dict.fromkeys(model.reason_columns, "string")
    for parameter in parameters:
        value = parameter.values[0].value if parameter.values else None
        kinds = {bool: "boolean", str: "string", tuple: "Any", type(None): "Any"}
        found[parameter.name] = kinds.get(type(value), "number")
    return found


def decimals_of(
    formulas: Sequence[Formula],
    models: Sequence[ModelDeclaration],
    accounts: AccountsDeclaration,
    parameters: Sequence[Parameter],
) -> dict[str, int]:
    """Most decimals of what is computed or a parameter, by name."""
    found = {formula.name: formula.decimals for formula in formulas}
    found |= {model.name: model.output_decimals for model in models}
    found |= {balance.name: balance.decimals for balance in accounts.balances}
    for parameter in parameters:
        values = [one.value for one in parameter.values if isinstance(one.value, Decimal)]
        found[parameter.name] = max([0, *(-int(value.as_tuple().exponent) for value in values)])
    return found


def check_shared_names(
    parameters: Sequence[Parameter],
    models: Sequence[ModelDeclaration],
    features: Collection[str],
    balances: Collection[str],
    decided: Mapping[str, EventDeclaration],
    notes: Notes,
) -> None:
    """A policy input has one source: parameters may not share a name with a field, feature or model."""
    taken = {name: f"a field of {event.name}" for event in decided.values() for name in event.fields}
    taken |= dict.fromkeys(features, "a fold or formula") | dict.fromkeys(balances, "a balance")
    taken |= {name: "a model" for model in models for name in (model.name, *model.reason_columns)}
    for parameter in parameters:
        if parameter.name in taken:
            message = f"the name is taken by {taken[parameter.name]}"
            cure = "A policy could not tell them apart: rename the parameter."
            notes.add("parameters", f"parameter.{parameter.name}", message, found=parameter.name, cure=cure)
