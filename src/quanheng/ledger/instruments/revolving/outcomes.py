"""What becomes of an event: a closed list, in the order of precedence."""

from __future__ import annotations

from enum import IntEnum

from quanheng.ledger.instruments.revolving.kernel import words as w


class CreditOutcome(IntEnum):
    """Why an event was or was not applied; the first that applies is given. `en` and `zh` are its titles."""

    en: str
    zh: str

    def __new__(cls, value: int, en: str, zh: str) -> CreditOutcome:
        one = int.__new__(cls, value)
        one._value_, one.en, one.zh = value, en, zh
        return one

    APPLIED = w.APPLIED, "Applied", "已执行"
    KIND_IS_UNKNOWN = w.KIND_UNKNOWN, "There is no such kind of event", "未知的事项类型"
    ACCOUNT_NOT_FOUND = w.NOT_FOUND, "There is no such account", "找不到该账户"
    ACCOUNT_EXISTS = w.EXISTS, "There is an account of this number", "该账户编号已存在"
    PRODUCT_NOT_FOUND = w.PRODUCT_NOT_FOUND, "There is no such product", "找不到该产品"
    TERMS_ARE_WRONG = w.TERMS_WRONG, "The terms cannot be", "账户条款有误"
    AMOUNT_IS_OUT_OF_RANGE = w.AMOUNT_OUT_OF_RANGE, "The amount is out of range", "金额超出范围"
    DAY_IS_IN_THE_FUTURE = w.IN_THE_FUTURE, "The day is in the future", "日期在未来"
    DAY_IS_BEFORE_THE_ACCOUNT = w.BEFORE_THE_ACCOUNT, "The day is before the account's first", "日期早于开户日"
    EVENT_CANNOT_BE_BACK_DATED = w.NOT_BACK_DATED, "The event cannot be dated before today", "该事项不得早于当前营业日"
    EVENT_EXISTS = (
        w.EVENT_EXISTS, "The account has an event of this number or a later one", "该账户已有此编号或更新编号的事项",
    )  # fmt: skip
    ACCOUNT_IS_WRITTEN_OFF = w.IS_WRITTEN_OFF, "The account was written off", "账户已核销"
    ACCOUNT_IS_NOT_WRITTEN_OFF = w.IS_NOT_WRITTEN_OFF, "The account was not written off", "账户尚未核销"
    ACCOUNT_IS_BLOCKED = w.IS_BLOCKED, "The account is blocked", "账户已冻结"
    LIMIT_IS_EXCEEDED = w.LIMIT_EXCEEDED, "The limit is exceeded", "超过信用额度"
    CASH_LIMIT_IS_EXCEEDED = w.CASH_LIMIT_EXCEEDED, "The limit for cash is exceeded", "超过预借现金额度"
    NOTHING_IS_OWED = w.NOTHING_OWED, "Nothing is owed", "无欠款"
    ACCOUNT_IS_NOT_PAST_DUE = w.NOT_PAST_DUE, "The account is not past due", "账户未逾期"
    INSTALMENTS_CANNOT_BE = w.INSTALMENTS_WRONG, "The number of instalments cannot be", "分期期数有误"
    CONVERSION_EXCEEDS_PURCHASES = (
        w.TOO_MUCH_CONVERTED, "There are not so many purchases to convert", "可分期的消费金额不足",
    )  # fmt: skip
    PLAN_NOT_FOUND = w.PLAN_NOT_FOUND, "There is no such instalment plan", "找不到该分期计划"
    REFUND_EXCEEDS_CREDIT = w.REFUND_TOO_HIGH, "The refund exceeds the credit balance", "退款超过溢缴款"
    RECOVERY_EXCEEDS_WRITTEN_OFF = (
        w.RECOVERY_TOO_HIGH, "The recovery exceeds what was written off", "收回金额超过核销金额",
    )  # fmt: skip
    REPLAY_CONTRADICTS_LATER = w.CONTRADICTS_LATER, "A later event could not have been", "与其后的事项相矛盾"


OUTCOMES = {int(one): one for one in CreditOutcome}
"""The outcome of each number, as arrays have them."""
