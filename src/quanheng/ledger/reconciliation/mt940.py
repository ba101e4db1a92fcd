"""MT940 of SWIFT, the customer statement message, as banks send it: with envelope or without, several in a file.

What a field says is read by the package mt-940; where fields begin, which belong together, and which line is at fault
is found here, so that one line that cannot be read does not cost the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from quanheng.kernel.errors import InputError, MissingExtra, Problem
from quanheng.kernel.money import Money
from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.reconciliation.statements import BankLine, BankStatement, StatedBalance

_FIELDS = frozenset({
    "13D", "20", "21", "25", "25P", "28", "28C", "34F", "60F", "60M", "61", "62F", "62M", "64", "65", "86", "90C",
    "90D", "NS",
})  # fmt: skip
_TAG = re.compile(r":(\d\d[A-Z]?|NS):")
_ENVELOPE = re.compile(r"\{[1235]:[^{}]*(\{[^{}]*\}[^{}]*)*\}|\{4:|^\x01|\x03$")
_AMOUNT = re.compile(r"\d{1,15}(,\d{0,14})?")
_WORDS = re.compile(r"/(EREF|KREF|PREF|IREF|REMI)/(.*?)(?=/[A-Z]{4}/|$)")
_UNKNOWN = frozenset({"NONREF", "NOTPROVIDED", "KREF+", "EREF+"})


class _Field(NamedTuple):
    tag: str
    text: str
    line: int


def read_mt940(raw: bytes, file: str) -> tuple[list[BankStatement], list[Problem]]:
    """Pages of statements, and every fault. `file` is its name in messages.

    Raises
    ------
    MissingExtra : the package mt-940 is not installed
    """
    messages: list[list[_Field]] = []
    for field in _fields(_decoded(raw)):
        if field.tag == "20":
            messages.append([])
        if messages:
            messages[-1].append(field)
    if not messages:
        what, known = "there is no statement in the file", "MT940, or camt.053 in XML"
        return [], [Problem(file, "", what, "no field :20:", known, "Ask the bank for one of the two.")]
    reader = _Reader(file)
    pages = [page for one in messages if (page := reader.page(one)) is not None]
    return pages, reader.problems


def _library() -> Any:
    try:
        import mt940
        import mt940.processors
    except ImportError:
        raise MissingExtra("mt-940", "payments", "a statement in MT940") from None
    return mt940


def _decoded(raw: bytes) -> str:
    """UTF-8, or else Latin-1, in which every byte is a character."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _fields(text: str) -> Iterator[_Field]:
    """Fields with the line at which each begins. A line that begins with no known tag goes on with the field before."""
    tag, lines, begins = "", list[str](), 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = _ENVELOPE.sub("", raw).rstrip()
        found = _TAG.match(line)
        is_end = line.strip() in ("-", "-}")
        if is_end or (found and found[1] in _FIELDS):
            if tag:
                yield _Field(tag, "\n".join(lines), begins)
            tag, lines, begins = ("", [], 0) if is_end or not found else (found[1], [line[found.end() :]], number)
        elif tag and line:
            lines.append(line)
    if tag:
        yield _Field(tag, "\n".join(lines), begins)


