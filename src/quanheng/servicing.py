"""What a decision asks of loans: acts of accounts.toml with the loan, amount and terms of one event.

Pure: it reads what is known of the event and asks; what becomes of a loan is the book's to say (`transferring`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quanheng.amounts import Row, minor_units
from quanheng.events.schema import NO_KEY
from quanheng.expressions import Columns, Expression, Getter
from quanheng.kernel.time import DAY_MS
from quanheng.ledger.instruments.loan_book.events import HOLIDAY_ACCRUES, BookEvent, LoanAsk
from quanheng.ledger.instruments.loan_book.kernel.words import PERIODS_MAX
from quanheng.ledger.instruments.loan_book.measuring import loan_number
from quanheng.loading.declared_accounts import ServicingDeclaration, Unasked

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

ALL_OF_IT = 0
"""Amount of a PAY_OFF that leaves it out: whatever pays the loan off."""
BUSINESS_DAY = -1
"""Day of an act that says none."""
RATE_DECIMALS = 6
KINDS = {
    "open": BookEvent.OPENED, "pay": BookEvent.PAY, "prepay": BookEvent.PREPAY, "charge": BookEvent.CHARGE,
    "pay_off": BookEvent.PAY_OFF, "write_off": BookEvent.WRITE_OFF, "recover": BookEvent.RECOVER,
    "refund": BookEvent.REFUND, "holiday": BookEvent.HOLIDAY, "stay": BookEvent.STAY, "re_age": BookEvent.RE_AGE,
    "re_amortise": BookEvent.RE_AMORTISE,
}  # fmt: skip


class Servicing:
    """One `[servicing.NAME]`, compiled for one event type.

    Parameters
    ----------
    names, getter : what is known of the event, as for `Postings`
    """

    def __init__(
        self, pack: Declared, declared: ServicingDeclaration, names: Sequence[str], getter: Callable[[str], Getter]
    ) -> None:
        def compiled(key: str) -> Expression | None:
            text = getattr(declared, key)
            return Expression(text, names, getter, f"servicing {declared.name}.{key}") if text else None

        loans = {one.name: one for one in pack.accounts.loans}
        exponents = {one.name: one.exponent for one in pack.accounts.assets}
        self.name = f"{pack.name}.{declared.name}"
        self.product, self._key = f"{pack.name}.{declared.loan.product}", declared.loan.key
        self._kind, self._declared = int(KINDS[declared.act]), declared
        self._exponent = 0 if declared.minor else exponents[loans[declared.loan.product].asset]
        self._amount, self._where = compiled("amount"), compiled("where")
        self._rate, self._periods = compiled("rate"), compiled("periods")
        self._until, self._value = compiled("until_ms"), compiled("value_ms")

    def loan(self, row: Row) -> int | None:
        """The loan that an event names; None where the key is null."""
        key = row.keys[self._key]
        return None if key == NO_KEY else loan_number(self.product, key)

    def ask(self, columns: Columns, at: int, row: Row) -> LoanAsk | None:
        """What is asked for the event in the place `at` of what is known; None: its condition does not hold."""
        if self._where is not None and columns.value(self._where, at) is not True:
            return None
        values, unasked = self._values(columns, at)
        loan = self.loan(row)
        if loan is None:
            unasked = Unasked.KEY_IS_NULL
        amount, rate, periods, until, value = values
        opens = self._kind == BookEvent.OPENED
        return LoanAsk(
            self.name, self.product, loan or 0, self._kind, BUSINESS_DAY if value is None else value // DAY_MS, amount,
            0 if opens else self._extra(periods, until // DAY_MS), rate, periods if opens else 0, str(unasked),
        )  # fmt: skip

    def _values(self, columns: Columns, at: int) -> tuple[tuple[int, int, int, int, int | None], str]:
        """Amount, rate, periods, until when, and as of when (None = of the business day); why it cannot be asked."""
        value = None if self._value is None else columns.value(self._value, at)
        asked = (
            (self._amount, self._exponent, self._declared.rounding), (self._rate, RATE_DECIMALS, "exact"),
            (self._periods, 0, "exact"), (self._until, 0, "down"),
        )  # fmt: skip
        found = [
            0 if one is None else minor_units(columns.value(one, at), decimals, rounding)
            for one, decimals, rounding in asked
        ]
        of_value = None if value is None else minor_units(value, 0, "down")
        unasked = str(found[0]) if isinstance(found[0], Unasked) else ""
        for one in (*found[1:], of_value):
            if isinstance(one, Unasked) and not unasked:
                unasked = str(_OF_TERMS[one])
        periods = found[2]
        if self._kind == BookEvent.HOLIDAY and isinstance(periods, int) and not 0 <= periods <= PERIODS_MAX:
            unasked = unasked or str(Unasked.TERM_DOES_NOT_FIT)
        amount, rate, periods, until = (0 if isinstance(one, Unasked) else one for one in found)
        return (amount, rate, periods, until, None if isinstance(of_value, Unasked) else of_value), unasked

    def _extra(self, periods: int, until: int) -> int:
        """What the book is told besides (`loan_book.events`)."""
        declared = self._declared
        return {
            "prepay": int(declared.smaller), "stay": until, "re_age": periods, "re_amortise": periods,
            "holiday": periods + HOLIDAY_ACCRUES * declared.accrues,
        }.get(declared.act, 0)  # fmt: skip


_OF_TERMS = {
    Unasked.AMOUNT_IS_NULL: Unasked.TERM_IS_NULL,
    Unasked.AMOUNT_DOES_NOT_FIT: Unasked.TERM_DOES_NOT_FIT,
}
