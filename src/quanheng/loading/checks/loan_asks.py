"""Acts on loans that flows ask for: whether accounts.toml has them, the event their key, and their FEEL fits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from quanheng import feel
from quanheng.events.schema import EventDeclaration
from quanheng.feel.constants import constant_of
from quanheng.feel.types import BOOLEAN, BY_NAME, NULL, NUMBER, possible
from quanheng.kernel.errors import ExpressionError, Problem
from quanheng.loading.balances import names_loan
from quanheng.loading.checks.chart import FILE
from quanheng.loading.checks.expressions import read_expression
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import FlowDraft
from quanheng.loading.declared_accounts import AccountsDeclaration, ServicingDeclaration
from quanheng.loading.notes import Notes, Words

TEXTS = ("amount", "rate", "periods", "until_ms", "value_ms", "where")
MINOR = "minor"


def check_loan_asks(
    flows: Sequence[FlowDraft],
    accounts: AccountsDeclaration,
    events: Mapping[str, EventDeclaration],
    unsound: Collection[str],
    notes: Notes,
) -> dict[str, tuple[str, ...]]:
    """Check which acts flows ask for; event → names of its acts, each once.

    Parameters
    ----------
    events : events of this pack and of required packs
    unsound : events with problems of their own: nobody can say which keys they have
    """
    known = {one.name: one for one in accounts.servicings}
    asked: dict[str, tuple[str, ...]] = {}
    for flow in flows:
        for outcome, names in flow.loans.items():
            for name in names:
                if name not in known:
                    notes.doubt("transfer")
                    message = "no such act on a loan is declared in accounts.toml"
                    key = f"{flow.key}.then.{outcome}"
                    notes.add(MANIFEST_FILE, key, message, found=name, known=list(known), of="servicing")
        found = dict.fromkeys(name for names in flow.loans.values() for name in names if name in known)
        if found:
            asked[flow.when] = tuple(found)
    per = {one.name: one.per for one in accounts.loans}
    for name, one in known.items():
        asking = [event for event, names in asked.items() if name in names]
        for event in asking:
            if event in events and event not in unsound:
                _check_key(one, per[one.loan.product], events[event], notes)
        if not asking and not (notes.doubted("act") or notes.doubted("decided")):
            cure = f'Ask for it: then.OUTCOME = ["loan:{name}"] in a flow of pack.toml.'
            notes.warn([Problem(FILE, f"servicing.{name}", "no flow asks for this act", cure=cure)])
    return asked


def _check_key(one: ServicingDeclaration, per: str, event: EventDeclaration, notes: Notes) -> None:
    if not names_loan(one.loan, per, event):
        keys = [name for name, field in event.fields.items() if field.kind == "key"]
        fitting = [name for name in keys if event.fields[name].entity == per]
        name = one.loan.key
        found = Words(f"{name}, of {event.fields[name].entity}") if name in keys else name
        message = f"{event.name} asks for this act and has no such key field of {per}"
        notes.add(FILE, f"servicing.{one.name}.loan", message, found=found, known=fitting)


def check_loan_texts(
    accounts: AccountsDeclaration,
    asked: Mapping[str, Collection[str]],
    sources: Mapping[str, Mapping[str, str]],
    events: Mapping[str, EventDeclaration],
    notes: Notes,
) -> None:
    """Check the FEEL of acts, for every event whose flow asks for them.

    Parameters
    ----------
    asked : event → names of acts
    sources : per event that is decided: name → FEEL type of everything that is known
    events : events that are decided, by name
    """
    for one in accounts.servicings:
        asking = [event for event, names in asked.items() if one.name in names and event in sources]
        for key, text in _texts(one):
            for event in asking:
                _check_text(one, key, text, event, sources[event], notes)
                field = events[event].fields.get(text.strip())
                if key.endswith(".amount") and field is not None and field.unit == MINOR:
                    cure = f'Write amount_minor = "{text.strip()}".'
                    message = f"the field of {event} counts minor units, and `amount` major ones"
                    notes.warn([Problem(FILE, key, message, text.strip(), cure=cure)])
            if not asking:
                _check_form(key, text, notes)


def _texts(one: ServicingDeclaration) -> Iterator[tuple[str, str]]:
    for name in TEXTS:
        if text := getattr(one, name):
            yield f"servicing.{one.name}.{'amount_minor' if name == 'amount' and one.minor else name}", text


def _check_text(
    one: ServicingDeclaration, key: str, text: str, event: str, known: Mapping[str, str], notes: Notes
) -> None:
    scope = {name: BY_NAME[kind] for name, kind in sorted(known.items())}
    wanted = BOOLEAN if key.endswith(".where") else NUMBER
    tree = read_expression(text, scope, FILE, key, notes, of="source", told=f" for {event}")
    if tree is None:
        return
    if tree.type is NULL or not possible(tree.type, wanted):
        message = "the value is no number" if wanted is NUMBER else "the condition is not true or false"
        notes.add(FILE, key, message, found=Words(f"{text}, of type {tree.type}"), known=str(wanted))
        return
    value, constant = constant_of(tree)
    if constant and ".amount" in key and (not isinstance(value, (int, Decimal)) or value <= 0):
        cure = "Say an amount above 0; what the act does says which way value moves."
        notes.add(FILE, key, "the amount is never above 0", found=Words(text), cure=cure)


def _check_form(key: str, text: str, notes: Notes) -> None:
    """Of an act that no flow asks for nobody knows the names: whether the text can be read at all."""
    try:
        feel.parse(text, {}, strict=False)
    except ExpressionError:
        read_expression(text, {}, FILE, key, notes, of="source")
