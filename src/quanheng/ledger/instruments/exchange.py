"""Delivery versus payment and payment versus payment: an exchange of any number of legs, settled all or not at all.

Every counterparty instructs the settlement agent on the same trade. Instructions whose terms are equal match once all
parties have instructed. A matched trade settles in one chain, each leg in full, or a part of each leg where the terms
allow it: settlement of both sides trade by trade (model 1 of "Delivery versus payment in securities settlement
systems", Bank for International Settlements, 1992). An attempt that the ledger refuses is noted with its reason, and
the trade is tried again until its deadline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, TIME_MAX_MS, Transfer
from quanheng.ledger.instruments.action_fold import (
    CODE_MAX,
    ActionFold,
    RefusalCode,
    first_refusal,
    is_amount,
    is_code,
    is_id,
)
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.ranges import in_range
from quanheng.ledger.outcomes import TransferOutcome

part_id = parts_of("exchange")

LEGS_MAX, PRIORITY_MAX = 1_000, 9
NO_PARTIAL = 0
"""As the smallest part: the trade settles whole."""


class ExchangeRefusal(RefusalCode):
    """Why an action of an exchange is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    TRADE_NOT_FOUND = "TRADE_NOT_FOUND", "There is no such trade", "找不到该笔交易"
    TRADE_IS_OUT_OF_RANGE = "TRADE_IS_OUT_OF_RANGE", "The trade's reference is out of range", "交易参考号超出范围"
    LEGS_ARE_WRONG = "LEGS_ARE_WRONG", "The legs are wrong", "交割腿有误"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    TIMES_ARE_WRONG = "TIMES_ARE_WRONG", "The times are wrong", "时间有误"
    PARTIAL_IS_WRONG = "PARTIAL_IS_WRONG", "The smallest part is out of range", "最小部分交割量超出范围"
    PRIORITY_IS_OUT_OF_RANGE = "PRIORITY_IS_OUT_OF_RANGE", "The priority is out of range", "优先级超出范围"
    PARTIES_ARE_OTHERS = "PARTIES_ARE_OTHERS", "The trade has other parties", "该交易的当事方不同"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    ACCOUNTS_ARE_WRONG = "ACCOUNTS_ARE_WRONG", "An account is missing or wrong", "账户缺失或有误"
    TRADE_IS_CANCELLED = "TRADE_IS_CANCELLED", "The trade is cancelled", "交易已取消"
    TRADE_IS_SETTLED = "TRADE_IS_SETTLED", "The trade is settled", "交易已结算"
    TRADE_IS_MATCHED = "TRADE_IS_MATCHED", "The trade is matched", "交易已匹配"
    INSTRUCTED_BEFORE = "INSTRUCTED_BEFORE", "The counterparty has instructed on this trade", "该方已就此交易发出指令"
    NOT_INSTRUCTED = "NOT_INSTRUCTED", "The counterparty has not instructed on this trade", "该方尚未就此交易发出指令"
    TRADE_IS_NOT_MATCHED = "TRADE_IS_NOT_MATCHED", "The trade is not matched", "交易尚未匹配"
    NOT_DUE_YET = "NOT_DUE_YET", "The trade is not due yet", "交易尚未到结算时间"
    DEADLINE_HAS_PASSED = "DEADLINE_HAS_PASSED", "The deadline has passed", "已过截止时间"
    DEADLINE_HAS_NOT_PASSED = "DEADLINE_HAS_NOT_PASSED", "The deadline has not passed", "尚未到截止时间"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    PARTIAL_IS_NOT_ALLOWED = "PARTIAL_IS_NOT_ALLOWED", "The trade settles whole", "该交易不允许部分结算"
    PART_IS_TOO_SMALL = "PART_IS_TOO_SMALL", "The part is too small", "部分结算量过小"
    PART_EXCEEDS_REST = "PART_EXCEEDS_REST", "The part exceeds what is left", "部分结算量超过剩余量"
    REASON_IS_UNKNOWN = "REASON_IS_UNKNOWN", "The reason is no outcome of the ledger", "原因不是账本结果"


class Leg(msgspec.Struct, frozen=True):
    """`deliverer` (an owner) gives `receiver` (another) an amount of an asset, in minor units."""

    deliverer: int
    receiver: int
    asset: int
    amount_minor: int


