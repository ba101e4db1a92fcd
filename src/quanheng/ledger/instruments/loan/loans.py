"""Loans on the ledger: receivables, income and losses in accounts, corrected by reversal and replay.

A loan's state is its terms, the actions that were applied, and which transfers stand for them. Its postings are a fold
of the actions (`fold`). An action with an early date changes postings that were made: those from the first difference
on are reversed, the youngest first, and posted anew, in one chain with the action's own money. Money comes from the
borrower's account once and is never reversed for a replay.

An action in the order of time costs O(what is overdue); one with an early date O(actions + periods) of its loan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from quanheng.ledger.entries import ALL, AMOUNT_MAX, BATCH_MAX, Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.instruments.action_fold import ActionFold, RefusalCode, first_refusal, is_amount
from quanheng.ledger.instruments.instrument import Refusal, Step
from quanheng.ledger.instruments.loan.actions import (
    BACKDATED,
    BY_THE_LENDER,
    RECEIPTS,
    Event,
    Originate,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
    order_of,
)
from quanheng.ledger.instruments.loan.day_count import date_of
from quanheng.ledger.instruments.loan.fold import LoanBooks, LoanFold, Owed, Posting, part_id
from quanheng.ledger.instruments.loan.terms import Terms, wrong_in

DAY_MS = 86_400_000


class LoanRefusal(RefusalCode):
    """Why an action of a loan is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    LOAN_NOT_FOUND = "LOAN_NOT_FOUND", "There is no such loan", "找不到该笔贷款"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    TERMS_ARE_WRONG = "TERMS_ARE_WRONG", "The terms cannot be", "贷款条款有误"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    DAY_IS_IN_THE_FUTURE = "DAY_IS_IN_THE_FUTURE", "The day is in the future", "日期在未来"
    DAY_IS_BEFORE_THE_LOAN = "DAY_IS_BEFORE_THE_LOAN", "The day is before the loan's first", "日期早于放款日"
    DAY_IS_BEFORE_THE_NEWEST = (
        "DAY_IS_BEFORE_THE_NEWEST", "The action cannot be dated before one that was applied",
        "该操作不得早于已生效的操作",
    )  # fmt: skip
    LOAN_IS_WRITTEN_OFF = "LOAN_IS_WRITTEN_OFF", "The loan was written off", "贷款已核销"
    LOAN_IS_NOT_WRITTEN_OFF = "LOAN_IS_NOT_WRITTEN_OFF", "The loan was not written off", "贷款尚未核销"
    NOTHING_IS_OWED = "NOTHING_IS_OWED", "Nothing is owed on that day", "当日无欠款"
    PAYOFF_IS_TOO_LOW = "PAYOFF_IS_TOO_LOW", "The amount does not pay off the loan", "金额不足以结清贷款"
    REFUND_EXCEEDS_UNALLOCATED = (
        "REFUND_EXCEEDS_UNALLOCATED", "The refund exceeds what is not allocated", "退款超过未分配金额",
    )  # fmt: skip
    RECOVERY_EXCEEDS_WRITTEN_OFF = (
        "RECOVERY_EXCEEDS_WRITTEN_OFF", "The recovery exceeds what was written off", "收回金额超过核销金额",
    )  # fmt: skip
    REPLAY_CONTRADICTS_REFUND = (
        "REPLAY_CONTRADICTS_REFUND", "Money that the action would use was refunded", "该操作所需款项已退还",
    )  # fmt: skip
    REPLAY_IS_TOO_LARGE = "REPLAY_IS_TOO_LARGE", "A posting exceeds the largest amount", "分录金额超过上限"
    REPLAY_IS_TOO_LONG = "REPLAY_IS_TOO_LONG", "The replay does not fit one chain", "重放超过单链上限"


class LoanState(msgspec.Struct, frozen=True):
    """A loan: its terms, what was applied in the order of arrival, and the transfers that stand for the fold."""

    terms: Terms
    events: tuple[Any, ...] = ()
    standing: tuple[tuple[int, Posting], ...] = ()

    @property
    def newest(self) -> int:
        """Day of the newest event."""
        return max(self.terms.first_day, *(int(one.day) for one in self.events), 0)

    @property
    def last(self) -> tuple[int, int, int]:
        """Place of the newest event, in the order of time."""
        return max((order_of(one) for one in self.events), default=(0, 0, 0))


class PayoffQuote(NamedTuple):
    """What pays off a loan on a day: what is owed, the fee for paying early, less what is not allocated."""

    owed: Owed
    prepayment_fee_minor: int
    amount_minor: int


