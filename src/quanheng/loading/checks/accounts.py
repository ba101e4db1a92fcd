"""accounts.toml: what value a pack moves, between which accounts, and what policies may know of these accounts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import get_args

from quanheng.events.schema import EventDeclaration
from quanheng.loading.balances import knows
from quanheng.loading.checks.chart import FILE, Chart, read_account_of, read_chart
from quanheng.loading.checks.postings import read_postings
from quanheng.loading.declared import Entity
from quanheng.loading.declared_accounts import AccountsDeclaration, BalanceDeclaration, BalanceOf
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

BALANCES_MAX = 200
PARTS = ("asset", "account", "posting", "balance")
OF_MONEY = ("available", "posted", "debits_held", "credits_held")
"""Balances in major units of the asset; the others count."""


def check_accounts(
    values: Mapping[str, object],
    pack: str,
    entities: Mapping[str, Entity],
    decided: Mapping[str, EventDeclaration],
    unsound: frozenset[str],
    notes: Notes,
) -> AccountsDeclaration:
    """Read accounts.toml.

    Parameters
    ----------
    pack : name of the pack, which qualifies its entities
    entities : entities of the pack and of all that it requires, by qualified name
    decided : events that a flow of this pack decides, by name
    unsound : events with problems of their own: nobody can say which keys they have
    """
    top = Table(values, FILE, "", notes)
    if values.keys() - set(PARTS):
        notes.doubt("asset", "account", "posting", "transfer", "feature", "source")
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
    top.done()
    return AccountsDeclaration(
        assets=tuple(chart.assets.values()),
        accounts=tuple(chart.accounts.values()),
        postings=postings,
        balances=tuple(balances),
    )


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
        cure = "Policies and formulas could not tell them apart: rename one."
        table.problem("", f"the name is taken by a field of {event}", found=name, cure=cure)


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
