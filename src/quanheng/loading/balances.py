"""Which balances of accounts.toml are known of an event: those of accounts that its key fields name."""

from __future__ import annotations

from quanheng.events.schema import EventDeclaration
from quanheng.features.source import SourceColumn
from quanheng.ledger.balances import BalanceSource
from quanheng.loading.declared import SourceDeclaration
from quanheng.loading.declared_accounts import AccountDeclaration, AccountOf, AccountsDeclaration, BalanceDeclaration

BALANCES = "balances"
"""Name of the source that stands for a pack's balances."""


def knows(named: AccountOf, account: AccountDeclaration, event: EventDeclaration) -> bool:
    """Whether an event has the key fields that name an account, each of the entity that the account is kept per."""
    fields = event.fields
    return len(named.keys) == len(account.per) and all(
        key in fields and fields[key].kind == "key" and fields[key].entity == entity
        for key, entity in zip(named.keys, account.per, strict=True)
    )


def balances_of(accounts: AccountsDeclaration, event: EventDeclaration) -> tuple[BalanceDeclaration, ...]:
    """The balances that are known at the moment of an event of this type, in the order of the file."""
    by_name = {one.name: one for one in accounts.accounts}
    return tuple(one for one in accounts.balances if knows(one.account, by_name[one.account.account], event))


def balance_source(pack: str, accounts: AccountsDeclaration) -> tuple[SourceDeclaration, ...]:
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
