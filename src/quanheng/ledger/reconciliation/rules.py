"""What is compared, by which rules, and the closed lists of why items match and why they are left."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.action_fold import RefusalCode as Titled
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS, rounded

GROUP_MAX, CANDIDATES_MAX = 6, 40


class Item(NamedTuple):
    """A line of the ledger's account or of the statement.

    id : distinct on its side
    amount_minor : money that came in is above zero, money that went out below, on both sides
    day : days since 1970-01-01
    reference : what both sides call it; "" = none
    batch : reference under which the other side may have put several together; "" = none
    reverses : id of the item of the same side that this one takes back; "" = none
    """

    id: str
    amount_minor: int
    day: int
    reference: str = ""
    batch: str = ""
    reverses: str = ""


class Fee(msgspec.Struct, frozen=True):
    """A fee the other side keeps: statement = ledger - (`fixed_minor` + `rate` x |ledger|, rounded)."""

    name: str
    fixed_minor: int = 0
    rate: Decimal = Decimal(0)
    rounding: str = "ROUND_HALF_UP"

    def of(self, amount_minor: int) -> int:
        """The fee on an amount, in minor units."""
        return self.fixed_minor + rounded(abs(amount_minor) * Fraction(self.rate), self.rounding)


class Rules(msgspec.Struct, frozen=True):
    """How far apart what belongs together may be.

    window_days : between the days of items that match
    timing_days : between the days of items that are the same but for a delay, which is then told
    tolerance_minor : difference between amounts with one reference that is accepted, and told
    fees : tried in order
    group_max : most items that are put together without a common batch, at most 6; 1 = none are
    candidates_max : of how many items near in time three or more are chosen, at most 40; two are chosen of all
    buckets_days : upper ends of the buckets of age
    """

    window_days: int = 3
    timing_days: int = 10
    tolerance_minor: int = 0
    fees: tuple[Fee, ...] = ()
    group_max: int = 4
    candidates_max: int = 20
    buckets_days: tuple[int, ...] = (1, 7, 30, 90)


class MatchKind(Titled):
    """Why items belong together, in the order in which it is tried."""

    REFERENCE = "REFERENCE", "Same reference and amount", "参考号与金额一致"
    BATCH = "BATCH", "Items of a batch sum to one", "批次合计一致"
    REVERSED = "REVERSED", "Taken back on its own side", "本方已冲正"
    AMOUNT = "AMOUNT", "Same amount, near in time", "金额一致且日期相近"
    TIMING = "TIMING", "Same reference and amount, later", "时间性差异"
    FEE = "FEE", "Differs by a known fee", "差额为已知费用"
    TOLERANCE = "TOLERANCE", "Same reference, differs within the tolerance", "差额在容差内"
    GROUP = "GROUP", "Several sum to one", "多笔合计一致"


class BreakKind(Titled):
    """Why an item is left, in order of precedence."""

    DUPLICATE = "DUPLICATE", "An item like it was matched", "疑似重复"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS", "The other side has another amount", "金额不一致"
    DATE_DIFFERS = "DATE_DIFFERS", "The other side has it too far away in time", "日期相差过大"
    NOT_IN_STATEMENT = "NOT_IN_STATEMENT", "Only the ledger has it", "仅账簿有"
    NOT_IN_LEDGER = "NOT_IN_LEDGER", "Only the statement has it", "仅对账单有"


def check_rules(rules: Rules) -> None:
    """Refuse rules that cannot be.

    Raises
    ------
    InputError : a field is out of its range
    """
    checks = (
        ("window_days", rules.window_days >= 0, "0 or more"),
        ("timing_days", rules.timing_days >= rules.window_days, "at least window_days"),
        ("tolerance_minor", rules.tolerance_minor >= 0, "0 or more"),
        ("fees", all(_is_fee(one) for one in rules.fees), "fees from 0, a rate below 1, a known rounding"),
        ("group_max", 1 <= rules.group_max <= GROUP_MAX, f"1 to {GROUP_MAX}"),
        ("candidates_max", 1 <= rules.candidates_max <= CANDIDATES_MAX, f"1 to {CANDIDATES_MAX}"),
        ("buckets_days", list(rules.buckets_days) == sorted(set(rules.buckets_days)), "days that grow"),
    )
    for field, good, allowed in checks:
        if not good:
            raise InputError(
                "the rules of reconciliation cannot be",
                where=f"rules.{field}",
                found=str(getattr(rules, field)),
                allowed=allowed,
                cure="Change the field.",
            )


def _is_fee(fee: Fee) -> bool:
    return fee.fixed_minor >= 0 and fee.rate.is_finite() and 0 <= fee.rate < 1 and fee.rounding in ROUNDINGS
