"""Conditional payout: value locked until attested facts satisfy a FEEL condition, else returned at its date.

The lock is a hold with a time-out, funder to beneficiary. A fact counts once `quorum` of the named attesters have
signed it. The first fact after which the condition is true pays what the terms say, at most what is locked; the rest
goes back to the funder at once. The building block of parametric insurance and of pay-outs in trade.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.feel import NUMBER, FeelType
from quanheng.kernel.errors import ConfigurationError
from quanheng.ledger.entries import AMOUNT_MAX
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
from quanheng.ledger.instruments.attestation import Attestation, Attester, declared, fact_digest, is_signed
from quanheng.ledger.instruments.conditions import Compiled, Condition, Fact, compiled, wrong_in
from quanheng.ledger.instruments.fees import ROUNDINGS
from quanheng.ledger.instruments.holding import Holding
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of

part_id = parts_of("payout")

ATTESTERS_MAX = 32
FACTS_MAX = 64
"""Facts that one attester may sign for one lock: one of them alone cannot use up the places of the others."""
NUMBERS = ("locked",)
"""What terms may ask beside facts: the amount that is locked, in minor units."""


class PayoutRefusal(RefusalCode):
    """Why an action of a payout is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    LOCK_NOT_FOUND = "LOCK_NOT_FOUND", "There is no such lock", "找不到该锁定"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    TIMEOUT_IS_OUT_OF_RANGE = "TIMEOUT_IS_OUT_OF_RANGE", "The time-out is out of range", "时限超出范围"
    PERIOD_IS_EMPTY = "PERIOD_IS_EMPTY", "The period holds no moment", "期间为空"
    TERMS_NOT_DECLARED = "TERMS_NOT_DECLARED", "The terms are not declared", "条款未声明"
    ATTESTER_NOT_DECLARED = "ATTESTER_NOT_DECLARED", "An attester is not declared, or named twice", "见证方未声明或重复"
    QUORUM_IS_OUT_OF_RANGE = "QUORUM_IS_OUT_OF_RANGE", "The quorum is out of range", "法定见证数超出范围"
    LOCK_HAS_ENDED = "LOCK_HAS_ENDED", "Nothing is locked any more", "锁定已结束"
    LOCK_HAS_EXPIRED = "LOCK_HAS_EXPIRED", "The value has gone back", "锁定已到期，资金已退回"
    ATTESTER_IS_NOT_NAMED = "ATTESTER_IS_NOT_NAMED", "The lock does not name the attester", "该锁定未指定此见证方"
    KEY_IS_NOT_VALID = "KEY_IS_NOT_VALID", "The attester's key is not valid now", "见证方密钥当前无效"
    FACT_IS_WRONG = "FACT_IS_WRONG", "The fact is malformed or of the future", "事实格式有误或时间在未来"
    FACT_IS_OUTSIDE_PERIOD = "FACT_IS_OUTSIDE_PERIOD", "The fact is outside the period", "事实不在约定期间内"
    SIGNATURE_IS_WRONG = "SIGNATURE_IS_WRONG", "The signature is wrong", "签名无效"
    WAS_ATTESTED = "WAS_ATTESTED", "This attester has attested the fact before", "该见证方已见证过此事实"
    FACTS_ARE_USED_UP = "FACTS_ARE_USED_UP", "The attester has signed too many facts", "该见证方的事实数量已达上限"


class Terms(msgspec.Struct, frozen=True):
    """Named terms: when a lock pays, and how much.

    condition : FEEL, true when it pays; sees `event`, `events` and `locked`
    amount : FEEL, minor units to pay; "locked" pays all. Null, or nothing above zero after rounding, pays nothing and
        leaves the lock as it is; more than is locked pays what is locked
    fields : names and types that both may ask of a fact
    rounding : of the amount to minor units, a mode of `decimal`
    """

    name: str
    condition: str
    amount: str = "locked"
    fields: tuple[tuple[str, FeelType], ...] = ()
    rounding: str = decimal.ROUND_HALF_EVEN


