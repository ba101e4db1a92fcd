"""What a later version of a pack may not change in accounts.toml while the ledger holds accounts: what an amount means,
and whose account is whose.
"""

from __future__ import annotations

from collections.abc import Mapping

from quanheng.kernel.errors import Problem
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


def _shown(value: str | tuple[str, ...]) -> str:
    """An asset, or the entities of an account; "none" of the house's."""
    return value if isinstance(value, str) else ", ".join(value) or "none"
