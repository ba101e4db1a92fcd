"""Loans of accounts.toml: products with their terms and control accounts, acts on them, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, get_args

import msgspec

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.kernel.errors import DeclarationError
from quanheng.kernel.time import DAY_MS
from quanheng.ledger.balances import account_id
from quanheng.ledger.entries import NO_LIMIT, AccountFlag
from quanheng.ledger.instruments.loan.day_count import DayCount, date_of
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, Method, Penalty, ReferenceRate
from quanheng.ledger.instruments.loan_book.kernel.words import DAYS, PERIODS_MAX
from quanheng.ledger.instruments.loan_book.measuring import AMOUNTS, COUNTS
from quanheng.ledger.instruments.loan_book.postings import CONTROLS
from quanheng.ledger.instruments.loan_book.products import Product, ProductAccounts, check_products
from quanheng.loading.checks.chart import CODE_MAX, LIMITS, Chart
from quanheng.loading.checks.events import qualified_entity
from quanheng.loading.declared import Entity
from quanheng.loading.declared_accounts import (
    LoanDeclaration,
    LoanOf,
    MeasureDeclaration,
    Rounding,
    ServiceAct,
    ServicingDeclaration,
)
from quanheng.loading.notes import Words
from quanheng.loading.table import NAME, Table

PRODUCTS_MAX, SERVICINGS_MAX, MEASURES_MAX = 200, 1000, 200
ROLES = ProductAccounts.__struct_fields__
ROUNDINGS = {f"half_{one}": f"ROUND_HALF_{one.upper()}" for one in ("even", "up", "down")} | {
    "down": "ROUND_DOWN", "up": "ROUND_UP",
}  # fmt: skip
GRACES, METHODS, ROLLS = ([one.value for one in kinds] for kinds in (Grace, Method, Roll))
DAY_COUNTS = [one.value for one in DayCount]
ROUNDED = ("level_rounding", "accrual_rounding", "billing_rounding", "penalty_rounding", "fee_rounding")
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "open": ("amount", "rate", "periods", "value_ms"),
    "pay": ("amount", "value_ms"),
    "prepay": ("amount", "smaller", "value_ms"),
    "charge": ("amount", "value_ms"),
    "pay_off": ("amount",),
    "write_off": (),
    "recover": ("amount",),
    "refund": ("amount",),
    "holiday": ("periods", "accrues"),
    "stay": ("until_ms",),
    "re_age": ("periods",),
    "re_amortise": ("periods",),
}
"""Settings of each act beside `loan`, `act`, `where` and `title`."""
MAY_BE_LEFT_OUT = {("pay_off", "amount"), ("re_age", "periods")}
LOAN_OF_WORDS = "`term(contract)` with a product of this file and the key field that names the contract"
_LOAN_OF = re.compile(rf"\s*(?P<product>{NAME.pattern})\s*\(\s*(?P<key>{NAME.pattern})\s*\)\s*")


class Products(msgspec.Struct, frozen=True):
    """Products by name. unsound : those with problems of their own: nothing that names them is judged."""

    loans: Mapping[str, LoanDeclaration]
    unsound: Collection[str] = ()


def read_loans(
    top: Table, chart: Chart, pack: str, entities: Mapping[str, Entity], calendars: Mapping[str, Calendar]
) -> Products:
    """Read `[loan.NAME]`."""
    loans: dict[str, LoanDeclaration] = {}
    unsound = set()
    for name, table in top.named("loan", NAME, of="product"):
        loans[name] = _loan(name, table, chart, pack, entities, calendars)
        if not table.sound:
            unsound.add(name)
    if len(loans) > PRODUCTS_MAX:
        top.problem("loan", "there are too many products", found=len(loans), known=f"at most {PRODUCTS_MAX}")
    return Products(loans, frozenset(unsound))


def _loan(
    name: str,
    table: Table,
    chart: Chart,
    pack: str,
    entities: Mapping[str, Entity],
    calendars: Mapping[str, Calendar],
) -> LoanDeclaration:
    title = table.title(required=False)
    per = table.text("per", wanted="the entity whose key names a contract")
    per = qualified_entity(table, "per", per, pack, entities) if per else ""
    asset = table.text("asset", wanted="an asset of this file")
    if asset and asset not in chart.assets:
        known = list(chart.assets)
        table.problem("asset", "no such asset is declared in this file", found=asset, known=known, of="asset")
    code = table.integer("code", default=1, least=1, most=CODE_MAX)
    roles = _roles(table.table("accounts"), asset, chart)
    terms = _terms(table, calendars)
    number = chart.assets[asset].number if asset in chart.assets else 1
    accounts = ProductAccounts(**{role: account_id(f"{pack}.{roles.get(role, role)}", ()) for role in ROLES})
    product = Product(number=1, asset=number, code=code, accounts=accounts, **terms)
    table.done()
    if table.sound:
        _check_terms(table, product)
    return LoanDeclaration(
        name=name, per=per, asset=asset, product=product, accounts=roles, en=title.en, zh=title.zh
    )  # fmt: skip


def _roles(table: Table, asset: str, chart: Chart) -> dict[str, str]:
    """Role → account of the house, of the loan's asset and bound by nothing; what is owed has accounts of its own."""
    roles: dict[str, str] = {}
    for role in ROLES:
        account = table.text(role, wanted="an account of the house in this file")
        if not account:
            continue
        if account not in chart.accounts:
            message, known = "no such account is declared in this file", list(chart.accounts)
            table.problem(role, message, found=account, known=known, of="account")
        elif account not in chart.unsound:
            _check_role(table, role, account, asset, chart)
        taken = next((one for one, other in roles.items() if other == account and {one, role} & set(CONTROLS)), "")
        if taken:
            message, cure = f"the account is that of {taken} already", "Name one for each kind of what is owed."
            table.problem(role, message, found=account, cure=cure)
        roles[role] = account
    table.done()
    return roles


