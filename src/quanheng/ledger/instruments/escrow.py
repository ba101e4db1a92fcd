"""Escrow: value held for a seller until conditions on reported facts are met, else it goes back by itself.

The escrow is a hold with a time-out, buyer to seller. A milestone whose condition a report satisfies is posted, and the
rest held anew until the same time. A dispute replaces the hold by one that lasts until the arbitration ends; then only
the arbiter's award moves value, or buyer or seller who gives in. No answer at all means that the buyer has it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import ALL, AMOUNT_MAX
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
from quanheng.ledger.instruments.conditions import Condition, Fact, compiled, wrong_in
from quanheng.ledger.instruments.holding import Holding
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of

part_id = parts_of("escrow")

MILESTONES_MAX, REPORTERS_MAX, FACTS_MAX = 64, 64, 256
NUMBERS = ("amount", "held")
"""What a condition may ask beside facts: the amount of the escrow and what is held now, in minor units."""


class EscrowRefusal(RefusalCode):
    """Why an action of an escrow is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    ESCROW_NOT_FOUND = "ESCROW_NOT_FOUND", "There is no such escrow", "找不到该托管"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    PARTIES_MUST_DIFFER = "PARTIES_MUST_DIFFER", "Buyer, seller and arbiter must differ", "买方、卖方与仲裁方必须不同"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    TIMEOUT_IS_OUT_OF_RANGE = "TIMEOUT_IS_OUT_OF_RANGE", "The time-out is out of range", "时限超出范围"
    TOO_MANY_PARTS = "TOO_MANY_PARTS", "There are too many milestones or reporters", "里程碑或报告方过多"
    CONDITION_NOT_DECLARED = "CONDITION_NOT_DECLARED", "The condition is not declared", "条件未声明"
    MILESTONES_EXCEED_AMOUNT = (
        "MILESTONES_EXCEED_AMOUNT", "The milestones exceed the amount", "里程碑金额之和超过托管金额",
    )  # fmt: skip
    FACT_IS_WRONG = "FACT_IS_WRONG", "The fact is malformed or of the future", "事实格式有误或时间在未来"
    ESCROW_HAS_ENDED = "ESCROW_HAS_ENDED", "Nothing is held any more", "托管已结束"
    ESCROW_HAS_EXPIRED = "ESCROW_HAS_EXPIRED", "The value has gone back", "托管已到期，资金已退回"
    ESCROW_IS_DISPUTED = "ESCROW_IS_DISPUTED", "The escrow is disputed", "托管处于争议中"
    ESCROW_IS_NOT_DISPUTED = "ESCROW_IS_NOT_DISPUTED", "The escrow is not disputed", "托管未处于争议中"
    FACTS_ARE_USED_UP = "FACTS_ARE_USED_UP", "The escrow has too many facts", "事实数量已达上限"
    AMOUNT_EXCEEDS_HELD = "AMOUNT_EXCEEDS_HELD", "The amount exceeds what is held", "金额超过托管余额"


class Milestone(msgspec.Struct, frozen=True):
    """Pays `amount_minor`, or what is left if that is less, when the declared condition is met; once."""

    condition: str
    amount_minor: int


class Fund(msgspec.Struct, frozen=True):
    """The buyer puts an amount aside for the seller.

    arbiter : owner who decides a dispute
    reporters : owners whose reports count
    timeout_ms : then the value goes back, unless there is a dispute
    arbitration_ms : so long after a dispute was raised the value goes back without an award
    """

    id: int
    by: int
    buyer: Party
    seller: Party
    arbiter: int
    reporters: tuple[int, ...]
    milestones: tuple[Milestone, ...]
    amount_minor: int
    code: int
    timeout_ms: int
    arbitration_ms: int


class Report(msgspec.Struct, frozen=True):
    """A reporter tells a fact. The milestones that it satisfies are paid in the same chain."""

    id: int
    by: int
    escrow: int
    fact: Fact


class Release(msgspec.Struct, frozen=True):
    """The buyer lets the seller have a part, or ALL, of what is held; also during a dispute."""

    id: int
    by: int
    escrow: int
    amount_minor: int


class GiveBack(msgspec.Struct, frozen=True):
    """The seller lets the buyer have a part, or ALL, of what is held; also during a dispute."""

    id: int
    by: int
    escrow: int
    amount_minor: int


class Dispute(msgspec.Struct, frozen=True):
    """Buyer or seller stops the milestones and the time-out. From now the arbiter has `arbitration_ms`."""

    id: int
    by: int
    escrow: int


