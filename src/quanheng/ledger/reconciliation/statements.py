"""Statements as banks send them: what a file says, joined over pages, checked, and as items of reconciliation.

A fault is told once, with its place, and the rest of the file goes on. Whether lines and balances add up is asked of
statements whose lines could all be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from quanheng.kernel.errors import InputError, Problem
from quanheng.ledger.reconciliation.rules import Item

REFERENCES = "end_to_end", "own", "structured"
"""Where an item's reference is looked for: what both sides can know. The bank's own is known to the bank alone."""


class StatedBalance(NamedTuple):
    """A balance that the bank states; `where` is its place in the file."""

    amount_minor: int
    day: int
    where: str


class BankLine(NamedTuple):
    """An entry of a statement, or a part of an entry that is a batch.

    id : distinct in what is read together, such as `2/5` (entry 5 of statement 2), `2/5/1` (its first part)
    where : its place in the file
    amount_minor : above zero if money came in, below if it went out, whichever way the original went if it is reversed
    booked_day, value_day : days since 1970-01-01
    end_to_end, own, structured, servicer : references: of the payer to the payee, of the account's owner, of the
        payee's invoice, of the bank; "" = none
    batch : reference of the batch that it is a part of; "" = none
    reversal : whether it takes another one back
    """

    id: str
    where: str
    amount_minor: int
    booked_day: int
    value_day: int
    end_to_end: str = ""
    own: str = ""
    structured: str = ""
    servicer: str = ""
    batch: str = ""
    text: str = ""
    reversal: bool = False


class BankStatement(NamedTuple):
    """A statement, or a page of one.

    account : IBAN, or what the bank calls it
    number, page : of the statement and of the page, as the bank counts; "" = it does not
    opening, closing : None on a page that has none
    continues, continued : whether a page stands before it, or after it
    pending : entries that are not booked; they are no lines
    is_whole : whether all of it could be read
    """

    file: str
    where: str
    account: str
    currency: str
    id: str
    number: str
    page: str
    opening: StatedBalance | None
    closing: StatedBalance | None
    lines: tuple[BankLine, ...] = ()
    continues: bool = False
    continued: bool = False
    pending: int = 0
    is_whole: bool = True

    @property
    def of(self) -> tuple[str, str]:
        """The account, and its currency."""
        return self.account, self.currency


class BankStatements(NamedTuple):
    """What was read, and every fault."""

    statements: tuple[BankStatement, ...]
    problems: tuple[Problem, ...]


def read_bank_statements(paths: Sequence[Path]) -> BankStatements:
    """Statements of files in MT940 and camt.053, in order; pages and statements may go on from file to file.

    Raises
    ------
    InputError : a file is not there
    MissingExtra : a file is MT940, and the package that reads its fields is not installed
    """
    pages: list[BankStatement] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise InputError(
                "the statement cannot be opened", where=str(path), found=error.strerror or "", cure="Correct the path."
            ) from error
        if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            from quanheng.ledger.reconciliation.camt053 import read_camt053

            found, more = read_camt053(raw, str(path))
        else:
            from quanheng.ledger.reconciliation.mt940 import read_mt940

            found, more = read_mt940(raw, str(path))
        pages += found
        problems += more
    statements = _joined(pages, problems)
    _check(statements, problems)
    return BankStatements(tuple(_numbered(statements)), tuple(problems))


def items_of(statements: Iterable[BankStatement], references: Sequence[str] = REFERENCES) -> list[Item]:
    """Items of reconciliation, by booking day. A reversal reverses the line before it that has its amount the other way
    round and, of those, its reference; without one it is an item like others.

    references : names of fields of BankLine; the first that a line has is the item's reference
    """
    items: list[Item] = []
    open_lines: dict[tuple[str, int], list[str]] = {}
    for line in (line for one in statements for line in one.lines):
        reference = next((found for name in references if (found := getattr(line, name))), "")
        back = open_lines.get((reference, -line.amount_minor), []) if line.reversal and reference else []
        reverses = back.pop() if back else ""
        if not reverses:
            open_lines.setdefault((reference, line.amount_minor), []).append(line.id)
        items.append(Item(line.id, line.amount_minor, line.booked_day, reference, line.batch, reverses))
    return items


# --- pages


def _joined(pages: Sequence[BankStatement], problems: list[Problem]) -> list[BankStatement]:
    """Pages of one statement as one; a statement that stands twice, once."""
    found: list[BankStatement] = []
    seen: dict[tuple[object, ...], str] = {}
    for page in pages:
        balances = [one and one[:2] for one in (page.opening, page.closing)]
        identity = (*page.of, page.id, page.number, page.page, page.continues, page.continued, *balances)
        if identity in seen:
            cure = f"It is at {seen[identity]} too, and counted once."
            problems.append(_problem(page, "the statement stands twice", page.id, "", cure))
            continue
        seen[identity] = f"{page.file}: {page.where}"
        before = next((one for one in reversed(found) if one.of == page.of), None)
        if before is not None and before.continued and page.continues:
            found[found.index(before)] = _appended(before, page, problems)
        elif page.continues:
            problems.append(_problem(page, "the page before this one is missing", page.number or page.id))
            found.append(page._replace(is_whole=page.is_whole and page.opening is not None))
        else:
            found.append(page)
    for one in found:
        if one.continued:
            problems.append(_problem(one, "the page after this one is missing", one.number or one.id))
    return found


def _appended(before: BankStatement, page: BankStatement, problems: list[Problem]) -> BankStatement:
    ends, begins, whole = before.closing, page.opening, before.is_whole and page.is_whole
    if ends and begins and ends.amount_minor != begins.amount_minor:
        problems.append(_gap("the page does not begin where the one before ended", page, begins, ends))
        whole = False
    entries = int(before.lines[-1].id.partition("/")[0]) if before.lines else 0
    lines = tuple(line._replace(id=_moved(line.id, entries)) for line in page.lines)
    return before._replace(
        closing=page.closing, lines=before.lines + lines, continued=page.continued, is_whole=whole,
        pending=before.pending + page.pending,
    )  # fmt: skip


def _moved(id: str, entries: int) -> str:
    entry, slash, part = id.partition("/")
    return f"{int(entry) + entries}{slash}{part}"


# --- whether it adds up


def _check(statements: Sequence[BankStatement], problems: list[Problem]) -> None:
    """Whether lines and balances add up, and statements of one account go on from one another.

    Some banks state balances by value date: lines that are valued later are then not in them yet.
    """
    last: dict[tuple[str, str], tuple[StatedBalance, set[int]]] = {}
    for one in statements:
        ends = {one.closing.amount_minor} if one.closing else set()
        if one.is_whole and one.opening and one.closing:
            stated = one.closing.amount_minor - one.opening.amount_minor
            booked = sum(line.amount_minor for line in one.lines)
            later = sum(line.amount_minor for line in one.lines if line.value_day > one.closing.day)
            if stated == booked - later:
                ends.add(one.closing.amount_minor + later)
            elif stated != booked:
                what = f"the lines of statement {one.number or one.id} and its balances do not add up"
                found, known = f"{booked} minor units in {len(one.lines)} lines", f"{stated}, closing less opening"
                cure = "Ask the bank for the statement again."
                problems.append(Problem(one.file, one.closing.where, what, found, known, cure))
        before, allowed = last.get(one.of, (None, set()))
        if before and one.opening and one.opening.amount_minor not in allowed:
            what = "the statement does not begin where the one before ended"
            problems.append(_gap(what, one, one.opening, before))
        if one.closing:
            last[one.of] = one.closing, ends


def _gap(what: str, page: BankStatement, begins: StatedBalance, ends: StatedBalance) -> Problem:
    known = f"{ends.amount_minor}, of {ends.where}"
    cure = "One is missing, or the order is wrong."
    return Problem(page.file, begins.where, what, str(begins.amount_minor), known, cure)


def _problem(page: BankStatement, what: str, found: str, known: str = "", cure: str = "Add the page.") -> Problem:
    return Problem(page.file, page.where, what, found, known, cure)


def _numbered(statements: Sequence[BankStatement]) -> Iterator[BankStatement]:
    """Ids of lines are distinct over all that was read: the statement's place stands before the line's own."""
    for place, one in enumerate(statements, 1):
        yield one._replace(lines=tuple(line._replace(id=f"{place}/{line.id}") for line in one.lines))
