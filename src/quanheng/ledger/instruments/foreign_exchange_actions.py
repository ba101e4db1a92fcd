"""Foreign exchange: what is asked of a dealer, and the closed list of why it is refused."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from quanheng.ledger.instruments.action_fold import RefusalCode
from quanheng.ledger.instruments.conversion import Price

ANYBODY = 0
"""As the customer of a quote."""


class FxRefusal(RefusalCode):
    """Why an action of foreign exchange is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    QUOTE_NOT_FOUND = "QUOTE_NOT_FOUND", "There is no such quote", "找不到该报价"
    LOCK_NOT_FOUND = "LOCK_NOT_FOUND", "There is no such lock", "找不到该锁定汇率"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    CURRENCY_IS_NOT_DEALT = "CURRENCY_IS_NOT_DEALT", "The currency is not dealt in", "不交易该货币"
    CURRENCIES_MUST_DIFFER = "CURRENCIES_MUST_DIFFER", "The currencies must differ", "两种货币必须不同"
    RATE_IS_OUT_OF_RANGE = "RATE_IS_OUT_OF_RANGE", "The rate is out of range", "汇率超出范围"
    SPREAD_IS_OUT_OF_RANGE = "SPREAD_IS_OUT_OF_RANGE", "The spread is out of range", "点差超出范围"
    ROUNDING_IS_UNKNOWN = "ROUNDING_IS_UNKNOWN", "The rounding is unknown", "舍入方式未知"
    VALIDITY_IS_OUT_OF_RANGE = "VALIDITY_IS_OUT_OF_RANGE", "The validity is out of range", "有效期超出范围"
    ACCOUNT_IS_OUT_OF_RANGE = "ACCOUNT_IS_OUT_OF_RANGE", "An account is out of range", "账户超出范围"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    MARKS_ARE_WRONG = "MARKS_ARE_WRONG", "A mark is missing or wrong", "估值汇率缺失或有误"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    TIMEOUT_IS_OUT_OF_RANGE = "TIMEOUT_IS_OUT_OF_RANGE", "The time-out is out of range", "时限超出范围"
    QUOTE_HAS_EXPIRED = "QUOTE_HAS_EXPIRED", "The quote has expired", "报价已过期"
    QUOTE_IS_EXCEEDED = "QUOTE_IS_EXCEEDED", "More than the quote is good for", "超过报价可成交数量"
    CONVERTED_IS_NOTHING = "CONVERTED_IS_NOTHING", "An amount would be rounded to nothing", "舍入后金额为零"
    CONVERTED_IS_TOO_MUCH = "CONVERTED_IS_TOO_MUCH", "An amount would be too large", "换算后金额过大"
    LOCK_HAS_ENDED = "LOCK_HAS_ENDED", "The lock was used or released", "锁定汇率已使用或解除"
    LOCK_HAS_EXPIRED = "LOCK_HAS_EXPIRED", "The lock has expired", "锁定汇率已过期"


class Book(msgspec.Struct, frozen=True):
    """The dealer's accounts of one currency.

    position : what the dealer has of it: credits less debits; the residue of rounding is on an account of its own
    """

    position: int
    spread: int
    residue: int


class Dealer(msgspec.Struct, frozen=True):
    """Who deals, in which currencies.

    reporting : currency of the revaluation
    revaluation, result : accounts in it; a gain goes from the first to the second
    """

    owner: int
    books: Mapping[str, Book]
    reporting: str
    revaluation: int
    result: int


class Quote(msgspec.Struct, frozen=True):
    """The dealer quotes a price.

    customer : for whom, or ANYBODY = 0
    valid_ms : how long from now; it cannot be used at the end of it
    lock_max_ms : how long a customer may lock the rate; 0 = not at all
    base_max_minor : minor units of the price's base that it is good for, all conversions and locks together
    """

    id: int
    by: int
    price: Price
    customer: int
    valid_ms: int
    base_max_minor: int
    lock_max_ms: int = 0


class Convert(msgspec.Struct, frozen=True):
    """A customer converts at a quote.

    sell : currency that the customer gives
    fixed_minor : amount in it, or with `buys_fixed` in the other currency
    from_account, to_account : of the customer
    lock_ms : 0 converts at once; otherwise both sides are held for so long, to be exercised or released
    """

    id: int
    by: int
    quote: int
    sell: str
    fixed_minor: int
    from_account: int
    to_account: int
    code: int
    buys_fixed: bool = False
    lock_ms: int = 0


class Exercise(msgspec.Struct, frozen=True):
    """The customer converts at the locked rate."""

    id: int
    by: int
    lock: int


class Release(msgspec.Struct, frozen=True):
    """The customer gives the lock up."""

    id: int
    by: int
    lock: int


class Mark(msgspec.Struct, frozen=True):
    """A currency's position, read from the ledger, and what one unit of it is worth in the reporting currency."""

    currency: str
    position_minor: int
    rate: Decimal


class Revalue(msgspec.Struct, frozen=True):
    """The dealer books what the positions are worth: the last revaluation is taken back, the new one booked."""

    id: int
    by: int
    marks: tuple[Mark, ...]
    code: int
    rounding: str = decimal.ROUND_HALF_EVEN