class Award(msgspec.Struct, frozen=True):
    """The arbiter gives the seller `seller_minor` of what is held (0: nothing, ALL: all), the rest to the buyer."""

    id: int
    by: int
    escrow: int
    seller_minor: int


class Escrow(msgspec.Struct, frozen=True):
    """An escrow. `paid` are the places of the milestones that were paid, `holding` is None once nothing is held."""

    terms: Fund
    holding: Holding | None
    disputed: bool = False
    paid: frozenset[int] = frozenset()
    facts: tuple[Fact, ...] = ()


R = EscrowRefusal


class Escrows(ActionFold):
    """All escrows: a fold of Fund, Report, Release, GiveBack, Dispute and Award.

    conditions : those that milestones may name, compiled once

    Raises
    ------
    ExpressionError : a condition does not parse, does not type-check, or two have one name
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, conditions: Sequence[Condition]) -> None:
        super().__init__()
        self._compiled = compiled(conditions, NUMBERS)
        self.texts = {one.name: one.text for one in conditions}
        self.escrows: dict[int, Escrow] = {}

    def _kept(self) -> Sequence[str]:
        return ("escrows", "texts")

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Fund):
            return first_refusal(self._wrong_in_fund(action, now_ms))
        escrow = self.escrows.get(action.escrow)
        if escrow is None:
            return Refusal(R.ESCROW_NOT_FOUND, "escrow", str(action.escrow))
        return first_refusal(_wrong_in_action(action, escrow, now_ms))

    def _wrong_in_fund(self, one: Fund, now_ms: int) -> Checks:
        yield one.by != one.buyer.owner, R.ACTOR_MAY_NOT, "by", one.by, "the buyer"
        owners = {one.buyer.owner, one.seller.owner, one.arbiter}
        yield len(owners) < 3, R.PARTIES_MUST_DIFFER, "arbiter", one.arbiter, "three owners"
        yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
        for amount in (one.amount_minor, *(part.amount_minor for part in one.milestones)):
            yield not is_amount(amount), R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, f"1 .. {AMOUNT_MAX}"
        for where, timeout_ms in (("timeout_ms", one.timeout_ms), ("arbitration_ms", one.arbitration_ms)):
            yield not is_timeout(timeout_ms, now_ms), R.TIMEOUT_IS_OUT_OF_RANGE, where, timeout_ms, "above 0"
        many = len(one.milestones) > MILESTONES_MAX or len(one.reporters) > REPORTERS_MAX
        yield many, R.TOO_MANY_PARTS, "milestones", len(one.milestones), f"at most {MILESTONES_MAX} of each"
        for part in one.milestones:
            unknown = part.condition not in self._compiled
            yield unknown, R.CONDITION_NOT_DECLARED, "milestones", part.condition, ", ".join(self._compiled)
        total = sum(part.amount_minor for part in one.milestones)
        exceeds = total > one.amount_minor
        yield exceeds, R.MILESTONES_EXCEED_AMOUNT, "milestones", total, f"at most {one.amount_minor}"

    def _due(self, escrow: Escrow, facts: tuple[Fact, ...]) -> list[int]:
        """Milestones that are met and were not paid."""
        held = escrow.holding.amount_minor if escrow.holding else 0
        numbers = {"amount": escrow.terms.amount_minor, "held": held}
        return [
            place
            for place, one in enumerate(escrow.terms.milestones)
            if place not in escrow.paid and self._compiled[one.condition].is_met(facts, numbers)
        ]

    # --- what is asked of the ledger, and what then stands

    def _step(self, action: Any, now_ms: int) -> Step:
        return self._outcome(action, now_ms)[0]

    def _fold(self, action: Any, now_ms: int) -> None:
        about = action.id if isinstance(action, Fund) else action.escrow
        self.escrows[about] = self._outcome(action, now_ms)[1]

    def _outcome(self, action: Any, now_ms: int) -> tuple[Step, Escrow]:
        if isinstance(action, Fund):
            holding = Holding(
                part_id(action.id, "hold"), action.buyer.account, action.seller.account, action.amount_minor,
                action.code, now_ms + action.timeout_ms, action.id,
            )  # fmt: skip
            return Step([holding.transfer(now_ms)]), Escrow(action, holding)
        escrow = self.escrows[action.escrow]
        holding_now = escrow.holding
        assert holding_now is not None, "refused before"
        if isinstance(action, Report):
            facts = (*escrow.facts, action.fact)
            due = self._due(escrow, facts)
            told = replace(escrow, facts=facts, paid=escrow.paid | frozenset(due))
            asked = sum(escrow.terms.milestones[place].amount_minor for place in due)
            return _paid(told, action.id, min(asked, holding_now.amount_minor)) if due else (Step(), told)
        if isinstance(action, Release):
            return _paid(escrow, action.id, _of(action.amount_minor, holding_now))
        if isinstance(action, Dispute):
            return _disputed(escrow, holding_now, action.id, now_ms)
        if isinstance(action, GiveBack):
            return _given_back(escrow, holding_now, action.id, _of(action.amount_minor, holding_now))
        ended = replace(escrow, holding=None)
        if action.seller_minor == 0:
            return Step([holding_now.void(part_id(action.id, "void"))]), ended
        return Step([holding_now.post(part_id(action.id, "post"), _of(action.seller_minor, holding_now))]), ended


Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


def _wrong_in_action(one: Any, escrow: Escrow, now_ms: int) -> Checks:
    terms, holding = escrow.terms, escrow.holding
    may: dict[type, tuple[int, ...]] = {
        Report: terms.reporters,
        Release: (terms.buyer.owner,),
        GiveBack: (terms.seller.owner,),
        Dispute: (terms.buyer.owner, terms.seller.owner),
        Award: (terms.arbiter,),
    }
    allowed = may[type(one)]
    yield one.by not in allowed, R.ACTOR_MAY_NOT, "by", one.by, ", ".join(map(str, allowed))
    amount = _amount_in(one)
    good = amount is None or is_amount(amount, or_all=True) or (isinstance(one, Award) and amount == 0)
    yield not good, R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, f"1 .. {AMOUNT_MAX}, or ALL"
    wrong = wrong_in(one.fact, now_ms) if isinstance(one, Report) else ""
    yield bool(wrong), R.FACT_IS_WRONG, "fact", wrong, "as `conditions.wrong_in` has it"
    if holding is None:
        yield True, R.ESCROW_HAS_ENDED, "escrow", one.escrow, "one that holds value"
        return
    ends_ms = holding.expires_ms
    yield holding.expired(now_ms), R.ESCROW_HAS_EXPIRED, "escrow", f"now {now_ms}", f"before {ends_ms}"
    stopped = escrow.disputed and isinstance(one, (Report, Dispute))
    yield stopped, R.ESCROW_IS_DISPUTED, "escrow", type(one).__name__, "Award, Release, GiveBack"
    early = not escrow.disputed and isinstance(one, Award)
    yield early, R.ESCROW_IS_NOT_DISPUTED, "escrow", "Award", "after Dispute"
    used_up = isinstance(one, Report) and len(escrow.facts) >= FACTS_MAX
    yield used_up, R.FACTS_ARE_USED_UP, "fact", len(escrow.facts), f"fewer than {FACTS_MAX}"
    exceeds = amount is not None and holding.amount_minor < amount != ALL
    yield exceeds, R.AMOUNT_EXCEEDS_HELD, "amount_minor", amount, f"at most {holding.amount_minor}"


def _amount_in(one: Any) -> int | None:
    if isinstance(one, Award):
        return one.seller_minor
    return one.amount_minor if isinstance(one, (Release, GiveBack)) else None


def _of(amount_minor: int, holding: Holding) -> int:
    return holding.amount_minor if amount_minor == ALL else amount_minor


def _paid(escrow: Escrow, action_id: int, amount_minor: int) -> tuple[Step, Escrow]:
    """A part posted to the seller, the rest held anew."""
    holding = escrow.holding
    assert holding is not None, "refused before"
    post = holding.post(part_id(action_id, "post"), amount_minor)
    rest = holding.rest(part_id(action_id, "rest"), amount_minor)
    return Step([post, rest.again()] if rest else [post]), replace(escrow, holding=rest)


def _given_back(escrow: Escrow, holding: Holding, action_id: int, amount_minor: int) -> tuple[Step, Escrow]:
    void = holding.void(part_id(action_id, "void"))
    rest = holding.rest(part_id(action_id, "rest"), amount_minor)
    return Step([void, rest.again()] if rest else [void]), replace(escrow, holding=rest)


def _disputed(escrow: Escrow, holding: Holding, action_id: int, now_ms: int) -> tuple[Step, Escrow]:
    void = holding.void(part_id(action_id, "void"))
    until = holding.until(part_id(action_id, "dispute"), now_ms + escrow.terms.arbitration_ms)
    return Step([void, until.transfer(now_ms)]), replace(escrow, holding=until, disputed=True)