def _check_role(table: Table, role: str, name: str, asset: str, chart: Chart) -> None:
    account = chart.accounts[name]
    if account.per:
        message, cure = "a control account is one of the house", "Name an account without `per`."
        table.problem(role, message, found=Words(f"{account.name}, per {', '.join(account.per)}"), cure=cure)
    elif asset in chart.assets and account.asset != asset:
        message = "the account is of another asset than the loan"
        table.problem(role, message, found=Words(f"{account.name}, of {account.asset}"), known=asset)
    elif account.flags & (AccountFlag.DEBITS_BOUND | AccountFlag.CREDITS_BOUND) or any(
        getattr(account, limit) != NO_LIMIT for limit in LIMITS
    ):
        message = "a control account has no bounds and no limits, since sums of a day cannot be refused"
        cure = f"Remove them from [account.{account.name}], or name another account."
        table.problem(role, message, found=account.name, cure=cure)


def _terms(table: Table, calendars: Mapping[str, Calendar]) -> dict[str, Any]:
    """Terms that all loans of the product have, as fields of `Product`."""
    terms: dict[str, Any] = {
        "method": Method(table.choice("method", METHODS, default=Method.ANNUITY, required=False)),
        "day_count": DayCount(table.choice("day_count", DAY_COUNTS, default=DayCount.ACT_360, required=False)),
        "grace_periods": table.integer("grace_periods", required=False, least=0, most=PERIODS_MAX - 1),
        "grace": Grace(table.choice("grace", GRACES, default=Grace.PAYS_INTEREST, required=False)),
        "end_of_month": table.boolean("end_of_month"),
        "steps": _numbers(table, "steps"),
        "floats": table.boolean("floats"),
        "reset_periods": table.integer("reset_periods", required=False, default=12, least=1, most=PERIODS_MAX),
        "prepayment_fee_rate": table.number("prepayment_fee_rate", required=False, default=Decimal(0), least=0),
    }
    months = table.integer("period_months", required=False, default=1)
    if months not in (1, 2, 3, 4, 6, 12):
        table.problem("period_months", "the period cannot be", found=months, known="1, 2, 3, 4, 6, 12")
    terms["period_months"] = months
    for key in ROUNDED:
        terms[key] = ROUNDINGS[table.choice(key, list(ROUNDINGS), default="half_even", required=False)]
    terms["roll"], terms["calendar"] = _roll(table, calendars)
    terms["reference"] = _reference(table)
    terms["penalty"] = _penalty(table, terms["reference"]) if table.has("penalty") else None
    terms["allocation"] = _allocation(table) if table.has("allocation") else Allocation()
    return terms


def _numbers(table: Table, key: str) -> tuple[Decimal, ...]:
    written = table.any(key, required=False)
    if written is None:
        return ()
    if not isinstance(written, list) or not all(type(one) in (int, Decimal) for one in written):
        table.problem(key, "the value is no list of numbers", found=str(written), known="[1, 1.25, 1.5]")
        return ()
    return tuple(Decimal(one) for one in written)


