"""What accounts.toml declares, checked: assets, a chart of accounts, postings, balances. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from quanheng.ledger.instruments.loan_book.products import Product

Rounding = Literal["exact", "half_even", "half_up", "down", "up"]
"""How an amount becomes whole minor units; "exact" = one that is not whole is refused."""

BalanceOf = Literal["available", "posted", "debits_held", "credits_held", "days_since"]
"""What is known of an account; see `BalanceDeclaration.of`."""


ServiceAct = Literal[
    "open", "pay", "prepay", "charge", "pay_off", "write_off", "recover", "refund", "holiday", "stay", "re_age",
    "re_amortise",
]  # fmt: skip
"""What a decision does to a loan; see `loan_book.events`."""


class Unasked(StrEnum):
    """Why a transfer, or an act on a loan, is not asked for at all: its amount is null, or is no whole number of minor
    units that the ledger holds; a key field that names an account, a deal or a loan is null; a rate, a number of
    periods or a moment of an act is null, or is none."""

    AMOUNT_IS_NULL = "AMOUNT_IS_NULL"
    AMOUNT_DOES_NOT_FIT = "AMOUNT_DOES_NOT_FIT"
    KEY_IS_NULL = "KEY_IS_NULL"
    TERM_IS_NULL = "TERM_IS_NULL"
    TERM_DOES_NOT_FIT = "TERM_DOES_NOT_FIT"


class AssetDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A currency or a token. `number` stands for it in accounts; an amount has `exponent` decimals."""

    name: str
    number: int
    exponent: int
    en: str = ""
    zh: str = ""


class AccountDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the chart: one of the house, or one for each of its owners.

    per : entities whose keys name an account, the first one owns it; empty = there is one, of the house
    flags : `ledger.entries.AccountFlag` as it is opened with
    entity : number of the legal entity whose books it is in
    *_minor : limits, as `ledger.entries.Account` explains them; -1 = none
    """

    name: str
    per: tuple[str, ...]
    asset: str
    code: int
    flags: int = 0
    entity: int = 0
    overdraft_minor: int = 0
    payment_max_minor: int = -1
    day_max_minor: int = -1
    balance_max_minor: int = -1
    net_debit_cap_minor: int = -1
    en: str = ""
    zh: str = ""


class AccountOf(msgspec.Struct, frozen=True):
    """An account as a posting or a balance names it: `wallet(payer)`, `fees`.

    keys : key fields of the event, one for each entity of the account's `per`
    """

    account: str
    keys: tuple[str, ...] = ()


class TransferTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer of a posting.

    name : of the transfer within its posting
    debit, credit : None where it settles or takes back another one, whose accounts it then has
    asset : whose minor units the amount is in; that of the accounts
    amount : FEEL over what is known of the event; "" = all (of a hold, of what is there, of what was moved)
    minor : whether the expression gives minor units, not major ones
    where : FEEL; the transfer is left out where it is not true; "" = always made
    hold, timeout_ms : value is held; so long, 0 = until it is settled
    settles : "posting.transfer" whose hold it posts or voids, or which it takes back, as `act` says
    balancing : moves as much of the amount as the debit account has, or the credit account owes
    """

    name: str
    debit: AccountOf | None = None
    credit: AccountOf | None = None
    asset: str
    amount: str = ""
    minor: bool = False
    rounding: Rounding = "exact"
    code: int
    where: str = ""
    hold: bool = False
    timeout_ms: int = 0
    act: Literal["move", "post", "void", "reverse"] = "move"
    settles: str = ""
    balancing: Literal["", "debit", "credit"] = ""


class PostingDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """Transfers that are made together or not at all when a flow asks for them: `then.approve = ["transfer:NAME"]`.

    id : key field of the event that names the deal: a transfer is made once for it; "" = once for the event's request
    of : key field of the event that names the deal whose transfers are settled or taken back
    """

    name: str
    transfers: tuple[TransferTemplate, ...]
    id: str = ""
    of: str = ""
    en: str = ""
    zh: str = ""


class BalanceDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A feature: what the ledger knows of an account at the moment of the event, before its own transfers.

    of : "available" = posted credits less debits, held ones too, without the overdraft; "posted" = posted credits less
        posted debits; "debits_held", "credits_held" = held on either side;
        "days_since" = whole days of 24 hours since value last moved on it. null where the account is not open
    decimals : those of the asset; 0 for days
    """

    name: str
    account: AccountOf
    of: BalanceOf
    decimals: int
    en: str = ""
    zh: str = ""


class LoanOf(msgspec.Struct, frozen=True):
    """A loan as an act or a measure names it: `term(contract)`; `key` is the key field of the event."""

    product: str
    key: str


class LoanDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A product: what all its loans have in common. There is one loan for each contract, an entity's key.

    per : the entity, qualified
    product : terms and control accounts as the book takes them, numbered 1 here
    accounts : control account of the house by role
    """

    name: str
    per: str
    asset: str
    product: Product
    accounts: Mapping[str, str]
    en: str = ""
    zh: str = ""


class ServicingDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """An act on a loan that a flow asks for: `then.approve = ["loan:NAME"]`.

    amount : FEEL over what is known of the event; "" = none, or of a pay-off whatever it takes
    minor : whether the expression gives minor units, not major ones
    rate, periods, until_ms : FEEL, as the act needs them
    value_ms : FEEL: the moment on whose day (UTC) it has effect; "" or null = the business day
    smaller : a prepayment makes instalments smaller, not the term shorter
    accrues : interest goes on in a holiday
    where : FEEL; the act is left out where it is not true; "" = always done
    """

    name: str
    loan: LoanOf
    act: ServiceAct
    amount: str = ""
    minor: bool = False
    rounding: Rounding = "exact"
    rate: str = ""
    periods: str = ""
    until_ms: str = ""
    value_ms: str = ""
    smaller: bool = False
    accrues: bool = False
    where: str = ""
    en: str = ""
    zh: str = ""


class MeasureDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A feature: what the book knows of a loan at the moment of the event, before its own acts; null = no such loan.

    of : one of `loan_book.measuring.AMOUNTS`, or of COUNTS; decimals : those of the asset, 0 of what counts
    """

    name: str
    loan: LoanOf
    of: str
    decimals: int
    en: str = ""
    zh: str = ""


class AccountsDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of accounts.toml, by name, in the order of the file."""

    assets: tuple[AssetDeclaration, ...] = ()
    accounts: tuple[AccountDeclaration, ...] = ()
    postings: tuple[PostingDeclaration, ...] = ()
    balances: tuple[BalanceDeclaration, ...] = ()
    loans: tuple[LoanDeclaration, ...] = ()
    servicings: tuple[ServicingDeclaration, ...] = ()
    measures: tuple[MeasureDeclaration, ...] = ()

    @property
    def features(self) -> list[str]:
        """Names of what the ledger and the loan book know: balances and measures."""
        return [one.name for one in self.balances] + [one.name for one in self.measures]