class _Broken(Exception):
    """The fault is told; the field that has it is left out."""


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.problems = file, list[Problem]()
        self.library = _library()
        options = self.library.Options.all()
        self.context = self.library.models.Transactions(options=options)

    def problem(self, line: int, what: str, found: str, known: str) -> None:
        """Note a fault."""
        cure = "Ask the bank for the statement again."
        self.problems.append(Problem(self.file, f"line {line}", what, found, known, cure))

    def page(self, fields: list[_Field]) -> BankStatement | None:
        """One message: a statement, or a page of one."""
        head, before = fields[0], len(self.problems)
        texts = {field.tag: field.text.strip() for field in fields}
        balances = {field.tag: self._balance(field) for field in fields if field.tag[:2] in ("60", "62")}
        account = texts.get("25") or texts.get("25P", "").partition("\n")[0]
        currency = next((one[1] for one in balances.values() if one is not None), "")
        if not account or not currency:
            if len(self.problems) == before:
                what = "the statement does not say of which account and currency it is"
                found = f"{account or 'no account'}, {currency or 'no currency'}"
                self.problem(head.line, what, found, "fields :25: and :60F:")
            return None
        opening = balances.get("60F") or balances.get("60M")
        closing = balances.get("62F") or balances.get("62M")
        for kind, tag, balance in (("opening", ":60F:", opening), ("closing", ":62F:", closing)):
            if balance is None and len(self.problems) == before:
                self.problem(head.line, f"the statement has no {kind} balance", "none", f"a field {tag}")
        lines = tuple(self._lines(fields, currency))
        number, _, page = (texts.get("28C") or texts.get("28", "")).partition("/")
        return BankStatement(
            self.file, f"line {head.line}", account, currency, head.text.strip(), number, page,
            opening and opening[0], closing and closing[0], lines, "60M" in balances, "62M" in balances, 0,
            len(self.problems) == before,
        )  # fmt: skip

    def _balance(self, field: _Field) -> tuple[StatedBalance, str] | None:
        """A balance and its currency."""
        try:
            found = self._parsed(field)
            names = ("status", "year", "month", "day", "currency", "amount")
            if "".join(found[name] for name in names) != field.text.strip():
                raise self._broken(field, "C or D, a date, a currency, an amount")
            day = self._day(field, found)
            amount = self._minor(field, found["amount"], found["currency"].upper())
        except _Broken:
            return None
        sign = -1 if found["status"].upper() == "D" else 1
        return StatedBalance(sign * amount, day, f"line {field.line}"), found["currency"].upper()

    def _lines(self, fields: list[_Field], currency: str) -> Iterator[BankLine]:
        """Entries, each with the information that follows it."""
        entry, place = None, 0
        for field in fields:
            if field.tag == "86" and entry is not None:
                entry = self._informed(entry, field)
                continue
            if field.tag in ("61", "62F", "62M") and entry is not None:
                yield entry
                entry = None
            if field.tag == "61":
                place += 1
                entry = self._entry(field, str(place), currency)
        if entry is not None:
            yield entry

    def _entry(self, field: _Field, id: str, currency: str) -> BankLine | None:
        try:
            found = self._parsed(field)
            if not found["id"]:
                raise self._broken(field, "a date, C or D, an amount with a comma, a type such as NTRF, a reference")
            amount = self._minor(field, found["amount"], currency)
            value = self._day(field, found)
            booked = self._booked(field, found, value)
        except _Broken:
            return None
        mark = found["status"].upper()
        sign = -1 if mark in ("D", "RC") else 1  # A credit that is reversed goes out.
        return BankLine(
            id, f"line {field.line}", sign * amount, booked, value, own=_known(found["customer_reference"]),
            servicer=_known(found["bank_reference"]), text=(found["extra_details"] or "").strip(),
            reversal=mark.startswith("R"),
        )  # fmt: skip

    def _informed(self, entry: BankLine, field: _Field) -> BankLine:
        """The entry with what its field :86: says, structured as in Germany (?20EREF+) or by words (/EREF/)."""
        tag = self.library.tags.TAG_BY_ID[86]
        parsed = tag.parse(self.context, field.text)
        told = self.library.processors.transaction_details_post_processor(self.context, tag, parsed, dict(parsed))
        words = dict(_WORDS.findall(field.text.replace("\n", "")))
        plain = " ".join(field.text.split("\n"))
        return entry._replace(
            end_to_end=_known(told.get("end_to_end_reference")) or _known(words.get("EREF")),
            own=entry.own or _known(told.get("customer_reference")) or _known(words.get("KREF") or words.get("PREF")),
            text=(told.get("purpose") or words.get("REMI") or plain).strip(),
        )

    # --- values

    def _parsed(self, field: _Field) -> dict[str, Any]:
        """What the package finds in a field, as texts."""
        tags = self.library.tags.TAG_BY_ID
        tag = tags[field.tag] if field.tag in tags else tags[int(field.tag[:2])]
        try:
            found: dict[str, Any] = tag.parse(self.context, field.text.strip())
        except RuntimeError:
            raise self._broken(field, "the form of MT940") from None
        return found

    def _day(self, field: _Field, found: dict[str, Any]) -> int:
        try:
            return day_of(self.library.models.Date(**{name: found[name] for name in ("year", "month", "day")}))
        except ValueError:
            raise self._broken(field, "a date as 240603") from None

    def _booked(self, field: _Field, found: dict[str, Any], value: int) -> int:
        """The day of the entry, in the year in which it is nearest to the value date; the value date if it has none."""
        if not (found["entry_month"] or "").strip():
            return value
        days = []
        for year in (int(found["year"]) - 1, int(found["year"]), int(found["year"]) + 1):
            try:
                date = self.library.models.Date(
                    year=2000 + year, month=found["entry_month"], day=found["entry_day"]
                )  # fmt: skip
                days.append(day_of(date))
            except ValueError:
                continue  # The 29th of February, in another year.
        if not days:
            raise self._broken(field, "a date of entry as 0603")
        return min(days, key=lambda day: abs(day - value))

    def _minor(self, field: _Field, text: str, currency: str) -> int:
        try:
            if _AMOUNT.fullmatch(text):
                return Money.parse(f"{text.replace(',', '.').rstrip('.')} {currency}").minor
        except InputError:
            pass
        raise self._broken(field, f"an amount as 12,5, exact in {currency}")

    def _broken(self, field: _Field, known: str) -> _Broken:
        self.problem(field.line, f"field :{field.tag}: cannot be read", repr(field.text[:80]), known)
        return _Broken()


def _known(reference: str | None) -> str:
    text = (reference or "").strip()
    return "" if text.upper() in _UNKNOWN else text