def _roll(table: Table, calendars: Mapping[str, Calendar]) -> tuple[Roll, Calendar]:
    """How due days that are no business days roll, and by which calendar."""
    roll = Roll(table.choice("roll", ROLLS, default=Roll.NONE, required=False))
    name = table.text("calendar", required=False, wanted="a calendar of the pack, or one that comes with Quanheng")
    if name and name not in calendars:
        message = "no such calendar"
        table.problem("calendar", message, found=name, known=list(calendars), of="calendar")
    elif roll != Roll.NONE and not table.has("calendar"):
        message = "due days roll by a calendar; the key is missing"
        table.problem("calendar", message, known=list(calendars))
    elif name and roll == Roll.NONE:
        cure = "Say how due days roll, or remove `calendar`."
        table.problem("calendar", "due days do not roll, so nothing asks the calendar", found=name, cure=cure)
    return roll, calendars.get(name, Calendar())


def _reference(table: Table) -> tuple[ReferenceRate, ...]:
    """`[[loan.NAME.reference]]`: a rate from a day on."""
    found: list[ReferenceRate] = []
    for inner in table.tables("reference"):
        from_ms, rate = inner.time_ms("from"), inner.number("rate", least=0, most=10)
        inner.done()
        if not inner.sound:
            table.sound = False
        elif from_ms is not None and rate is not None:
            day = from_ms // DAY_MS
            written = str(inner.values["from"])
            if found and day <= found[-1].day:
                message, cure = "the rates do not stand in the order of their days", "Write the oldest first."
                inner.problem("from", message, found=written, cure=cure)
                table.sound = False
            elif not 0 <= day < DAYS:
                known = f"1970-01-01 to {date_of(DAYS - 1)}"
                inner.problem("from", "the day is out of bounds", found=written, known=known)
                table.sound = False
            else:
                found.append(ReferenceRate(day, rate))
    return tuple(found)


def _penalty(table: Table, reference: tuple[ReferenceRate, ...]) -> Penalty | None:
    inner = table.table("penalty")
    penalty = Penalty(
        multiple=inner.number("multiple", least=0, most=10) or Decimal(0),
        spread=inner.number("spread", required=False, default=Decimal(0), least=0, most=10) or Decimal(0),
        reference=reference if inner.boolean("dated") else (),
        cap_multiple=inner.number("cap_multiple", required=False, least=0, most=10),
        year_days=inner.integer("year_days", required=False, default=360),
        grace_days=inner.integer("grace_days", required=False, least=0, most=3660),
        on_interest=inner.boolean("on_interest"),
    )
    if penalty.year_days not in (360, 365):
        inner.problem("year_days", "a year of penalties cannot be so long", found=penalty.year_days, known="360, 365")
    for key in ("dated", "cap_multiple"):
        if inner.values.get(key) and not reference and not table.has("reference"):
            cure = f"Declare [[{table.key}.reference]] with `from` and `rate`."
            inner.problem(key, "the product has no reference rates", found=inner.values[key], cure=cure)
    if not inner.done():
        table.sound = False
    return penalty


def _allocation(table: Table) -> Allocation:
    inner = table.table("allocation")
    order = inner.texts("order", required=False) or tuple(Allocation().order)
    if sorted(order) != sorted(Kind):
        found, known = Words(", ".join(order)), f"each of {', '.join(Kind)} once"
        inner.problem("order", "the order does not name every kind", found=found, known=known)
        order = tuple(Allocation().order)
    made = Allocation(tuple(map(Kind, order)), inner.boolean("by_instalment"))
    if not inner.done():
        table.sound = False
    return made


_WHY = {
    "day_count": "a day count of ACT/ACT ICMA goes neither with `roll` nor with the method bullet",
    "grace_periods": "a loan that is repaid at once has no periods of grace",
    "steps": "steps are above 0, of 4 decimals at most, and of annuities alone",
    "reference": "a reference rate has 6 decimals at most",
    "floats": "a rate that floats has reference rates",
    "penalty": (
        "penalty rates, multiple x (rate + spread), are whole numbers of 0.0000001 up to 4; that of a rate that floats"
        " is dated"
    ),
    "prepayment_fee_rate": "the fee is below 1 and has 6 decimals at most",
}


def _check_terms(table: Table, product: Product) -> None:
    """Terms that cannot be together, or that the book cannot hold exactly."""
    try:
        check_products([product])
    except DeclarationError as error:
        for one in error.problems:
            written = table.values.get(one.key)
            table.problem(one.key, _WHY[one.key], found="" if isinstance(written, (list, dict)) else written)