class Terms(msgspec.Struct, frozen=True):
    """What the parties agree on. Instructions match if these are equal.

    legs : in the order in which they are settled; the first one is the lead, parts are told in its minor units
    code : why value moves, 1 .. 65535
    due_ms : not settled before; deadline_ms : not settled at it or later
    partial_min_minor : smallest part of the lead that may settle, but for the last; NO_PARTIAL = 0, settles whole
    priority : 0 .. 9, 0 first
    """

    legs: tuple[Leg, ...]
    code: int
    due_ms: int
    deadline_ms: int
    partial_min_minor: int = NO_PARTIAL
    priority: int = 5

    @property
    def parties(self) -> frozenset[int]:
        """Owners that deliver or receive."""
        return frozenset(one for leg in self.legs for one in (leg.deliverer, leg.receiver))


class SafekeepingAccount(msgspec.Struct, frozen=True):
    """The ledger account in which a counterparty keeps an asset."""

    asset: int
    account: int


class Instruct(msgspec.Struct, frozen=True):
    """A counterparty instructs on a trade: the terms as it knows them, and its own account for each asset it moves."""

    id: int
    by: int
    trade: int
    terms: Terms
    accounts: tuple[SafekeepingAccount, ...]


class Cancel(msgspec.Struct, frozen=True):
    """A counterparty withdraws its instruction; once the trade is matched, the trade when all parties have asked."""

    id: int
    by: int
    trade: int


class Settle(msgspec.Struct, frozen=True):
    """A counterparty or the agent asks for settlement of so many minor units of the lead leg; 0 = all that is left."""

    id: int
    by: int
    trade: int
    lead_minor: int = 0


class NoteFail(msgspec.Struct, frozen=True):
    """The agent notes that an attempt failed: the ledger's outcome, at which leg."""

    id: int
    by: int
    trade: int
    reason: int
    leg: int


class Lapse(msgspec.Struct, frozen=True):
    """The agent cancels what is left of a trade whose deadline has passed."""

    id: int
    by: int
    trade: int


class Fail(msgspec.Struct, frozen=True):
    """An attempt that failed: why, at which leg, when."""

    reason: int
    leg: int
    at_ms: int


class Trade(msgspec.Struct, frozen=True):
    """A trade.

    instructed : owner -> terms and accounts, as instructed
    matched : whether all parties have instructed equal terms
    settled_minor : how much of the lead leg is settled
    fails, last_fail : attempts that failed, and the newest
    cancelled_by : parties of a matched trade that asked to cancel it
    cancelled : whether what was not settled never will be
    """

    parties: frozenset[int]
    instructed: Mapping[int, Instruct]
    matched: bool = False
    settled_minor: int = 0
    fails: int = 0
    last_fail: Fail | None = None
    cancelled_by: frozenset[int] = frozenset()
    cancelled: bool = False

    @property
    def terms(self) -> Terms:
        """Terms of a matched trade."""
        return next(iter(self.instructed.values())).terms

    @property
    def rest_minor(self) -> int:
        """What is not settled of the lead leg of a matched trade."""
        return self.terms.legs[0].amount_minor - self.settled_minor

    @property
    def open(self) -> bool:
        """Whether it can still settle."""
        return self.matched and not self.cancelled and self.rest_minor > 0


R = ExchangeRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


