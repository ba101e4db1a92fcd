"""Which balances of accounts.toml are known of an event: those of accounts that its key fields name."""

from __future__ import annotations

from quanheng.events.schema import EventDeclaration
from quanheng.features.source import SourceColumn
from quanheng.ledger.balances import BalanceSource
from quanheng.ledger.instruments.loan_book.measuring import LoanSource
from quanheng.loading.declared import SourceDeclaration
from quanheng.loading.declared_accounts import (
    AccountDeclaration,
    AccountOf,
    AccountsDeclaration,
    BalanceDeclaration,
    LoanOf,
    MeasureDeclaration,
)

BALANCES, MEASURES = "balances", "measures"
"""Names of the sources that stand for a pack's balances, and for what it knows of loans."""


def knows(named: AccountOf, account: AccountDeclaration, event: EventDeclaration) -> bool:
    """Whether an event has the key fields that name an account, each of the entity that the account is kept per."""
    fields = event.fields
    return len(named.keys) == len(account.per) and all(
        key in fields and fields[key].kind == "key" and fields[key].entity == entity
        for key, entity in zip(named.keys, account.per, strict=True)
    )


def names_loan(loan: LoanOf, per: str, event: EventDeclaration) -> bool:
    """Whether an event has the key field that names a loan, of the entity that contracts are."""
    field = event.fields.get(loan.key)
    return field is not None and field.kind == "key" and field.entity == per


def measures_of(accounts: AccountsDeclaration, event: EventDeclaration) -> tuple[MeasureDeclaration, ...]:
    """The measures of loans that are known at the moment of an event of this type, in the order of the file."""
    per = {one.name: one.per for one in accounts.loans}
    return tuple(one for one in accounts.measures if names_loan(one.loan, per[one.loan.product], event))


def balances_of(accounts: AccountsDeclaration, event: EventDeclaration) -> tuple[BalanceDeclaration, ...]:
    """The balances that are known at the moment of an event of this type, in the order of the file."""
    by_name = {one.name: one for one in accounts.accounts}
    return tuple(one for one in accounts.balances if knows(one.account, by_name[one.account.account], event))


def ledger_sources(pack: str, accounts: AccountsDeclaration) -> tuple[SourceDeclaration, ...]:
    """What ledger and loan book answer, as sources with state."""
    return (*_balance_source(pack, accounts), *_loan_source(pack, accounts))


def _loan_source(pack: str, accounts: AccountsDeclaration) -> tuple[SourceDeclaration, ...]:
    """The measures of a pack as a source with state, which the loan book answers; none where it declares none."""
    if not accounts.measures:
        return ()
    columns = tuple(SourceColumn(one.name, "number", one.decimals) for one in accounts.measures)
    asked = [
        {"product": f"{pack}.{one.loan.product}", "key": one.loan.key, "of": one.of, "decimals": one.decimals}
        for one in accounts.measures
    ]
    return (
        SourceDeclaration(
            name=MEASURES, make=LoanSource, version=LoanSource.version, columns=columns, settings={"measures": asked},
        ),
    )  # fmt: skip


def _balance_source(pack: str, accounts: AccountsDeclaration) -> tuple[SourceDeclaration, ...]:
    """The balances of a pack as a source with state, which the ledger answers; none where it declares none."""
    if not accounts.balances:
        return ()
    columns = tuple(SourceColumn(one.name, "number", one.decimals) for one in accounts.balances)
    asked = [
        {
            "account": f"{pack}.{one.account.account}", "keys": list(one.account.keys), "of": one.of,
            "decimals": one.decimals,
        }
        for one in accounts.balances
    ]  # fmt: skip
    return (
        SourceDeclaration(
            name=BALANCES, make=BalanceSource, version=BalanceSource.version, columns=columns,
            settings={"balances": asked},
        ),
    )  # fmt: skip