class Loans(ActionFold):
    """All loans of a lender's system.

    zone_ms : offset of the business time zone from UTC, for "in the future"
    """

    ID_RANGE = LoanRefusal.ID_IS_OUT_OF_RANGE
    ID_USED = LoanRefusal.ID_HAS_OTHER_CONTENT

    def __init__(self, zone_ms: int = 0) -> None:
        super().__init__()
        self.zone_ms = zone_ms
        self.loans: dict[int, LoanState] = {}
        self._tips: dict[int, LoanFold] = {}  # Each loan's fold at its newest event: derived, so no part of the state.

    # --- what is asked

    def owed(self, loan: int, day: int) -> Owed:
        """What is owed at a day, of the actions up to then."""
        state = self.loans[loan]
        fold = self._tips[loan].fork() if day >= state.newest else self._run(loan, state, lambda one: one.day <= day)
        fold.advance(day)
        return fold.owed()

    def coming(self, loan: int) -> list[tuple[int, int]]:
        """Due days and principal of the instalments that are not due yet, as planned after the newest action."""
        fold = self._tips[loan]
        days = range(fold.period, fold.terms.periods)
        return [(fold.dates[number + 1], fold.plan[number]) for number in days] if fold.not_due else []

    def payoff_quote(self, loan: int, day: int) -> PayoffQuote:
        """What `PayOff` on a day must bring; `day` is not before the newest action."""
        fold = self._tips[loan].fork()
        fold.advance(day)
        before = fold.owed()
        fold.fall_due()
        after = fold.owed()
        # What was not allocated is set against the bills as they are made.
        amount = after.total_minor - after.unallocated_minor
        set_off = before.unallocated_minor - after.unallocated_minor
        fee = after.total_minor + set_off - before.total_minor
        return PayoffQuote(before, fee, max(0, amount))

    # --- the instrument

    def _kept(self) -> Sequence[str]:
        return ("loans",)

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Originate):
            return self._originate_refusal(action, now_ms)
        if action.loan not in self.loans:
            return Refusal(LoanRefusal.LOAN_NOT_FOUND, "loan", str(action.loan))
        loan = self.loans[action.loan]
        terms, code = loan.terms, LoanRefusal
        allowed = {terms.lender} if isinstance(action, BY_THE_LENDER) else {terms.lender, terms.borrower.owner}
        today = self._today(now_ms)
        amount = getattr(action, "amount_minor", 1)
        late = action.day < loan.newest and not isinstance(action, BACKDATED)
        return first_refusal((
            (action.by not in allowed, code.ACTOR_MAY_NOT, "by", action.by, "the lender or, to pay, the borrower"),
            (not is_amount(amount), code.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, "an amount above 0"),
            (action.day > today, code.DAY_IS_IN_THE_FUTURE, "day", action.day, f"at most {today}"),
            (action.day < terms.first_day, code.DAY_IS_BEFORE_THE_LOAN, "day", action.day, f"from {terms.first_day}"),
            (late, code.DAY_IS_BEFORE_THE_NEWEST, "day", action.day, f"from {loan.newest}"),
        )) or self._refusal_of_balance(action, loan)  # fmt: skip

    def _originate_refusal(self, action: Originate, now_ms: int) -> Refusal | None:
        terms, code, today = action.terms, LoanRefusal, self._today(now_ms)
        wrong = wrong_in(terms)
        found = getattr(terms, wrong) if wrong else ""
        return first_refusal((
            (action.by != terms.lender, code.ACTOR_MAY_NOT, "by", action.by, "the lender"),
            (bool(wrong), code.TERMS_ARE_WRONG, f"terms.{wrong}", found, "as Terms says"),
            (terms.first_day > today, code.DAY_IS_IN_THE_FUTURE, "terms.first_day", terms.first_day, str(today)),
        ))  # fmt: skip

    def _refusal_of_balance(self, action: Event, loan: LoanState) -> Refusal | None:
        code = LoanRefusal
        at = self._before(action, loan)
        ends = [one.day for one in loan.events if isinstance(one, WriteOff)]
        recovers, gone = isinstance(action, Recover), bool(ends) and action.day >= ends[0]
        amount, owed = getattr(action, "amount_minor", 0), at.owed()
        pays = isinstance(action, (Pay, Prepay, PayOff, WriteOff))
        refused = first_refusal((
            (gone and not isinstance(action, (Recover, Refund)), code.LOAN_IS_WRITTEN_OFF, "day", action.day, "before"),
            (recovers and not gone, code.LOAN_IS_NOT_WRITTEN_OFF, "loan", action.loan, "after a write-off"),
            (pays and owed.total_minor == 0, code.NOTHING_IS_OWED, "day", action.day, "a day with something owed"),
        )) or self._refusal_of_amount(action, owed, amount)  # fmt: skip
        if refused:
            return refused
        replayed, _ = self._after(action, loan)
        largest = max((one.amount_minor for one in replayed.postings), default=0)
        asked = len(self._step(action, 0).transfers)
        return first_refusal((
            (bool(replayed.contradiction), code.REPLAY_CONTRADICTS_REFUND, "refund", replayed.contradiction, ""),
            (largest > AMOUNT_MAX, code.REPLAY_IS_TOO_LARGE, "amount_minor", largest, f"at most {AMOUNT_MAX}"),
            (asked > BATCH_MAX, code.REPLAY_IS_TOO_LONG, "transfers", asked, f"at most {BATCH_MAX}"),
        ))  # fmt: skip

    def _refusal_of_amount(self, action: Event, owed: Owed, amount: int) -> Refusal | None:
        code, least = LoanRefusal, 0
        if isinstance(action, PayOff):
            least = self.payoff_quote(action.loan, action.day).amount_minor
        free = owed.unallocated_minor if isinstance(action, Refund) else amount
        left = owed.written_off_minor if isinstance(action, Recover) else amount
        return first_refusal((
            (amount < least, code.PAYOFF_IS_TOO_LOW, "amount_minor", amount, f"at least {least}"),
            (amount > free, code.REFUND_EXCEEDS_UNALLOCATED, "amount_minor", amount, f"at most {free}"),
            (amount > left, code.RECOVERY_EXCEEDS_WRITTEN_OFF, "amount_minor", amount, f"at most {left}"),
        ))  # fmt: skip

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, Originate):
            return _origination(action)
        loan = self.loans[action.loan]
        money = [_money(action, loan.terms)] if isinstance(action, (*RECEIPTS, Refund)) else []
        _, dropped, new = self._replayed(action, loan)
        back = [
            Transfer(part_id(action.id, f"back {place}"), amount_minor=ALL, code=loan.terms.code,
                     flags=TransferFlag.REVERSAL, reference=id, user_data=_stamp(posting.day))
            for place, (id, posting) in enumerate(reversed(dropped))
        ]  # fmt: skip
        anew = [
            Transfer(id, posting.debit, posting.credit, posting.amount_minor, loan.terms.code,
                     user_data=_stamp(posting.day))
            for id, posting in new
        ]  # fmt: skip
        transfers = [*back, *anew]
        return Step([*transfers, *money] if isinstance(action, Refund) else [*money, *transfers])

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Originate):
            self.loans[action.id] = LoanState(action.terms)
            self._tips[action.id] = LoanFold(action.terms, LoanBooks.of(action.id))
            return
        loan = self.loans[action.loan]
        kept, _, new = self._replayed(action, loan)
        self._tips[action.loan], _ = self._after(action, loan)
        self.loans[action.loan] = LoanState(loan.terms, (*loan.events, action), (*kept, *new))

    # --- inside

    def _today(self, now_ms: int) -> int:
        return (now_ms + self.zone_ms) // DAY_MS

    def _run(self, id: int, loan: LoanState, wanted: Callable[[Event], bool]) -> LoanFold:
        return LoanFold(loan.terms, LoanBooks.of(id)).run(one for one in loan.events if wanted(one))

    def _before(self, action: Event, loan: LoanState) -> LoanFold:
        """The fold on the action's day, right before it."""
        place = order_of(action)
        if place > loan.last:
            fold = self._tips[action.loan].fork()
        else:
            fold = self._run(action.loan, loan, lambda one: order_of(one) < place)
        fold.advance(action.day)
        return fold

    def _after(self, action: Event, loan: LoanState) -> tuple[LoanFold, int]:
        """The fold with the action, and how many of the standing postings its own come after."""
        if order_of(action) > loan.last:
            return self._tips[action.loan].fork().run([action]), len(loan.standing)
        return LoanFold(loan.terms, LoanBooks.of(action.loan)).run([*loan.events, action]), 0

    def _replayed(self, action: Event, loan: LoanState) -> tuple[Any, Any, list[tuple[int, Posting]]]:
        """Postings that stay, those that are reversed, and the new ones with their ids."""
        fold, same = self._after(action, loan)
        after = fold.postings
        if same == 0:
            pairs = zip(loan.standing, after, strict=False)
            same = next((place for place, ((_, was), now) in enumerate(pairs) if was != now), len(loan.standing))
            after = after[same:]
        new = [(part_id(action.id, f"posting {place}"), one) for place, one in enumerate(after)]
        return loan.standing[:same], loan.standing[same:], new


def _origination(action: Originate) -> Step:
    terms, books = action.terms, LoanBooks.of(action.id)
    flags = dict.fromkeys(books, AccountFlag.CREDITS_BOUND) | {books.settlement: AccountFlag.DEBITS_BOUND}
    accounts = [Account(id, terms.asset, terms.code, int(flags[id]), owner=terms.borrower.owner) for id in books]
    id, stamp = part_id(action.id, "disbursement"), _stamp(terms.first_day)
    paid = Transfer(
        id, books.principal, terms.borrower.account, terms.principal_minor, terms.code, user_data=stamp
    )  # fmt: skip
    return Step([paid], accounts)


def _money(action: Any, terms: Terms) -> Transfer:
    settlement = LoanBooks.of(action.loan).settlement
    sides = (settlement, terms.borrower.account)
    debit, credit = sides if isinstance(action, Refund) else sides[::-1]
    id = part_id(action.id, "money")
    return Transfer(id, debit, credit, action.amount_minor, terms.code, user_data=_stamp(action.day))


def _stamp(day: int) -> int:
    """The effective date as yyyymmdd, which people can read in a statement."""
    return int(date_of(day).strftime("%Y%m%d"))
