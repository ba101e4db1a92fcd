"""FEEL of accounts.toml: amounts are numbers, conditions are true or false, their names are known of the event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from quanheng import feel
from quanheng.events.schema import EventDeclaration
from quanheng.feel.constants import constant_of
from quanheng.feel.tree import Node
from quanheng.feel.types import BOOLEAN, BY_NAME, NULL, NUMBER, FeelType, possible
from quanheng.kernel.errors import ExpressionError, Problem
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.loading.checks.acts import Asked
from quanheng.loading.checks.chart import FILE
from quanheng.loading.checks.expressions import read_expression
from quanheng.loading.declared_accounts import AccountsDeclaration, PostingDeclaration, TransferTemplate
from quanheng.loading.notes import Notes, Words

MINOR = "minor"


def check_amounts(
    accounts: AccountsDeclaration,
    asked: Asked,
    sources: Mapping[str, Mapping[str, str]],
    events: Mapping[str, EventDeclaration],
    decimals: Mapping[str, int],
    notes: Notes,
) -> None:
    """Check amounts and conditions of all postings, for every event whose flow asks for them.

    Parameters
    ----------
    sources : per event that is decided: name → FEEL type of everything that is known
    events : events that are decided, by name
    decimals : most decimals of what is computed or a parameter, by name
    """
    exponents = {one.name: one.exponent for one in accounts.assets}
    for posting in accounts.postings:
        asking = [name for name in asked.events(posting.name) if name in sources]
        for name in asking:
            scope = {one: BY_NAME[kind] for one, kind in sorted(sources[name].items())}
            _check_posting(posting, name, scope, exponents, notes)
            for transfer in posting.transfers:
                if transfer.amount and transfer.asset in exponents:
                    key = _key(posting, transfer, "amount_minor" if transfer.minor else "amount")
                    exponent = 0 if transfer.minor else exponents[transfer.asset]
                    notes.warn(_doubtful(transfer, key, exponent, events[name], decimals))
        if not asking:
            for key, text, _ in _texts(posting):
                _check_form(key, text, notes)


def _texts(posting: PostingDeclaration) -> Iterator[tuple[str, str, TransferTemplate]]:
    """Place, text and transfer of every amount and condition of a posting."""
    for one in posting.transfers:
        if one.amount:
            yield _key(posting, one, "amount_minor" if one.minor else "amount"), one.amount, one
        if one.where:
            yield _key(posting, one, "where"), one.where, one


def _key(posting: PostingDeclaration, transfer: TransferTemplate, name: str) -> str:
    return f"posting.{posting.name}.transfer.{transfer.name}.{name}"


def _check_posting(
    posting: PostingDeclaration,
    event: str,
    scope: Mapping[str, FeelType],
    exponents: Mapping[str, int],
    notes: Notes,
) -> None:
    for key, text, transfer in _texts(posting):
        wanted = BOOLEAN if key.endswith(".where") else NUMBER
        tree = read_expression(text, scope, FILE, key, notes, of="source", told=f" for {event}")
        if tree is not None and (tree.type is NULL or not possible(tree.type, wanted)):
            message = "the amount is no number" if wanted is NUMBER else "the condition is not true or false"
            notes.add(FILE, key, message, found=Words(f"{text}, of type {tree.type}"), known=str(wanted))
        elif tree is not None and wanted is NUMBER:
            _check_constant(tree, key, transfer, exponents, notes)


def _check_constant(
    tree: Node, key: str, transfer: TransferTemplate, exponents: Mapping[str, int], notes: Notes
) -> None:
    """An amount that is the same for every event: whether the ledger can ever take it."""
    value, known = constant_of(tree)
    if not known or transfer.asset not in exponents:
        return
    exponent, found = 0 if transfer.minor else exponents[transfer.asset], Words(transfer.amount)
    if not isinstance(value, (int, Decimal)) or value <= 0:
        cure = "A transfer moves value from `debit` to `credit`: swap them, or say an amount above 0."
        notes.add(FILE, key, "the amount is never above 0", found=found, cure=cure)
    elif (most := Decimal(AMOUNT_MAX).scaleb(-exponent)) < value:
        notes.add(FILE, key, "the amount is more than one transfer can move", found=found, known=f"at most {most}")
    elif transfer.rounding == "exact" and _decimals(value) > exponent:
        message, most_decimals = "the amount is never whole in minor units", f"at most {exponent} decimals"
        notes.add(FILE, key, message, found=found, known=most_decimals, cure="Say how to round: rounding.")


def _decimals(value: int | Decimal) -> int:
    """Decimals that a number needs: 2 for 1.250."""
    return len(format(Decimal(value), "f").partition(".")[2].rstrip("0"))


def _check_form(key: str, text: str, notes: Notes) -> None:
    """Of a posting that no flow asks for nobody knows the names: whether the text can be read at all."""
    try:
        feel.parse(text, {}, strict=False)
    except ExpressionError:
        read_expression(text, {}, FILE, key, notes, of="source")


def _doubtful(
    transfer: TransferTemplate, key: str, exponent: int, event: EventDeclaration, decimals: Mapping[str, int]
) -> Collection[Problem]:
    """An amount that is one name: whether it fits minor units as a whole, and is in the units that the key says."""
    name = transfer.amount.strip()
    field = event.fields.get(name)
    if field is not None and field.unit == MINOR and not transfer.minor:
        cure = f'Write amount_minor = "{name}".'
        return [Problem(FILE, key, f"the field of {event.name} counts minor units, and `amount` major ones", name,
                        cure=cure)]  # fmt: skip
    most = field.scale if field is not None else decimals.get(name, 0)
    if transfer.rounding == "exact" and most > exponent:
        message = f"the amount may have {most} decimals, and one that is not whole in minor units is refused"
        return [Problem(FILE, key, message, name, f"at most {exponent}", "Say how to round: rounding.")]
    return []
