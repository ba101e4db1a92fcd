"""Two-phase payment: authorised by the payer, captured whole or in parts, refunded, its fees split among takers.

An authorisation is a hold with a time-out. A capture posts it; a capture that is not final holds the rest anew in the
same chain. Fees go from the payee to the takers in the chain of the capture. A refund reverses captures, the oldest
first, and the fees with them where the payment says so: the ledger itself never reverses more than was moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import ALL, AMOUNT_MAX, Transfer, TransferFlag
from quanheng.ledger.instruments.action_fold import (
    CODE_MAX,
    ActionFold,
    Party,
    RefusalCode,
    first_refusal,
    is_amount,
    is_code,
    is_timeout,
)
from quanheng.ledger.instruments.fees import Split, parts, wrong_in
from quanheng.ledger.instruments.holding import Holding
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of

part_id = parts_of("payment")

CAPTURES_MAX = 64
"""Captures of one payment: with every share reversed, a refund still fits one chain."""


class PaymentRefusal(RefusalCode):
    """Why an action of a payment is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    PAYMENT_NOT_FOUND = "PAYMENT_NOT_FOUND", "There is no such payment", "找不到该笔支付"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    TIMEOUT_IS_OUT_OF_RANGE = "TIMEOUT_IS_OUT_OF_RANGE", "The time-out is out of range", "时限超出范围"
    SPLIT_IS_WRONG = "SPLIT_IS_WRONG", "The split of fees is wrong", "费用分配有误"
    AUTHORISATION_HAS_ENDED = "AUTHORISATION_HAS_ENDED", "Nothing is authorised any more", "授权已结束"
    AUTHORISATION_HAS_EXPIRED = "AUTHORISATION_HAS_EXPIRED", "The authorisation has expired", "授权已过期"
    CAPTURES_ARE_USED_UP = "CAPTURES_ARE_USED_UP", "The payment has too many captures", "请款次数已用尽"
    CAPTURE_EXCEEDS_AUTHORISED = (
        "CAPTURE_EXCEEDS_AUTHORISED", "The capture exceeds what is authorised", "请款金额超过授权金额",
    )  # fmt: skip
    FEES_EXCEED_CAPTURE = "FEES_EXCEED_CAPTURE", "The fees exceed the capture", "费用超过请款金额"
    REFUND_EXCEEDS_CAPTURED = (
        "REFUND_EXCEEDS_CAPTURED", "The refund exceeds what was captured and not refunded", "退款金额超过可退金额",
    )  # fmt: skip


class Authorise(msgspec.Struct, frozen=True):
    """The payer allows the payee to take up to `amount_minor` within `timeout_ms`.

    by : owner who asks; must be the payer
    code : why value moves, 1 .. 65535
    fees_returned : a refund gives back the fees of what it refunds, in proportion and rounded down; the last one all
    """

    id: int
    by: int
    payer: Party
    payee: Party
    amount_minor: int
    code: int
    timeout_ms: int
    split: Split | None = None
    fees_returned: bool = False


class Capture(msgspec.Struct, frozen=True):
    """The payee takes `amount_minor` (or ALL). Unless it is `final`, the rest stays authorised until the same time."""

    id: int
    by: int
    payment: int
    amount_minor: int
    final: bool = True


class Void(msgspec.Struct, frozen=True):
    """The payee gives up what is authorised and not captured."""

    id: int
    by: int
    payment: int


class Refund(msgspec.Struct, frozen=True):
    """The payee gives back `amount_minor` (or ALL) of what was captured and not refunded yet."""

    id: int
    by: int
    payment: int
    amount_minor: int


class Charged(msgspec.Struct, frozen=True):
    """A fee or residue of a capture: its transfer, its amount, and how much of it was returned."""

    transfer: int
    amount_minor: int
    returned_minor: int = 0


class Captured(msgspec.Struct, frozen=True):
    """One capture: its posting, what of it was refunded, and the fees in the order in which a refund returns them."""

    transfer: int
    amount_minor: int
    fees: tuple[Charged, ...]
    refunded_minor: int = 0


class Payment(msgspec.Struct, frozen=True):
    """A payment. `holding` is None once nothing is authorised any more."""

    payer: Party
    payee: Party
    split: Split | None
    fees_returned: bool
    holding: Holding | None
    captures: tuple[Captured, ...] = ()

    @property
    def refundable_minor(self) -> int:
        """What was captured and not refunded."""
        return sum(one.amount_minor - one.refunded_minor for one in self.captures)


