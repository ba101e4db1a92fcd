"""Which balances of accounts.toml are known of an event: those of accounts that its key fields name."""

from __future__ import annotations

from quanheng.events.schema import EventDeclaration
from quanheng.loading.declared_accounts import AccountDeclaration, AccountOf, AccountsDeclaration, BalanceDeclaration


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
