"""What is asked of a security, and why it is refused."""

from __future__ import annotations

import decimal
from decimal import Decimal
from enum import StrEnum

import msgspec

from quanheng.ledger.instruments.action_fold import RefusalCode

HOLDERS_MAX = 2_700
"""Holders, and subscriptions: three transfers each are less than a batch."""
NO_CAP = 0


class SecurityRefusal(RefusalCode):
    """Why an action of a security is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    OWNER_IS_OUT_OF_RANGE = "OWNER_IS_OUT_OF_RANGE", "An owner or account is out of range", "持有人或账户编号超出范围"
    CASH_ACCOUNT_IS_OF_THE_SECURITY = (
        "CASH_ACCOUNT_IS_OF_THE_SECURITY", "A cash account is an account of the security", "资金账户不得为该证券的账户",
    )  # fmt: skip
    UNITS_ARE_OUT_OF_RANGE = "UNITS_ARE_OUT_OF_RANGE", "The units are out of range", "份额数量超出范围"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    TIMES_ARE_WRONG = "TIMES_ARE_WRONG", "The times are wrong", "时间有误"
    OWNER_IS_NOT_ADMITTED = "OWNER_IS_NOT_ADMITTED", "The owner is not on the whitelist", "该主体不在白名单内"
    OFFER_IS_CLOSED = "OFFER_IS_CLOSED", "The offer is closed", "认购已截止"
    OFFER_IS_OPEN = "OFFER_IS_OPEN", "The offer is still open", "认购尚未截止"
    OFFER_IS_ALLOTTED = "OFFER_IS_ALLOTTED", "The offer was allotted", "认购已配售"
    SUBSCRIPTIONS_ARE_FULL = "SUBSCRIPTIONS_ARE_FULL", "There are too many subscriptions", "认购笔数已满"
    UNITS_ARE_LOCKED = "UNITS_ARE_LOCKED", "The units are locked up", "份额处于锁定期"
    HOLDING_CAP_EXCEEDED = "HOLDING_CAP_EXCEEDED", "One owner would hold too much", "单一持有人超出持有上限"
    HOLDERS_CAP_EXCEEDED = "HOLDERS_CAP_EXCEEDED", "There would be too many holders", "持有人数量超出上限"
    DECLARATION_NOT_FOUND = "DECLARATION_NOT_FOUND", "There is no such declaration", "找不到该项分派公告"
    NOT_DUE_YET = "NOT_DUE_YET", "This is not due yet", "尚未到期"
    OWNER_IS_NOT_ENTITLED = "OWNER_IS_NOT_ENTITLED", "An owner is not entitled", "该主体无权获得分派"
    ALL_IS_PAID = "ALL_IS_PAID", "This was paid", "已支付"
    EXCEEDS_OUTSTANDING = "EXCEEDS_OUTSTANDING", "More than is outstanding", "超出存续份额"


class Residue(StrEnum):
    """Where units go that a proportion leaves over: to the largest remainders, or not allotted at all."""

    LARGEST_REMAINDER = "largest remainder"
    NOT_ALLOTTED = "not allotted"


class SecurityTerms(msgspec.Struct, frozen=True):
    """A class of shares, a bond, a token of an asset. Units are whole, amounts in minor units of the cash asset.

    issuer, issuer_cash : owner, and the ledger account that pays and is paid
    price_minor : of one unit in the offer; offered_units : most that are allotted
    offer_until_ms : subscriptions come before, allotment at it or later
    residue : of an allotment; a redemption in part always takes the largest remainders
    rounding : mode of `decimal`, for entitlements and for what the issuer pays in all
    holding_max_units : most that one owner may hold, NO_CAP = 0; holders_max : most owners that hold
    redeem_from_ms : no redemption before
    """

    asset: int
    cash_asset: int
    code: int
    issuer: int
    issuer_cash: int
    price_minor: int
    offered_units: int
    offer_until_ms: int
    residue: Residue = Residue.LARGEST_REMAINDER
    rounding: str = decimal.ROUND_DOWN
    holding_max_units: int = NO_CAP
    holders_max: int = HOLDERS_MAX
    redeem_from_ms: int = 0


class Admit(msgspec.Struct, frozen=True):
    """The issuer puts an owner on the whitelist, changes its entry, or with `admitted` false takes it off.

    cash : account that is charged and paid
    locked_until_ms : the owner transfers nothing before
    """

    id: int
    by: int
    owner: int
    cash: int
    admitted: bool = True
    locked_until_ms: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """An owner subscribes to units and pays for them into the offer's account."""

    id: int
    by: int
    units: int


class Allot(msgspec.Struct, frozen=True):
    """The issuer allots: all that is subscribed, or in proportion where that is more than is offered."""

    id: int
    by: int


class Deliver(msgspec.Struct, frozen=True):
    """A holder transfers units to another owner."""

    id: int
    by: int
    to: int
    units: int


class Declare(msgspec.Struct, frozen=True):
    """The issuer declares a coupon or dividend for whoever holds at the end of `record_ms`.

    per_unit_minor : in minor units of the cash asset, with any number of decimals
    pay_ms : paid at it or later; after the record time
    """

    id: int
    by: int
    record_ms: int
    pay_ms: int
    per_unit_minor: Decimal


class PayOut(msgspec.Struct, frozen=True):
    """The issuer pays what was declared: to the owners named, or to all who were not paid. The last payment books the
    residue."""

    id: int
    by: int
    declaration: int
    owners: tuple[int, ...] = ()


class Redeem(msgspec.Struct, frozen=True):
    """The issuer takes units back at a price: in part in proportion to holdings, or all with `units` 0."""

    id: int
    by: int
    units: int
    price_minor: int