class Lock(msgspec.Struct, frozen=True):
    """The funder locks an amount for the beneficiary.

    quorum : how many of `attesters` must sign a fact
    from_ms, until_ms : facts count that happened in [from_ms, until_ms)
    timeout_ms : then the value goes back
    """

    id: int
    by: int
    funder: Party
    beneficiary: Party
    terms: str
    attesters: tuple[str, ...]
    quorum: int
    from_ms: int
    until_ms: int
    amount_minor: int
    code: int
    timeout_ms: int


class Attest(msgspec.Struct, frozen=True):
    """An attestation reaches the lock. It does not matter who brings it."""

    id: int
    lock: int
    attestation: Attestation


class Waive(msgspec.Struct, frozen=True):
    """The beneficiary gives up the lock; the value goes back to the funder."""

    id: int
    by: int
    lock: int


class Locked(msgspec.Struct, frozen=True):
    """A lock. `votes`: digest of a fact -> who has signed it; `facts`: those with a quorum."""

    lock: Lock
    holding: Holding | None
    votes: Mapping[str, frozenset[str]]
    facts: tuple[Fact, ...] = ()
    paid_minor: int = 0


R = PayoutRefusal


class Payouts(ActionFold):
    """All locks: a fold of Lock, Attest and Waive.

    Raises
    ------
    ExpressionError : terms do not parse, do not type-check, or two have one name
    ConfigurationError : an attester's key or name, or a rounding, is wrong
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, terms: Sequence[Terms], attesters: Sequence[Attester]) -> None:
        super().__init__()
        self._conditions = compiled([Condition(one.name, one.condition, one.fields) for one in terms], NUMBERS)
        self._amounts = {
            one.name: Compiled(Condition(f"{one.name}, amount", one.amount, one.fields), NUMBERS, NUMBER)
            for one in terms
        }
        self._roundings = {one.name: _rounding(one) for one in terms}
        self.attesters = declared(tuple(attesters))
        self.texts = {one.name: (one.condition, one.amount, one.rounding) for one in terms}
        self.locks: dict[int, Locked] = {}

    def _kept(self) -> Sequence[str]:
        return ("attesters", "locks", "texts")

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Lock):
            return first_refusal(self._wrong_in_lock(action, now_ms))
        locked = self.locks.get(action.lock)
        if locked is None:
            return Refusal(R.LOCK_NOT_FOUND, "lock", str(action.lock))
        return first_refusal(self._wrong_in_action(action, locked, now_ms))

    def _wrong_in_lock(self, one: Lock, now_ms: int) -> Checks:
        yield one.by != one.funder.owner, R.ACTOR_MAY_NOT, "by", one.by, "the funder"
        yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
        amount = one.amount_minor
        yield not is_amount(amount), R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, f"1 .. {AMOUNT_MAX}"
        yield not is_timeout(one.timeout_ms, now_ms), R.TIMEOUT_IS_OUT_OF_RANGE, "timeout_ms", one.timeout_ms, "above 0"
        yield one.from_ms >= one.until_ms, R.PERIOD_IS_EMPTY, "until_ms", one.until_ms, f"after {one.from_ms}"
        unknown = one.terms not in self._conditions
        yield unknown, R.TERMS_NOT_DECLARED, "terms", one.terms, ", ".join(self._conditions)
        names = set(one.attesters)
        wrong = names - set(self.attesters) or len(names) < len(one.attesters) or len(names) > ATTESTERS_MAX
        yield bool(wrong), R.ATTESTER_NOT_DECLARED, "attesters", ", ".join(one.attesters), ", ".join(self.attesters)
        few = not 1 <= one.quorum <= len(names)
        yield few, R.QUORUM_IS_OUT_OF_RANGE, "quorum", one.quorum, f"1 .. {len(names)}"

    def _wrong_in_action(self, one: Attest | Waive, locked: Locked, now_ms: int) -> Checks:
        if isinstance(one, Waive):
            owner = locked.lock.beneficiary.owner
            yield one.by != owner, R.ACTOR_MAY_NOT, "by", one.by, "the beneficiary"
        if locked.holding is None:
            yield True, R.LOCK_HAS_ENDED, "lock", one.lock, "one that holds value"
            return
        ends_ms = locked.holding.expires_ms
        yield locked.holding.expired(now_ms), R.LOCK_HAS_EXPIRED, "lock", f"now {now_ms}", f"before {ends_ms}"
        if isinstance(one, Attest):
            yield from self._wrong_in_attestation(one.attestation, locked, now_ms)

    def _wrong_in_attestation(self, one: Attestation, locked: Locked, now_ms: int) -> Checks:
        lock, fact = locked.lock, one.fact
        if one.attester not in lock.attesters:
            yield True, R.ATTESTER_IS_NOT_NAMED, "attester", one.attester, ", ".join(lock.attesters)
        attester = self.attesters[one.attester]
        valid = attester.from_ms <= now_ms < attester.until_ms
        yield not valid, R.KEY_IS_NOT_VALID, "attester", now_ms, f"{attester.from_ms} .. {attester.until_ms}"
        wrong = wrong_in(fact, now_ms)
        yield bool(wrong), R.FACT_IS_WRONG, "fact", wrong, "as `conditions.wrong_in` has it"
        outside = not lock.from_ms <= fact.time_ms < lock.until_ms
        yield outside, R.FACT_IS_OUTSIDE_PERIOD, "fact", fact.time_ms, f"{lock.from_ms} .. {lock.until_ms}"
        signed = is_signed(one, attester.public_key)
        yield not signed, R.SIGNATURE_IS_WRONG, "signature", one.attester, "its Ed25519 signature of the fact"
        before = locked.votes.get(fact_digest(fact), frozenset())
        yield one.attester in before, R.WAS_ATTESTED, "attester", one.attester, "once a fact"
        told = sum(one.attester in signers for signers in locked.votes.values())
        yield told >= FACTS_MAX, R.FACTS_ARE_USED_UP, "attester", told, f"fewer than {FACTS_MAX} facts"

    # --- what is asked of the ledger, and what then stands

    def _step(self, action: Any, now_ms: int) -> Step:
        return self._outcome(action, now_ms)[0]

    def _fold(self, action: Any, now_ms: int) -> None:
        about = action.id if isinstance(action, Lock) else action.lock
        self.locks[about] = self._outcome(action, now_ms)[1]

    def _outcome(self, action: Any, now_ms: int) -> tuple[Step, Locked]:
        if isinstance(action, Lock):
            holding = Holding(
                part_id(action.id, "hold"), action.funder.account, action.beneficiary.account, action.amount_minor,
                action.code, now_ms + action.timeout_ms, action.id,
            )  # fmt: skip
            return Step([holding.transfer(now_ms)]), Locked(action, holding, {})
        locked = self.locks[action.lock]
        holding_now = locked.holding
        assert holding_now is not None, "refused before"
        if isinstance(action, Waive):
            return Step([holding_now.void(part_id(action.id, "void"))]), replace(locked, holding=None)
        attestation = action.attestation
        digest = fact_digest(attestation.fact)
        signers = locked.votes.get(digest, frozenset()) | {attestation.attester}
        voted = replace(locked, votes={**locked.votes, digest: signers})
        if len(signers) != locked.lock.quorum:
            return Step(), voted
        agreed = replace(voted, facts=(*locked.facts, attestation.fact))
        minor = self._payout_minor(agreed)
        if minor == 0:
            return Step(), agreed
        return Step([holding_now.post(part_id(action.id, "post"), minor)]), replace(
            agreed, holding=None, paid_minor=minor
        )

    def _payout_minor(self, locked: Locked) -> int:
        """What the facts are worth: 0 .. what is locked."""
        lock = locked.lock
        numbers = {"locked": lock.amount_minor}
        if not self._conditions[lock.terms].is_met(locked.facts, numbers):
            return 0
        value = self._amounts[lock.terms].value(locked.facts, numbers)
        if not isinstance(value, Decimal) or value <= 0:
            return 0
        if value >= lock.amount_minor:
            return lock.amount_minor
        return int(value.to_integral_value(self._roundings[lock.terms]))


Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


def _rounding(terms: Terms) -> str:
    if terms.rounding not in ROUNDINGS:
        raise ConfigurationError(
            "the rounding is no mode of decimal", where=f"terms {terms.name!r}", found=terms.rounding,
            allowed=", ".join(ROUNDINGS),
        )  # fmt: skip
    return terms.rounding