class Return(NamedTuple):
    """What a refund takes back of one capture: `amount_minor` of it, and of each of its fees."""

    capture: int
    amount_minor: int
    fees_minor: Sequence[int]


R = PaymentRefusal


class Payments(ActionFold):
    """All payments: a fold of Authorise, Capture, Void and Refund."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[int, Payment] = {}

    def _kept(self) -> Sequence[str]:
        return ("payments",)

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Authorise):
            return first_refusal(_wrong_in_authorise(action, now_ms))
        payment = self.payments.get(action.payment)
        if payment is None:
            return Refusal(R.PAYMENT_NOT_FOUND, "payment", str(action.payment))
        if action.by != payment.payee.owner:
            return Refusal(R.ACTOR_MAY_NOT, "by", str(action.by), "the payee")
        if isinstance(action, Refund):
            return first_refusal(_wrong_in_refund(action, payment))
        return first_refusal(_wrong_in_capture(action, payment, now_ms))

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, Authorise):
            return Step([_authorised(action, now_ms).transfer(now_ms)])
        payment = self.payments[action.payment]
        if isinstance(action, Refund):
            return Step(list(_reversals(action, payment)))
        holding = payment.holding
        assert holding is not None, "refused before"
        if isinstance(action, Void):
            return Step([holding.void(part_id(action.id, "void"))])
        amount = _captured_minor(action, holding)
        transfers = [holding.post(part_id(action.id, "post"), amount)]
        rest = holding.rest(part_id(action.id, "rest"), amount)
        if rest is not None and not action.final:
            transfers.append(rest.again())
        return Step(transfers + _fee_transfers(action.id, payment, amount, holding.code))

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Authorise):
            self.payments[action.id] = Payment(
                action.payer, action.payee, action.split, action.fees_returned, _authorised(action, now_ms)
            )
            return
        payment = self.payments[action.payment]
        holding = payment.holding
        if isinstance(action, Refund):
            payment = replace(payment, captures=_after_refund(payment, _returns(payment, action.amount_minor)))
        elif isinstance(action, Void):
            payment = replace(payment, holding=None)
        else:
            assert holding is not None, "refused before"
            amount = _captured_minor(action, holding)
            fees = tuple(
                Charged(one.id, one.amount_minor) for one in _fee_transfers(action.id, payment, amount, holding.code)
            )
            captured = Captured(part_id(action.id, "post"), amount, fees)
            rest = None if action.final else holding.rest(part_id(action.id, "rest"), amount)
            payment = replace(payment, holding=rest, captures=(*payment.captures, captured))
        self.payments[action.payment] = payment


Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


def _wrong_in_authorise(one: Authorise, now_ms: int) -> Checks:
    yield one.by != one.payer.owner, R.ACTOR_MAY_NOT, "by", one.by, "the payer"
    yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
    yield (
        not is_amount(one.amount_minor), R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", one.amount_minor,
        f"1 .. {AMOUNT_MAX}",
    )  # fmt: skip
    yield (
        not is_timeout(one.timeout_ms, now_ms), R.TIMEOUT_IS_OUT_OF_RANGE, "timeout_ms", one.timeout_ms,
        "above 0: an authorisation ends by itself",
    )  # fmt: skip
    wrong = wrong_in(one.split) if one.split is not None else ""
    yield bool(wrong), R.SPLIT_IS_WRONG, "split", wrong, "as `fees.wrong_in` has it"


def _wrong_in_capture(one: Capture | Void, payment: Payment, now_ms: int) -> Checks:
    capture, holding = (one if isinstance(one, Capture) else None), payment.holding
    if capture is not None and not is_amount(capture.amount_minor, or_all=True):
        yield True, R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", capture.amount_minor, f"1 .. {AMOUNT_MAX}, or ALL"
    if holding is None:
        yield True, R.AUTHORISATION_HAS_ENDED, "payment", one.payment, "one that is not voided nor captured finally"
        return
    expires_ms = holding.expires_ms
    yield holding.expired(now_ms), R.AUTHORISATION_HAS_EXPIRED, "payment", f"now {now_ms}", f"before {expires_ms}"
    if capture is None:
        return
    used_up = len(payment.captures) >= CAPTURES_MAX
    yield used_up, R.CAPTURES_ARE_USED_UP, "payment", len(payment.captures), f"fewer than {CAPTURES_MAX} captures"
    amount, held = _captured_minor(capture, holding), holding.amount_minor
    yield amount > held, R.CAPTURE_EXCEEDS_AUTHORISED, "amount_minor", amount, f"at most {held}"
    total = parts(payment.split, amount).total_minor if payment.split is not None else 0
    yield total > amount, R.FEES_EXCEED_CAPTURE, "split", total, f"at most {amount}"


def _wrong_in_refund(one: Refund, payment: Payment) -> Checks:
    amount, left = one.amount_minor, payment.refundable_minor
    good = is_amount(amount, or_all=True)
    yield not good, R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, f"1 .. {AMOUNT_MAX}, or ALL"
    exceeds = left == 0 or left < amount != ALL
    yield exceeds, R.REFUND_EXCEEDS_CAPTURED, "amount_minor", amount, f"at most {left}"


def _captured_minor(one: Capture, holding: Holding) -> int:
    return holding.amount_minor if one.amount_minor == ALL else one.amount_minor


def _authorised(one: Authorise, now_ms: int) -> Holding:
    return Holding(
        part_id(one.id, "hold"), one.payer.account, one.payee.account, one.amount_minor, one.code,
        now_ms + one.timeout_ms, one.id,
    )  # fmt: skip


def _fee_transfers(capture: int, payment: Payment, amount_minor: int, code: int) -> list[Transfer]:
    """Fees of a capture. A residue that comes from its account comes first: it pays for shares that were rounded up."""
    if payment.split is None:
        return []
    made, payee = parts(payment.split, amount_minor), payment.payee.account
    shares = zip(payment.split.shares, made.shares_minor, strict=True)
    asked = [(f"share {i}", payee, one.taker, part) for i, (one, part) in enumerate(shares)]
    if made.residue_minor < 0:
        asked.insert(0, ("residue", payment.split.residue, payee, -made.residue_minor))
    else:
        asked.append(("residue", payee, payment.split.residue, made.residue_minor))
    return [
        Transfer(part_id(capture, name), debit, credit, minor, code, user_data=capture)
        for name, debit, credit, minor in asked
        if minor > 0 and debit != credit
    ]


def _returns(payment: Payment, amount_minor: int) -> list[Return]:
    """Which captures a refund takes back, the oldest first, with fees in proportion, rounded down over all refunds."""
    left, found = (payment.refundable_minor if amount_minor == ALL else amount_minor), []
    for place, one in enumerate(payment.captures):
        take = min(left, one.amount_minor - one.refunded_minor)
        left -= take
        if take:
            refunded = one.refunded_minor + take
            fees = [
                fee.amount_minor * refunded // one.amount_minor - fee.returned_minor if payment.fees_returned else 0
                for fee in one.fees
            ]
            found.append(Return(place, take, fees))
    return found


def _reversals(refund: Refund, payment: Payment) -> Iterator[Transfer]:
    """Fees come back to the payee in the opposite order, then the payee pays."""
    reversal = int(TransferFlag.REVERSAL)
    for back in _returns(payment, refund.amount_minor):
        captured = payment.captures[back.capture]
        fees = list(enumerate(zip(captured.fees, back.fees_minor, strict=True)))
        for number, (fee, minor) in reversed(fees):
            if minor:
                name = part_id(refund.id, f"capture {back.capture} fee {number}")
                yield Transfer(
                    name, amount_minor=minor, flags=reversal, reference=fee.transfer, user_data=refund.payment
                )
        yield Transfer(
            part_id(refund.id, f"capture {back.capture}"), amount_minor=back.amount_minor, flags=reversal,
            reference=captured.transfer, user_data=refund.payment,
        )  # fmt: skip


def _after_refund(payment: Payment, returns: Sequence[Return]) -> tuple[Captured, ...]:
    captures = list(payment.captures)
    for back in returns:
        was = captures[back.capture]
        fees = tuple(
            replace(fee, returned_minor=fee.returned_minor + minor)
            for fee, minor in zip(was.fees, back.fees_minor, strict=True)
        )
        captures[back.capture] = replace(was, refunded_minor=was.refunded_minor + back.amount_minor, fees=fees)
    return tuple(captures)
