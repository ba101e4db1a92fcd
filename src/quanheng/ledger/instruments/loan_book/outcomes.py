"""What becomes of an event: a closed list, in the order of precedence."""

from __future__ import annotations

from enum import IntEnum

from quanheng.ledger.instruments.loan_book.kernel import folding, running


class BookOutcome(IntEnum):
    """Why an event was or was not applied; the first that applies is given. `en` and `zh` are its titles."""

    en: str
    zh: str

    def __new__(cls, value: int, en: str, zh: str) -> BookOutcome:
        one = int.__new__(cls, value)
        one._value_, one.en, one.zh = value, en, zh
        return one

    APPLIED = folding.APPLIED, "Applied", "已执行"
    LOAN_NOT_FOUND = running.NOT_FOUND, "There is no such loan", "找不到该笔贷款"
    AMOUNT_IS_OUT_OF_RANGE = running.AMOUNT_OUT_OF_RANGE, "The amount is out of range", "金额超出范围"
    DAY_IS_IN_THE_FUTURE = running.IN_THE_FUTURE, "The day is in the future", "日期在未来"
    DAY_IS_BEFORE_THE_LOAN = running.BEFORE_THE_LOAN, "The day is before the loan's first", "日期早于放款日"
    DAY_IS_BEFORE_THE_NEWEST = (
        running.BEFORE_THE_NEWEST, "The event cannot be dated before today", "该事项不得早于当前营业日",
    )  # fmt: skip
    LOAN_EXISTS = 6, "There is a loan of this number", "该贷款编号已存在"
    PRODUCT_NOT_FOUND = 7, "There is no such product", "找不到该产品"
    TERMS_ARE_WRONG = 8, "The terms cannot be", "贷款条款有误"
    KIND_IS_UNKNOWN = 9, "There is no such kind of event", "未知的事项类型"
    EVENT_EXISTS = 10, "The loan has an event of this number", "该贷款已有此编号的事项"
    LOAN_IS_WRITTEN_OFF = folding.IS_WRITTEN_OFF, "The loan was written off", "贷款已核销"
    LOAN_IS_NOT_WRITTEN_OFF = folding.IS_NOT_WRITTEN_OFF, "The loan was not written off", "贷款尚未核销"
    NOTHING_IS_OWED = folding.NOTHING_OWED, "Nothing is owed on that day", "当日无欠款"
    PAYOFF_IS_TOO_LOW = folding.PAYOFF_TOO_LOW, "The amount does not pay off the loan", "金额不足以结清贷款"
    REFUND_EXCEEDS_UNALLOCATED = (
        folding.REFUND_TOO_HIGH, "The refund exceeds what is not allocated", "退款超过未分配金额",
    )  # fmt: skip
    RECOVERY_EXCEEDS_WRITTEN_OFF = (
        folding.RECOVERY_TOO_HIGH, "The recovery exceeds what was written off", "收回金额超过核销金额",
    )  # fmt: skip
    LOAN_CANNOT_BE_CHANGED = (
        folding.CANNOT_BE_CHANGED, "Nothing of the loan is left to be changed so", "贷款已无可作此变更的部分",
    )  # fmt: skip
    CHANGE_CANNOT_BE = 18, "The number of periods or the day cannot be", "期数或日期有误"
    REPLAY_CONTRADICTS_REFUND = 19, "Money that the event would use was refunded", "该事项所需款项已退还"
    REPLAY_CONTRADICTS_LATER = 20, "A later event could not have been", "与其后的事项相矛盾"
    MONEY_WAS_REFUSED = 21, "The ledger refused to move the customer's money", "账本拒绝划转客户资金"


OUTCOMES = {int(one): one for one in BookOutcome}
"""The outcome of each number, as arrays have them."""
