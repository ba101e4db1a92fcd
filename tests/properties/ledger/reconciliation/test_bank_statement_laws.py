"""Whatever a bank books, both formats say the same of it, and one misprint is one fault."""

from __future__ import annotations

import importlib.util
import random
import sys
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.ledger.reconciliation.matching import reconcile
from quanheng.ledger.reconciliation.rules import Rules
from quanheng.ledger.reconciliation.statements import items_of, read_bank_statements

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "reconciliation"))
from bank_files import (
    JUNE_3,
    balance,
    document,
    entry,
    mt940,
    mt940_balance,
    mt940_line,
    pagination,
    statement,
    transaction,
)

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
HAS_MT940 = importlib.util.find_spec("mt940") is not None
CURRENCIES = {"EUR": 2, "JPY": 0, "KWD": 3}


class Booked:
    """A few days of an account, as numbers: (amount, day booked, day of value, reference) of each day."""

    def __init__(self, rng):
        self.rng = rng
        self.currency, self.places = rng.choice(list(CURRENCIES.items()))
        self.opening = rng.randint(-(10**7), 10**9)
        self.days = [
            [
                (
                    rng.choice([-1, 1]) * rng.randint(1, 10**6),
                    JUNE_3 + n,
                    JUNE_3 + n - rng.choice([0, 0, 1, 5]),
                    f"R{n}.{k}",
                )
                for k in range(rng.randint(0, 5))
            ]
            for n in range(rng.randint(1, 3))
        ]

    def balances(self):
        """(opening, closing, day) of each day."""
        at = self.opening
        for n, lines in enumerate(self.days):
            yield at, at + sum(line[0] for line in lines), JUNE_3 + n
            at += sum(line[0] for line in lines)

    def camt(self):
        of, version = {"currency": self.currency, "places": self.places}, self.rng.randint(2, 13)
        written = []
        for number, (lines, (opens, ends, at)) in enumerate(zip(self.days, self.balances(), strict=True)):
            entries = []
            for minor, booked, value, name in lines:
                details = transaction(EndToEndId=name) if self.rng.random() < 0.7 else self.batch(minor, name, version)
                entries.append(entry(minor, details, booked=booked, value=value, version=version, **of))
            inside = balance("OPBD", opens, at, **of), *entries, balance("CLBD", ends, at, **of)
            written.append(statement(*inside, id=f"S{number}", number=str(number), currency=self.currency))
        return document(*written, version=version)

    def batch(self, minor, name, version):
        """Two parts that sum to the entry, if there are two units."""
        first = minor // 2
        parts = [part for part in (first, minor - first) if part]
        of = {"version": version, "places": self.places, "currency": self.currency}
        return "".join(transaction(part, EndToEndId=f"{name}.{n}", **of) for n, part in enumerate(parts))

    def mt940(self):
        written = []
        for number, (lines, (opens, ends, at)) in enumerate(zip(self.days, self.balances(), strict=True)):
            of = {"currency": self.currency, "places": self.places}
            fields = [
                mt940_line(minor, name, "", booked, value, places=self.places) for minor, booked, value, name in lines
            ]
            cut = self.rng.randint(0, len(lines)) if self.rng.random() < 0.3 else None
            begin, end = mt940_balance("60F", opens, at, **of), mt940_balance("62F", ends, at, **of)
            if cut is None:
                written.append(mt940(begin, *fields, end, id=f"S{number}", number=str(number)))
                continue
            middle = opens + sum(line[0] for line in lines[:cut])
            pages = (
                (begin, *fields[:cut], mt940_balance("62M", middle, at, **of)),
                (mt940_balance("60M", middle, at, **of), *fields[cut:], end),
            )
            written += [mt940(*page, id=f"S{number}", number=f"{number}/{n}") for n, page in enumerate(pages, 1)]
        return "\n".join(written)

    def misprinted(self, text):
        """One digit of one amount is another one."""
        mark = text.startswith("<")
        lines = text.splitlines()
        places = [n for n, line in enumerate(lines) if ("<Ntry><Amt" in line if mark else line.startswith(":61:"))]
        if not places:
            return None
        place = self.rng.choice(places)
        head, sep, amount = lines[place].partition(">" if mark else "NTRF")
        if mark:
            inner = amount.partition(">")[2]
            lines[place] = lines[place].replace(f">{inner}", f">1{inner}", 1)
        else:
            at = head.index("C" if "C" in head else "D") + 1
            lines[place] = f"{head[:at]}1{head[at:]}{sep}{amount}"
        return "\n".join(lines)


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statement"
        path.write_text(text, encoding="utf-8")
        return read_bank_statements([path])


