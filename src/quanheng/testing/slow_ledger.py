"""The law of the ledger in the fewest lines: what the fast core must do, transfer by transfer, with plain integers.

Business days are given as numbers that never decrease: whoever calls knows the calendar and the cut-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from quanheng.ledger.entries import (
    ALL,
    AMOUNT_MAX,
    ID_MAX,
    NO_LIMIT,
    TIME_MAX_MS,
    TOTAL_MAX,
    Account,
    AccountFlag,
    Amendment,
    Answer,
    Opened,
    Transfer,
    TransferFlag,
    as_failed,
    chained,
    refused_none,
    unlinked,
)
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.testing.slow_ledger_accounts import Book, SlowAccounts, chains, put_back

T, F, G = TransferOutcome, TransferFlag, AccountFlag
_SETTLES = F.POST | F.VOID
_REFERS = _SETTLES | F.REVERSAL
_BALANCING = F.BALANCING_DEBIT | F.BALANCING_CREDIT
HELD, POSTED, VOIDED, EXPIRED = "held", "posted", "voided", "expired"


@dataclass(slots=True)
class Line:
    """A transfer that was applied.

    row : its place among all lines and expiries
    hold : where a hold stands
    reversed : how much of the transfer was taken back
    """

    asked: Transfer
    debit: int
    credit: int
    amount: int
    code: int
    applied_ms: int
    value_ms: int
    day: int
    row: int
    expires_ms: int = 0
    hold: str = ""
    reversed: int = 0


class Expiry(NamedTuple):
    """A hold whose time was out at `expires_ms`, which was seen at `seen_ms`. `row` as for lines."""

    id: int
    expires_ms: int
    seen_ms: int
    row: int


class Refused(Exception):
    """Stops judging at the first outcome that applies."""


@dataclass(slots=True)
class SlowLedger:
    """Accounts and transfers. Nothing but the first three methods changes it."""

    books: dict[int, Book] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    burnt: set[int] = field(default_factory=set)
    expiries: list[Expiry] = field(default_factory=list)
    due: list[tuple[int, int, int]] = field(default_factory=list)
    now_ms: int = 0
    day: int = 0

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order, chains whole or not at all."""
        self._enter(now_ms, day)
        return SlowAccounts(self.books, now_ms, day).open(batch)

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change rules and limits of accounts, in order, chains whole or not at all."""
        self._enter(now_ms, day)
        return SlowAccounts(self.books, now_ms, day).amend(batch)

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order, chains whole or not at all."""
        self._enter(now_ms, day)
        answers: list[Answer] = []
        for chain, closed in chains(batch, [bool(one.flags & F.LINKED) for one in batch]):
            failed = [Answer(T.CHAIN_FAILED)] * (len(chain) - 1)
            given = self._chain(chain) if closed else [*failed, Answer(T.CHAIN_IS_OPEN)]
            for one in chain if closed else ():
                if one.flags & F.BURN and one.id not in self.lines and _formed(one) == T.APPLIED:
                    self.burnt.add(one.id)
            answers += given
        return answers

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers as one chain, all or nothing."""
        known = set(self.books)
        outcomes, answers = self.open_accounts(unlinked(accounts), now_ms, day), []
        if refused_none(outcomes):
            answers = self.transfer(chained(transfers), now_ms, day)
            if refused_none([one.outcome for one in answers]):
                return Opened(outcomes, answers)
        for id in set(self.books) - known:
            del self.books[id]
        return Opened(as_failed(outcomes), answers)

    def _enter(self, now_ms: int, day: int) -> None:
        assert now_ms >= self.now_ms, "time never decreases"
        assert day >= self.day, "business days never decrease"
        self.now_ms, self.day = now_ms, day
        while self.due and self.due[0][0] <= now_ms:
            expires_ms, row, id = heappop(self.due)
            line = self.lines.get(id)
            if line is not None and line.hold == HELD and (line.expires_ms, line.row) == (expires_ms, row):
                self._let_go(line, EXPIRED)
                self.expiries.append(Expiry(id, expires_ms, now_ms, self._row()))

    def _chain(self, chain: Sequence[Transfer]) -> list[Answer]:
        if all(_formed(one) == T.APPLIED and self._known(one) == T.EXISTS for one in chain):
            return [self._answer(one, T.EXISTS) for one in chain]
        referred = [self.lines[one.reference] for one in chain if one.reference in self.lines]
        names = {id for one in chain for id in (one.debit, one.credit)}
        names |= {id for line in referred for id in (line.debit, line.credit)}
        books = {id: copy(self.books.get(id)) for id in names}
        lines = {id: copy(self.lines.get(id)) for one in chain for id in (one.id, one.reference)}
        answers: list[Answer] = []
        for one in chain:
            outcome = self._transfer(one)
            if outcome != T.APPLIED:
                put_back(self.books, books)
                put_back(self.lines, lines)
                failed = [Answer(T.CHAIN_FAILED)] * len(chain)
                failed[len(answers)] = Answer(T.EXISTS_WITHOUT_ITS_CHAIN if outcome == T.EXISTS else outcome)
                return failed
            answers.append(self._answer(one, outcome))
        return answers

    def _answer(self, one: Transfer, outcome: TransferOutcome) -> Answer:
        line = self.lines[one.id]
        debit, credit = self.books[line.debit].balance(), self.books[line.credit].balance()
        return Answer(outcome, line.amount, line.applied_ms, debit, credit)

    # --- transfers: one judgement after another, in the order of the outcomes

    def _transfer(self, one: Transfer) -> TransferOutcome:
        try:
            _check((_formed(one) != T.APPLIED, _formed(one)))
            known = self._known(one)
            _check((known != T.APPLIED, known))
            self._judge_fields(one)
            line = self._resolve(one)
            self._judge_accounts(one, line)
            self._judge_amount(one, line)
        except Refused as refused:
            return refused.args[0]  # type: ignore[no-any-return]
        self._apply(one, line)
        return T.APPLIED

    def _known(self, one: Transfer) -> TransferOutcome:
        line = self.lines.get(one.id)
        if line is None:
            return T.ID_IS_BURNT if one.id in self.burnt else T.APPLIED
        was, refers = line.asked, one.flags & _REFERS
        differences = (
            (one.flags != was.flags, T.EXISTS_WITH_OTHER_FLAGS),
            (one.reference != was.reference, T.EXISTS_WITH_OTHER_REFERENCE),
            (one.debit != line.debit and not (refers and one.debit == 0), T.EXISTS_WITH_OTHER_DEBIT_ACCOUNT),
            (one.credit != line.credit and not (refers and one.credit == 0), T.EXISTS_WITH_OTHER_CREDIT_ACCOUNT),
            (one.amount_minor != was.amount_minor, T.EXISTS_WITH_OTHER_AMOUNT),
            (one.timeout_ms != was.timeout_ms, T.EXISTS_WITH_OTHER_TIMEOUT),
            (one.code != line.code and not (refers and one.code == 0), T.EXISTS_WITH_OTHER_CODE),
            (one.value_ms != was.value_ms, T.EXISTS_WITH_OTHER_VALUE_TIME),
            (one.user_data != was.user_data, T.EXISTS_WITH_OTHER_USER_DATA),
        )
        return next((outcome for differs, outcome in differences if differs), T.EXISTS)

    def _judge_fields(self, one: Transfer) -> None:
        measured, refers, ends = one.flags & (_REFERS | _BALANCING), one.flags & _REFERS, bool(one.flags & F.UNTIL)
        _check(
            (one.amount_minor < 0, T.AMOUNT_MUST_NOT_BE_NEGATIVE),
            (one.amount_minor == 0, T.AMOUNT_MUST_NOT_BE_ZERO),
            (one.amount_minor == ALL and not measured, T.AMOUNT_MUST_BE_STATED),
            ((one.timeout_ms != 0 or ends) and not one.flags & F.HOLD, T.TIMEOUT_IS_FOR_HOLDS),
            (one.timeout_ms < 0, T.TIMEOUT_MUST_NOT_BE_NEGATIVE),
            (not ends and self.now_ms + one.timeout_ms > TIME_MAX_MS, T.TIMEOUT_OVERFLOWS),
            (one.value_ms != 0 and not one.flags & F.IMPORTED, T.VALUE_TIME_IS_FOR_IMPORTS),
            (one.value_ms > self.now_ms, T.VALUE_TIME_MUST_NOT_BE_IN_THE_FUTURE),
            (one.reference != 0 and not refers, T.REFERENCE_MUST_BE_ZERO),
            (one.reference == 0 and bool(refers), T.REFERENCE_MUST_NOT_BE_ZERO),
            (ends and one.timeout_ms <= self.now_ms, T.TIMEOUT_MUST_BE_IN_THE_FUTURE),
        )

    def _resolve(self, one: Transfer) -> Line:
        """The line as it would be applied: what the request leaves open is taken from what it refers to."""
        value_ms = one.value_ms if one.flags & F.IMPORTED else self.now_ms
        debit, credit, amount, code = one.debit, one.credit, one.amount_minor, one.code
        if one.flags & _SETTLES:
            hold = self.lines.get(one.reference)
            if hold is None:
                raise Refused(T.HOLD_NOT_FOUND)
            _check(
                (not hold.hold, T.HOLD_IS_NO_HOLD),
                (debit not in (0, hold.debit), T.HOLD_HAS_OTHER_DEBIT_ACCOUNT),
                (credit not in (0, hold.credit), T.HOLD_HAS_OTHER_CREDIT_ACCOUNT),
                (code not in (0, hold.code), T.HOLD_HAS_OTHER_CODE),
                (hold.hold == POSTED, T.HOLD_WAS_POSTED),
                (hold.hold == VOIDED, T.HOLD_WAS_VOIDED),
                (hold.hold == EXPIRED, T.HOLD_HAS_EXPIRED),
                (bool(one.flags & F.POST) and hold.amount < amount != ALL, T.HOLD_IS_SMALLER),
                (bool(one.flags & F.VOID) and amount not in (ALL, hold.amount), T.HOLD_HAS_OTHER_AMOUNT),
            )
            debit, credit, code = hold.debit, hold.credit, hold.code
            amount = hold.amount if amount == ALL else amount
        elif one.flags & F.REVERSAL:
            line = self.lines.get(one.reference)
            if line is None:
                raise Refused(T.REVERSED_NOT_FOUND)
            left = line.amount - line.reversed
            _check(
                (bool(line.asked.flags & (F.HOLD | F.VOID)), T.REVERSED_MOVED_NOTHING),
                (debit not in (0, line.credit), T.REVERSED_HAS_OTHER_DEBIT_ACCOUNT),
                (credit not in (0, line.debit), T.REVERSED_HAS_OTHER_CREDIT_ACCOUNT),
                (left == 0 or left < amount != ALL, T.REVERSED_IS_SMALLER),
            )
            debit, credit, code = line.credit, line.debit, code or line.code
            amount = left if amount == ALL else amount
        return Line(one, debit, credit, amount, code, self.now_ms, value_ms, self.day, self._row())

    def _judge_accounts(self, one: Transfer, line: Line) -> None:
        _check((line.code == 0, T.CODE_MUST_NOT_BE_ZERO))
        debit, credit = self.books.get(line.debit), self.books.get(line.credit)
        if debit is None:
            raise Refused(T.DEBIT_ACCOUNT_NOT_FOUND)
        if credit is None:
            raise Refused(T.CREDIT_ACCOUNT_NOT_FOUND)
        fresh = not one.flags & _SETTLES
        _check(
            (line.debit == line.credit, T.ACCOUNTS_MUST_DIFFER),
            (debit.account.asset != credit.account.asset, T.ACCOUNTS_HAVE_OTHER_ASSETS),
            (line.value_ms < max(debit.opened_ms, credit.opened_ms), T.VALUE_TIME_IS_BEFORE_ACCOUNT),
            (debit.has(G.CLOSED), T.DEBIT_ACCOUNT_IS_CLOSED),
            (credit.has(G.CLOSED), T.CREDIT_ACCOUNT_IS_CLOSED),
            (fresh and debit.has(G.DEBITS_FROZEN), T.DEBIT_ACCOUNT_IS_FROZEN),
            (fresh and credit.has(G.CREDITS_FROZEN), T.CREDIT_ACCOUNT_IS_FROZEN),
        )

    def _judge_amount(self, one: Transfer, line: Line) -> None:
        debit, credit = self.books[line.debit], self.books[line.credit]
        if one.flags & F.BALANCING_DEBIT:
            line.amount = min(line.amount, debit.credits_posted - debit.debits_posted - debit.debits_held)
        if one.flags & F.BALANCING_CREDIT:
            line.amount = min(line.amount, credit.debits_posted - credit.credits_posted - credit.credits_held)
        if one.flags & _BALANCING:
            line.amount = min(line.amount, AMOUNT_MAX)
        amount, fresh = line.amount, not one.flags & _SETTLES
        day_debits, day_credits = debit.of_day(self.day)
        debits = debit.debits_posted + debit.debits_held + amount
        credits = credit.credits_posted + credit.credits_held + amount
        _check(
            (amount <= 0, T.NOTHING_IS_THERE),
            (fresh and debits > TOTAL_MAX, T.DEBITS_OVERFLOW),
            (fresh and credits > TOTAL_MAX, T.CREDITS_OVERFLOW),
        )
        if not fresh:
            return
        payer, payee = debit.account, credit.account
        limited = not one.flags & F.REVERSAL
        credit_after = credits - credit.debits_posted
        _check(
            (limited and amount > payer.payment_max_minor != NO_LIMIT, T.PAYMENT_LIMIT_EXCEEDED),
            (limited and day_debits + amount > payer.day_max_minor != NO_LIMIT, T.DAY_LIMIT_EXCEEDED),
            (day_debits + amount - day_credits > payer.net_debit_cap_minor != NO_LIMIT, T.NET_DEBIT_CAP_EXCEEDED),
            (debit.has(G.DEBITS_BOUND) and debits > debit.credits_posted + payer.overdraft_minor, T.BALANCE_IS_TOO_LOW),
            (credit.has(G.CREDITS_BOUND) and credits > credit.debits_posted, T.CREDITS_WOULD_EXCEED_DEBITS),
            (credit_after > payee.balance_max_minor != NO_LIMIT, T.BALANCE_LIMIT_EXCEEDED),
        )

    def _row(self) -> int:
        return len(self.lines) + len(self.expiries)

    # --- what is applied

    def _apply(self, one: Transfer, line: Line) -> None:
        debit, credit, amount = self.books[line.debit], self.books[line.credit], line.amount
        for book in (debit, credit):
            (book.day_debits, book.day_credits), book.day = book.of_day(self.day), self.day
        if one.flags & F.HOLD:
            debit.debits_held += amount
            credit.credits_held += amount
            line.hold = HELD
            if one.timeout_ms:
                line.expires_ms = one.timeout_ms if one.flags & F.UNTIL else self.now_ms + one.timeout_ms
                heappush(self.due, (line.expires_ms, line.row, one.id))
        if one.flags & _SETTLES:
            hold = self.lines[one.reference]
            self._let_go(hold, POSTED if one.flags & F.POST else VOIDED, amount if one.flags & F.POST else 0)
        if not one.flags & (F.HOLD | F.VOID):
            debit.debits_posted += amount
            credit.credits_posted += amount
            credit.day_credits += amount
        if not one.flags & _SETTLES:
            debit.day_debits += amount
        if one.flags & F.REVERSAL:
            self.lines[one.reference].reversed += amount
        self.lines[one.id] = line

    def _let_go(self, hold: Line, how: str, used: int = 0) -> None:
        """End a hold. What was not used is given back to the day it was taken from, if that is today."""
        debit, credit = self.books[hold.debit], self.books[hold.credit]
        debit.debits_held -= hold.amount
        credit.credits_held -= hold.amount
        hold.hold = how
        if hold.day == self.day == debit.day:
            debit.day_debits -= hold.amount - used


def _check(*judgements: tuple[bool, TransferOutcome]) -> None:
    for applies, outcome in judgements:
        if applies:
            raise Refused(outcome)


def _formed(one: Transfer) -> TransferOutcome:
    """What can be seen of the request alone."""
    kinds = [flag for flag in (F.HOLD, F.POST, F.VOID, F.REVERSAL) if one.flags & flag]
    backdated_hold = one.flags & F.IMPORTED and one.flags & (F.HOLD | _SETTLES)
    if one.id == 0:
        return T.ID_MUST_NOT_BE_ZERO
    if one.id == ID_MAX:
        return T.ID_MUST_NOT_BE_MAX
    if one.flags & ~sum(F):
        return T.FLAGS_ARE_NOT_ALLOWED
    if len(kinds) > 1 or (one.flags & _BALANCING and one.flags & _REFERS) or backdated_hold:
        return T.FLAGS_EXCLUDE_EACH_OTHER
    return T.APPLIED
