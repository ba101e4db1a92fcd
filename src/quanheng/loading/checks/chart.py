"""The chart of accounts.toml: assets, accounts, and how the rest of the file names an account, `wallet(payer)`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from quanheng.kernel.errors import Problem
from quanheng.kernel.money import EXPONENTS, NUMBERS
from quanheng.ledger.entries import AMOUNT_MAX, NO_LIMIT, AccountFlag
from quanheng.loading.checks.events import qualified_entity
from quanheng.loading.declared import Entity
from quanheng.loading.declared_accounts import AccountDeclaration, AccountOf, AssetDeclaration
from quanheng.loading.notes import Words
from quanheng.loading.table import ASSET_NAME, NAME, Table

FILE = "accounts.toml"
ASSETS_MAX = 1000
ACCOUNTS_MAX = 1000
PER_MAX = 4
NUMBER_MAX = 2**32 - 1
CODE_MAX = 2**16 - 1
EXPONENT_MAX = 18
LIMITS = ("payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor")
FLAGS = {
    "debits_bound": AccountFlag.DEBITS_BOUND,
    "credits_bound": AccountFlag.CREDITS_BOUND,
    "history": AccountFlag.HISTORY,
}
ACCOUNT_OF_WORDS = "`wallet(payer)` with a key field for each entity of `per`, or `fees` for one of the house"

_ACCOUNT_OF = re.compile(
    rf"\s*(?P<account>{NAME.pattern})\s*(\(\s*(?P<keys>{NAME.pattern}(\s*,\s*{NAME.pattern})*)\s*\))?\s*"
)


class Chart(msgspec.Struct, frozen=True):
    """Assets and accounts by name.

    unsound : accounts with problems of their own: nothing that names them is judged by what they say
    """

    assets: Mapping[str, AssetDeclaration]
    accounts: Mapping[str, AccountDeclaration]
    unsound: Collection[str] = ()


def read_chart(top: Table, pack: str, entities: Mapping[str, Entity]) -> Chart:
    """Read `[asset.NAME]` and `[account.NAME]`.

    Parameters
    ----------
    pack : name of the pack, which qualifies its entities
    entities : entities of the pack and of all that it requires, by qualified name
    """
    assets: dict[str, AssetDeclaration] = {}
    numbers: dict[int, str] = {}
    for name, table in top.named("asset", ASSET_NAME, of="asset"):
        assets[name] = _asset(name, table)
        number = assets[name].number
        if number in numbers:
            message = f"the number is taken by the asset {numbers[number]}"
            table.problem("number", message, found=number, cure="The ledger could not tell them apart: change one.")
        elif number:
            numbers[number] = name
    accounts: dict[str, AccountDeclaration] = {}
    unsound = set()
    for name, table in top.named("account", NAME, of="account"):
        accounts[name] = _account(name, table, pack, entities, assets)
        if not table.sound or (accounts[name].asset not in assets):
            unsound.add(name)
    for kind, found, most in (("asset", assets, ASSETS_MAX), ("account", accounts, ACCOUNTS_MAX)):
        if len(found) > most:
            top.problem(kind, f"there are too many {kind}s", found=len(found), known=f"at most {most}")
    return Chart(assets, accounts, frozenset(unsound))


def _asset(name: str, table: Table) -> AssetDeclaration:
    number = table.integer("number", required=False, default=NUMBERS.get(name, 0), least=1, most=NUMBER_MAX)
    exponent = table.integer("exponent", required=False, default=EXPONENTS.get(name, 0), least=0, most=EXPONENT_MAX)
    for key, cure in (("number", "Choose one that no other asset of the ledger has."),
                      ("exponent", "Write exponent = 0 where it has no parts.")):  # fmt: skip
        if name not in NUMBERS and not table.has(key):
            message = f"{name} is no currency of ISO 4217, so this must be said; the key is missing"
            table.problem(key, message, known="an integer", cure=cure)
    if number != NUMBERS.get(name, number):
        cure = f"Write number = {NUMBERS[name]}, or leave it out."
        message = "the currency has another number in ISO 4217"
        table.notes.warn([Problem(FILE, table.path("number"), message, str(number), str(NUMBERS[name]), cure)])
    title = table.title(required=False)
    table.done()
    return AssetDeclaration(name=name, number=number, exponent=exponent, en=title.en, zh=title.zh)


def _account(
    name: str, table: Table, pack: str, entities: Mapping[str, Entity], assets: Collection[str]
) -> AccountDeclaration:
    title = table.title(required=False)
    per = tuple(qualified_entity(table, "per", one, pack, entities) for one in table.texts("per", required=False))
    if len(per) > PER_MAX:
        found = Words(f"{len(per)} entries")
        table.problem("per", "the list is too long", found=found, known=f"at most {PER_MAX}")
    asset = table.text("asset", wanted="an asset of this file")
    if asset and asset not in assets:
        table.problem("asset", "no such asset is declared in this file", found=asset, known=list(assets), of="asset")
    code = table.integer("code", default=1, least=1, most=CODE_MAX)
    legal_entity = table.integer("legal_entity", required=False, least=0, most=NUMBER_MAX)
    flags = sum(flag for key, flag in FLAGS.items() if table.boolean(key))
    overdraft = table.integer("overdraft_minor", required=False, least=0, most=AMOUNT_MAX)
    limits = {key: table.integer(key, required=False, default=NO_LIMIT, least=0, most=AMOUNT_MAX) for key in LIMITS}
    table.done()
    if flags & AccountFlag.DEBITS_BOUND and flags & AccountFlag.CREDITS_BOUND:
        cure = "Keep `debits_bound` where the account owes, `credits_bound` where it is owed."
        found = Words("`debits_bound` and `credits_bound`")
        table.problem("credits_bound", "an account is bound on one side", found=found, cure=cure)
    if overdraft and not flags & AccountFlag.DEBITS_BOUND:
        cure = "Write debits_bound = true, or remove `overdraft_minor`."
        message = "an overdraft says how far debits that are bound may go, and those of this account are not"
        table.problem("overdraft_minor", message, found=overdraft, cure=cure)
    return AccountDeclaration(
        name=name, per=per, asset=asset, code=code, flags=int(flags), entity=legal_entity,
        overdraft_minor=overdraft, **limits, en=title.en, zh=title.zh,
    )  # fmt: skip


def read_account_of(table: Table, key: str, chart: Chart) -> AccountOf | None:
    """The account that a key of a posting or balance names; None where nobody can say which that is."""
    text = table.text(key, wanted=ACCOUNT_OF_WORDS)
    if not text:
        return None
    match = _ACCOUNT_OF.fullmatch(text)
    if match is None:
        table.problem(key, "the account cannot be read", found=text, known=ACCOUNT_OF_WORDS)
        return None
    name = match["account"]
    keys = tuple(one.strip() for one in match["keys"].split(",")) if match["keys"] else ()
    if name not in chart.accounts:
        message = "no such account is declared in this file"
        table.problem(key, message, found=name, known=list(chart.accounts), of="account")
        return None
    if name in chart.unsound:
        table.sound = False
        return None
    per = chart.accounts[name].per
    if len(keys) != len(per):
        message = f"{name} is kept per {', '.join(per)}: a key field stands for each" if per else _HOUSE.format(name)
        cure = f"Write {name}({', '.join('…' for _ in per)})." if per else f"Write {name}."
        table.problem(key, message, found=text, cure=cure)
        return None
    return AccountOf(name, keys)


_HOUSE = "{} is one account of the house: no key field stands for it"