class Exchanges(ActionFold):
    """All trades of one settlement agent: a fold of Instruct, Cancel, Settle, NoteFail and Lapse."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, agent: int) -> None:
        super().__init__()
        self.agent = agent
        self.trades: dict[int, Trade] = {}

    def due(self, now_ms: int) -> list[int]:
        """Trades that can be tried now, by priority, then due time, then order of the first instruction."""
        ready = []
        for place, (reference, trade) in enumerate(self.trades.items()):
            if trade.open and trade.terms.due_ms <= now_ms < trade.terms.deadline_ms:
                ready.append((trade.terms.priority, trade.terms.due_ms, place, reference))
        return [reference for *_, reference in sorted(ready)]

    def _kept(self) -> Sequence[str]:
        return "agent", "trades"

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        trade = self.trades.get(action.trade)
        if isinstance(action, Instruct):
            return first_refusal(_wrong_in_instruct(action, trade, now_ms))
        if trade is None:
            return Refusal(R.TRADE_NOT_FOUND, "trade", str(action.trade))
        return first_refusal(self._wrong(action, trade, now_ms))

    def _wrong(self, one: Any, trade: Trade, now_ms: int) -> Checks:
        only_agent = isinstance(one, (NoteFail, Lapse))
        actors = {self.agent} if only_agent else set(trade.parties)
        actors |= {self.agent} if isinstance(one, Settle) else set()
        yield one.by not in actors, R.ACTOR_MAY_NOT, "by", one.by, "the agent" if only_agent else "a counterparty"
        yield trade.cancelled, R.TRADE_IS_CANCELLED, "trade", one.trade, "a trade that stands"
        settled = trade.matched and trade.rest_minor == 0
        yield settled, R.TRADE_IS_SETTLED, "trade", one.trade, "a trade with something left"
        if isinstance(one, Cancel):
            yield one.by not in trade.instructed, R.NOT_INSTRUCTED, "by", one.by, "a counterparty that has instructed"
            return
        yield not trade.matched, R.TRADE_IS_NOT_MATCHED, "trade", one.trade, "equal terms of all parties"
        terms = trade.terms
        if isinstance(one, Lapse):
            early = now_ms < terms.deadline_ms
            yield early, R.DEADLINE_HAS_NOT_PASSED, "trade", now_ms, f"{terms.deadline_ms} or later"
            return
        yield now_ms < terms.due_ms, R.NOT_DUE_YET, "trade", now_ms, f"{terms.due_ms} or later"
        yield now_ms >= terms.deadline_ms, R.DEADLINE_HAS_PASSED, "trade", now_ms, f"before {terms.deadline_ms}"
        if isinstance(one, NoteFail):
            unknown = one.reason not in _REASONS or not in_range(one.leg, 0, len(terms.legs) - 1)
            yield unknown, R.REASON_IS_UNKNOWN, "reason", f"{one.reason} at leg {one.leg}", "a TransferOutcome, a leg"
            return
        yield from _wrong_in_part(one, trade)

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        if not isinstance(action, Settle):
            return Step()
        trade = self.trades[action.trade]
        accounts = {(owner, one.asset): one.account for owner, by in trade.instructed.items() for one in by.accounts}
        until = trade.settled_minor + (action.lead_minor or trade.rest_minor)
        return Step([
            Transfer(
                part_id(action.id, place),
                accounts[leg.deliverer, leg.asset],
                accounts[leg.receiver, leg.asset],
                amount,
                trade.terms.code,
            )
            for place, (leg, amount) in enumerate(
                zip(trade.terms.legs, part_amounts(trade.terms, trade.settled_minor, until), strict=True)
            )
            if amount
        ])  # fmt: skip

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        trade = self.trades.get(action.trade)
        if isinstance(action, Instruct):
            trade = trade or Trade(action.terms.parties, {})
            instructed = {**trade.instructed, action.by: action}
            agreed = all(one.terms == action.terms for one in instructed.values())
            matched = agreed and set(instructed) == trade.parties
            self.trades[action.trade] = replace(trade, instructed=instructed, matched=matched)
            return
        assert trade is not None, "refused before"
        if isinstance(action, Settle):
            settled = trade.settled_minor + (action.lead_minor or trade.rest_minor)
            trade = replace(trade, settled_minor=settled)
        elif isinstance(action, NoteFail):
            trade = replace(trade, fails=trade.fails + 1, last_fail=Fail(action.reason, action.leg, now_ms))
        elif isinstance(action, Lapse):
            trade = replace(trade, cancelled=True)
        elif trade.matched:
            asked = trade.cancelled_by | {action.by}
            trade = replace(trade, cancelled_by=asked, cancelled=asked == trade.parties)
        else:
            left = {owner: one for owner, one in trade.instructed.items() if owner != action.by}
            if not left:
                del self.trades[action.trade]
                return
            trade = replace(trade, instructed=left)
        self.trades[action.trade] = trade


_REASONS = frozenset(int(one) for one in TransferOutcome if one != TransferOutcome.APPLIED)


def part_amounts(terms: Terms, since_minor: int, until_minor: int) -> list[int]:
    """What each leg moves while the lead goes from one settled amount to another.

    Up to `q` of the lead's `Q`, a leg of `A` has moved floor(A q / Q). So parts differ by less than one minor unit from
    the proportion, and together they are the leg to the last unit: there is no residue.
    """
    whole = terms.legs[0].amount_minor
    return [leg.amount_minor * until_minor // whole - leg.amount_minor * since_minor // whole for leg in terms.legs]


def _wrong_in_instruct(one: Instruct, trade: Trade | None, now_ms: int) -> Checks:
    terms = one.terms
    yield not is_id(one.trade), R.TRADE_IS_OUT_OF_RANGE, "trade", one.trade, "1 .. 2**128 - 2"
    legs = f"1 .. {LEGS_MAX} legs of 1 .. {AMOUNT_MAX} between two owners"
    yield _legs_are_wrong(terms.legs), R.LEGS_ARE_WRONG, "terms.legs", len(terms.legs), legs
    yield not is_code(terms.code), R.CODE_IS_OUT_OF_RANGE, "terms.code", terms.code, f"1 .. {CODE_MAX}"
    times = f"{terms.due_ms} .. {terms.deadline_ms}"
    in_order = in_range(terms.deadline_ms, now_ms + 1, TIME_MAX_MS) and in_range(terms.due_ms, 0, terms.deadline_ms - 1)
    yield not in_order, R.TIMES_ARE_WRONG, "terms", times, f"due before the deadline, deadline after {now_ms}"
    lead = terms.legs[0].amount_minor
    smallest = terms.partial_min_minor
    yield not in_range(smallest, 0, lead), R.PARTIAL_IS_WRONG, "terms.partial_min_minor", smallest, f"0 .. {lead}"
    wrong, priorities = not in_range(terms.priority, 0, PRIORITY_MAX), f"0 .. {PRIORITY_MAX}"
    yield wrong, R.PRIORITY_IS_OUT_OF_RANGE, "terms.priority", terms.priority, priorities
    others = trade is not None and trade.parties != terms.parties
    yield others, R.PARTIES_ARE_OTHERS, "terms.legs", "other owners", "those of the first instruction"
    yield one.by not in terms.parties, R.ACTOR_MAY_NOT, "by", one.by, "a counterparty of the trade"
    moved = {leg.asset for leg in terms.legs if one.by in (leg.deliverer, leg.receiver)}
    given = [account.asset for account in one.accounts]
    right = set(given) == moved and len(given) == len(moved) and all(is_id(item.account) for item in one.accounts)
    yield not right, R.ACCOUNTS_ARE_WRONG, "accounts", sorted(given), f"one account for each of {sorted(moved)}"
    if trade is not None:
        yield trade.cancelled, R.TRADE_IS_CANCELLED, "trade", one.trade, "a trade that stands"
        settled = trade.matched and trade.rest_minor == 0
        yield settled, R.TRADE_IS_SETTLED, "trade", one.trade, "a trade with something left"
        yield trade.matched, R.TRADE_IS_MATCHED, "trade", one.trade, "a trade that is not matched yet"
        yield one.by in trade.instructed, R.INSTRUCTED_BEFORE, "by", one.by, "one instruction each; cancel it first"


def _legs_are_wrong(legs: Sequence[Leg]) -> bool:
    return not 0 < len(legs) <= LEGS_MAX or any(
        not is_amount(leg.amount_minor)
        or leg.deliverer == leg.receiver
        or not all(is_id(one) for one in (leg.deliverer, leg.receiver, leg.asset))
        for leg in legs
    )


def _wrong_in_part(one: Settle, trade: Trade) -> Checks:
    rest, smallest = trade.rest_minor, trade.terms.partial_min_minor
    part = one.lead_minor or rest
    yield (
        not in_range(one.lead_minor, 0, AMOUNT_MAX),
        R.AMOUNT_IS_OUT_OF_RANGE,
        "lead_minor",
        one.lead_minor,
        f"0 .. {rest}",
    )
    whole = smallest == NO_PARTIAL and part < rest
    yield whole, R.PARTIAL_IS_NOT_ALLOWED, "lead_minor", part, f"{rest}, the whole"
    yield part < min(smallest, rest), R.PART_IS_TOO_SMALL, "lead_minor", part, f"{min(smallest, rest)} or more"
    yield part > rest, R.PART_EXCEEDS_REST, "lead_minor", part, f"at most {rest}"
