"""What a later version of a pack may not change in accounts.toml while the ledger holds accounts: what an amount means,
and whose account is whose.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quanheng.kernel.errors import Problem
from quanheng.ledger.instruments.loan_book.products import Product
from quanheng.loading.checks.chart import FILE
from quanheng.loading.declared import Declared

_WHY = "the ledger holds accounts, so {} stays as it is"


def account_changes(was: Mapping[str, Declared], now: Mapping[str, Declared]) -> list[Problem]:
    """Assets and accounts that both sets of packs declare, and that the later one declares otherwise.

    An account is found again by its pack, name and keys, and its minor units are those of its asset: another asset,
    other entities in `per` or another exponent would make other value of what is there. Limits and rules may change;
    they are those of accounts that are opened from then on.

    Parameters
    ----------
    was, now : packs by name, before and after an activation
    """
    problems = []
    assets = {asset.name: asset for pack in was.values() for asset in pack.accounts.assets}
    for name, pack in now.items():
        for asset in pack.accounts.assets:
            old = assets.get(asset.name, asset)
            for key in ("number", "exponent"):
                before, after = getattr(old, key), getattr(asset, key)
                if before != after:
                    problems.append(
                        Problem(
                            f"{name}/{FILE}", f"asset.{asset.name}.{key}", _WHY.format("an asset"), str(after),
                            str(before), "Declare another asset, and move value by an exchange.",
                        )
                    )  # fmt: skip
        accounts = {one.name: one for one in was[name].accounts.accounts} if name in was else {}
        for account in pack.accounts.accounts:
            before_account = accounts.get(account.name, account)
            for key in ("asset", "per"):
                first, second = _shown(getattr(before_account, key)), _shown(getattr(account, key))
                if first != second:
                    problems.append(
                        Problem(
                            f"{name}/{FILE}", f"account.{account.name}.{key}", _WHY.format("whose account it is"),
                            second, first, "Declare an account of another name, and move what is there.",
                        )
                    )  # fmt: skip
    return problems


def later_terms(was: Product, now: Product, day: int) -> list[str]:
    """Fields in which the terms of a product differ from those of the loans that there are.

    Reference rates from days after `day` (days since 1970-01-01) may have been added: nothing that was counts by them.
    """
    added = now.reference[len(was.reference) :]
    grows = now.reference[: len(was.reference)] == was.reference and all(one.day > day for one in added)
    if grows and added:
        penalty = now.penalty
        if penalty is not None and penalty.reference:
            penalty = msgspec.structs.replace(penalty, reference=was.reference)
        now = msgspec.structs.replace(now, reference=was.reference, penalty=penalty)
    fields = Product.__struct_fields__
    return [one for one in fields if one != "number" and getattr(was, one) != getattr(now, one)]


def _shown(value: str | tuple[str, ...]) -> str:
    """An asset, or the entities of an account; "none" of the house's."""
    return value if isinstance(value, str) else ", ".join(value) or "none"
