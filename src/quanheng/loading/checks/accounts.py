"""accounts.toml: what value a pack moves, between which accounts, and what policies may know of these accounts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.calendars import Calendar
from quanheng.ledger.instruments.loan_book.postings import CONTROLS
from quanheng.loading.balances import knows, names_loan
from quanheng.loading.checks.chart import FILE, Chart, read_account_of, read_chart
from quanheng.loading.checks.loans import Products, read_loans, read_measures, read_servicings
from quanheng.loading.checks.postings import read_postings
from quanheng.loading.declared import Entity
from quanheng.loading.declared_accounts import (
    AccountsDeclaration,
    BalanceDeclaration,
    BalanceOf,
    MeasureDeclaration,
    PostingDeclaration,
)
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

BALANCES_MAX = 200
_RENAME = "Policies and formulas could not tell them apart: rename one."
PARTS = ("asset", "account", "posting", "balance", "loan", "servicing", "measure")
OF_MONEY = ("available", "posted", "debits_held", "credits_held")
"""Balances in major units of the asset; the others count."""


def check_accounts(
    values: Mapping[str, object],
    pack: str,
    entities: Mapping[str, Entity],
    decided: Mapping[str, EventDeclaration],
    unsound: frozenset[str],
    calendars: Mapping[str, Calendar],
    notes: Notes,
) -> AccountsDeclaration:
    """Read accounts.toml.

    Parameters
    ----------
    pack : name of the pack, which qualifies its entities
    entities : entities of the pack and of all that it requires, by qualified name
    decided : events that a flow of this pack decides, by name
    unsound : events with problems of their own: nobody can say which keys they have
    calendars : that due days may roll by, by name
    """
    top = Table(values, FILE, "", notes)
    if values.keys() - set(PARTS):
        notes.doubt("asset", "account", "posting", "transfer", "feature", "source", "product", "servicing")
    chart = read_chart(top, pack, entities)
    postings = read_postings(top, chart)
    balances = []
    for name, table in top.named("balance", NAME, of="source"):
        balance = _balance(name, table, chart)
        if balance is not None:
            balances.append(balance)
            _check_name(table, name, decided)
            _check_known(table, balance, chart, decided, unsound)
        if not table.sound:  # What reads it would be blamed for that.
            notes.doubt("feature", "source")
    if len(balances) > BALANCES_MAX:
        top.problem("balance", "there are too many balances", found=len(balances), known=f"at most {BALANCES_MAX}")
    products = read_loans(top, chart, pack, entities, calendars)
    _check_moved(top, products, postings)
    servicings, measures = read_servicings(top, products), []
    for table, measure in read_measures(top, products, chart):
        measures.append(measure)
        _check_name(table, measure.name, decided)
        if measure.name in {one.name for one in balances}:
            table.problem("", "the name is taken by a balance", found=measure.name, cure=_RENAME)
        _check_measured(table, measure, products, decided, unsound)
    top.done()
    return AccountsDeclaration(
        assets=tuple(chart.assets.values()),
        accounts=tuple(chart.accounts.values()),
        postings=postings,
        balances=tuple(balances),
        loans=tuple(products.loans.values()),
        servicings=servicings,
        measures=tuple(measures),
    )


def _check_moved(top: Table, products: Products, postings: Sequence[PostingDeclaration]) -> None:
    """What is owed is booked by the loan book alone: no transfer names such an account."""
    controls = {
        one.accounts[role]: f"{role} of loan.{one.name}"
        for one in products.loans.values() for role in CONTROLS if role in one.accounts
    }  # fmt: skip
    for posting in postings:
        for transfer in posting.transfers:
            for side, named in (("debit", transfer.debit), ("credit", transfer.credit)):
                if named is not None and named.account in controls:
                    key = f"posting.{posting.name}.transfer.{transfer.name}.{side}"
                    message = f"the account is {controls[named.account]}, which the loan book alone books"
                    cure = "Move value by the product's cash account, and ask for an act on the loan."
                    top.notes.add(FILE, key, message, found=named.account, cure=cure)


def _check_measured(
    table: Table,
    measure: MeasureDeclaration,
    products: Products,
    decided: Mapping[str, EventDeclaration],
    unsound: frozenset[str],
) -> None:
    """Some decided event has the key field that the loan is named by."""
    per = products.loans[measure.loan.product].per
    if unsound & decided.keys():
        table.notes.doubt("feature", "source")
    elif decided and not any(names_loan(measure.loan, per, event) for event in decided.values()):
        message = f"no decided event has this key field of {per}"
        table.problem("loan", message, found=measure.loan.key, known=_fitting([per], decided), of="decided")


def _balance(name: str, table: Table, chart: Chart) -> BalanceDeclaration | None:
    title = table.title(required=False)
    account = read_account_of(table, "account", chart)
    of = table.choice("of", get_args(BalanceOf))
    table.done()
    if account is None or not of:
        return None
    asset = chart.assets[chart.accounts[account.account].asset]
    decimals = asset.exponent if of in OF_MONEY else 0
    return BalanceDeclaration(name=name, account=account, of=of, decimals=decimals, en=title.en, zh=title.zh)


def _check_name(table: Table, name: str, decided: Mapping[str, EventDeclaration]) -> None:
    """A policy input has one source: features, parameters and models are compared where these are read."""
    event = next((one.name for one in decided.values() if name in one.fields), "")
    if event:
        table.problem("", f"the name is taken by a field of {event}", found=name, cure=_RENAME)


def _check_known(
    table: Table,
    balance: BalanceDeclaration,
    chart: Chart,
    decided: Mapping[str, EventDeclaration],
    unsound: frozenset[str],
) -> None:
    """Some decided event has the key fields that the account is named by."""
    account = chart.accounts[balance.account.account]
    if unsound & decided.keys():
        table.notes.doubt("feature", "source")
    elif decided and not any(knows(balance.account, account, event) for event in decided.values()):
        message = f"no decided event has these key fields of {', '.join(account.per)}"
        table.problem("account", message, found=", ".join(balance.account.keys), known=_fitting(account.per, decided),
                      of="decided")  # fmt: skip


def _fitting(per: Collection[str], decided: Mapping[str, EventDeclaration]) -> list[str]:
    """Key fields that could be meant, with their event."""
    return [
        f"{event.name}: {name}"
        for event in decided.values()
        for name, field in event.fields.items()
        if field.kind == "key" and field.entity in per
    ]