def check(booked, text, is_whole):
    found = read(text)
    assert found.problems == (), text
    assert [(one.opening.amount_minor, one.closing.amount_minor) for one in found.statements] == [
        (opens, ends) for opens, ends, _ in booked.balances()
    ]
    for one, lines in zip(found.statements, booked.days, strict=True):
        of_entry = {}
        for line in one.lines:
            name = "/".join(line.id.split("/")[:2])
            was = of_entry.get(name, (0, 0, 0))
            of_entry[name] = (was[0] + line.amount_minor, line.booked_day, line.value_day)
        assert list(of_entry.values()) == [line[:3] for line in lines]
        if is_whole:
            assert [line.own for line in one.lines] == [line[3] for line in lines]
    every = [line.id for one in found.statements for line in one.lines]
    assert len(set(every)) == len(every)
    items = items_of(found.statements)
    again = reconcile(items, items, Rules())
    assert again.breaks == ()
    assert sum(one.amount_minor for one in items) == sum(line[0] for lines in booked.days for line in lines)


def check_misprint(booked, text):
    """It may only be that the statement does not add up, and that is told once."""
    text = booked.misprinted(text)
    if text is not None:
        problems = read(text).problems
        assert len(problems) == 1, (text, problems)
        assert "do not" in problems[0].message or "do not sum" in problems[0].message


@settings(max_examples=150, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_a_statement_says_what_was_booked(seed):
    booked = Booked(random.Random(seed))
    text = booked.camt()
    check(booked, text, is_whole=False)
    check_misprint(booked, text)
    if HAS_MT940:
        text = booked.mt940()
        check(booked, text, is_whole=True)
        check_misprint(booked, text)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_pages_of_any_cut_are_the_statement(seed):
    """Entries over any number of messages, balances on the first and the last."""
    rng = random.Random(seed)
    amounts = [rng.randint(1, 999) for _ in range(rng.randint(1, 8))]
    cuts = sorted(rng.randint(0, len(amounts)) for _ in range(rng.randint(1, 3)))
    groups = [amounts[a:b] for a, b in zip([0, *cuts], [*cuts, len(amounts)], strict=True)]
    texts = []
    for number, group in enumerate(groups, 1):
        inside = [entry(minor) for minor in group]
        inside = [balance("OPBD", 0), *inside] if number == 1 else inside
        inside = [*inside, balance("CLBD", sum(amounts))] if number == len(groups) else inside
        texts.append(document(statement(*inside), header=pagination(number, number == len(groups))))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        found = read_bank_statements(paths)
    assert found.problems == ()
    [one] = found.statements
    assert [line.amount_minor for line in one.lines] == amounts


junk = st.binary(max_size=300) | st.text(max_size=200).map(
    lambda text: f":20:A\n:25:B\n:60F:{text}\n:61:{text}".encode()
)
broken = st.text(alphabet="<>/&ab\"' =", max_size=80).map(lambda text: f"<Document>{text}".encode())


@settings(max_examples=300, deadline=None)
@given(junk | broken)
def test_no_bytes_make_it_fall(raw):
    if not HAS_MT940 and not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statement"
        path.write_bytes(raw)
        found = read_bank_statements([path])
    assert found.problems, "nothing in it is a statement"
    assert all(one.message and one.file for one in found.problems)