# --- acts


def read_servicings(top: Table, products: Products) -> tuple[ServicingDeclaration, ...]:
    """Read `[servicing.NAME]`."""
    found = []
    for name, table in top.named("servicing", NAME, of="servicing"):
        one = _servicing(name, table, products)
        if one is not None and table.sound:
            found.append(one)
        elif not table.sound:
            top.notes.doubt("servicing")
    if len(found) > SERVICINGS_MAX:
        top.problem("servicing", "there are too many acts", found=len(found), known=f"at most {SERVICINGS_MAX}")
    return tuple(found)


def _servicing(name: str, table: Table, products: Products) -> ServicingDeclaration | None:
    title = table.title(required=False)
    loan = read_loan_of(table, products)
    act = table.choice("act", get_args(ServiceAct))
    where = table.text("where", required=False, wanted="a FEEL condition")
    if not act:
        for key in table.strays():
            table.any(key)
        return None
    settings = SETTINGS[act]
    amount, rounding = _amount(table, act) if "amount" in settings else ("", "exact")
    texts: dict[str, Any] = {
        key: table.text(key, required=(act, key) not in MAY_BE_LEFT_OUT and key != "value_ms", wanted=wanted)
        for key, wanted in (
            ("rate", "a FEEL expression: the rate of a year, 0.06 for 6 percent"),
            ("periods", "a FEEL expression: a number of periods"),
            ("until_ms", "a FEEL expression: a moment in milliseconds"),
            ("value_ms", "a FEEL expression: a moment in milliseconds"),
        )
        if key in settings
    }
    texts |= {key: table.boolean(key) for key in ("smaller", "accrues") if key in settings}
    table.done()
    if loan is None:
        return None
    return ServicingDeclaration(
        name=name, loan=loan, act=act, amount=amount, minor=table.has("amount_minor"), rounding=rounding, where=where,
        en=title.en, zh=title.zh, **texts,
    )  # fmt: skip


def _amount(table: Table, act: str) -> tuple[str, Rounding]:
    major = table.text("amount", required=False, wanted="a FEEL expression in major units")
    minor = table.text("amount_minor", required=False, wanted="a FEEL expression in minor units")
    rounding = table.choice("rounding", get_args(Rounding), default="exact", required=False)
    if table.has("amount") and table.has("amount_minor"):
        found, cure = Words("`amount` and `amount_minor`"), "Keep `amount` for major units, `amount_minor` for minor."
        table.problem("amount_minor", "an amount is said once", found=found, cure=cure)
    elif not (table.has("amount") or table.has("amount_minor")) and (act, "amount") not in MAY_BE_LEFT_OUT:
        cure = "Write amount or amount_minor."
        table.problem("amount", "the key is missing", known="a FEEL expression in major units", cure=cure)
    return major or minor, rounding


def read_loan_of(table: Table, products: Products) -> LoanOf | None:
    """The loan that `loan` of an act or a measure names; None where nobody can say which that is."""
    text = table.text("loan", wanted=LOAN_OF_WORDS)
    match = _LOAN_OF.fullmatch(text) if text else None
    if text and match is None:
        table.problem("loan", "the loan cannot be read", found=text, known=LOAN_OF_WORDS)
    if match is None:
        return None
    if match["product"] not in products.loans:
        message, known = "no such product is declared in this file", list(products.loans)
        table.problem("loan", message, found=match["product"], known=known, of="product")
        return None
    if match["product"] in products.unsound:
        table.sound = False
        return None
    return LoanOf(match["product"], match["key"])


# --- measures


def read_measures(top: Table, products: Products, chart: Chart) -> list[tuple[Table, MeasureDeclaration]]:
    """Read `[measure.NAME]`, each with its table."""
    found = []
    for name, table in top.named("measure", NAME, of="source"):
        title = table.title(required=False)
        loan = read_loan_of(table, products)
        of = table.choice("of", (*AMOUNTS, *COUNTS))
        table.done()
        if loan is not None and of:
            exponent = chart.assets[products.loans[loan.product].asset].exponent if of in AMOUNTS else 0
            declared = MeasureDeclaration(name=name, loan=loan, of=of, decimals=exponent, en=title.en, zh=title.zh)
            found.append((table, declared))
        if not table.sound:
            top.notes.doubt("feature", "source")
    if len(found) > MEASURES_MAX:
        top.problem("measure", "there are too many measures", found=len(found), known=f"at most {MEASURES_MAX}")
    return found
