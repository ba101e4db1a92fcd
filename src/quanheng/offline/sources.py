"""Features that need answers of sources with state, or balances: a training set has none of them, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from quanheng.kernel.errors import InputError
from quanheng.loading.declared import Declared

LEDGER = "ledger"
"""What answers balances: folded from the log, as a source with state is; a training set knows the events alone."""


def sourced(declared: Declared) -> dict[str, str]:
    """Columns of sources with state, balances, and formulas that need them, each with the name of such a source."""
    found = {column.name: source.name for source in declared.sources for column in source.columns}
    found |= {balance.name: LEDGER for balance in declared.accounts.balances}
    for formula in declared.formulas:  # In an order that can be computed.
        needed = [found[one] for one in formula.uses if one in found]
        if needed:
            found[formula.name] = needed[0]
    return found


def refuse_sources(declared: Declared, names: Sequence[str]) -> None:
    """Refuse features that need answers of sources with state, where they are asked for by name.

    Raises
    ------
    InputError : with each such feature and its source
    """
    found = sourced(declared)
    if asked := [f"{one} (source {found[one]})" for one in names if one in found]:
        raise InputError(
            "a training set holds no answers of sources with state",
            where="--features",
            found=", ".join(asked),
            cure="Ask for features that need none; a model that reads them is trained by quanheng train.",
        )
