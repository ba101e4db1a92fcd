"""The reference page is a pack: its blocks are assembled and checked, and it speaks of every key that is read."""

from __future__ import annotations

import re
from pathlib import Path

from quanheng.ledger.instruments.loan_book.measuring import AMOUNTS, COUNTS
from quanheng.ledger.instruments.loan_book.outcomes import BookOutcome
from quanheng.loading import check_pack, read_pack, read_packs
from quanheng.loading.checks.loans import ROLES, SETTINGS
from quanheng.loading.declared_calls import REASONS, RESULTS, SENT_RESULTS
from quanheng.loading.table import Table

DOCS = Path(__file__).resolve().parents[3] / "docs"
ACCOUNTS = (DOCS / "reference" / "accounts.md").read_text(encoding="utf-8")
PROCESSES = (DOCS / "reference" / "processes.md").read_text(encoding="utf-8")
PAGE = (DOCS / "reference" / "pack.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "write-a-pack.md").read_text(encoding="utf-8")
OWN_PAGES = ("accounts.toml", "calls.toml", "processes.toml")
"""Files whose keys have a page of their own."""
BLOCK = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


def page_pack():
    files = {name: text.encode() for name, text in BLOCK.findall(PAGE)}
    return read_pack({**files, "models/risk.trees": b"test"}, "shop")


def test_the_page_is_a_pack_without_a_problem():
    declared, problems = check_pack(page_pack(), read_packs())
    assert problems == ()
    assert declared.traffic is not None
    assert len(declared.cases) == len(declared.models) == len(declared.mappings) == 1


def test_the_page_speaks_of_every_key_that_is_read_and_shows_it(monkeypatch):
    asked: set[str] = set()
    done = Table.done

    def noting(self):
        if self.file not in OWN_PAGES:
            asked.update(self._asked)
        return done(self)

    monkeypatch.setattr(Table, "done", noting)
    packs = read_packs()
    for files in (page_pack(), *packs.values()):
        check_pack(files, packs)
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", PAGE)))))
    tables = {"pack", "purpose", "flow", "entity", "event", "fields", "fold", "formula", "parameter", "reason", "model"}
    tables |= {"default", "case", "protocol", "report", "payers", "places", "channel", "attack", "faults", "en", "zh"}
    unspoken = asked - words - tables - {"DE", "FR", "NL", "PL"}
    assert not unspoken, f"docs/reference/pack.md does not speak of: {sorted(unspoken)}"


def accounts_pack():
    """The wallet with what the page shows: its accounts.toml, its flows and its case."""
    files = dict(read_pack(Path(__file__).parents[2] / "packs" / "wallet").files)
    shown: dict[str, str] = {}
    for name, text in BLOCK.findall(ACCOUNTS):
        shown[name] = shown.get(name, "") + text + "\n"
    head = files["pack.toml"].decode().partition("[[flow]]")[0]
    shown["pack.toml"] = head + shown["pack.toml"]
    return read_pack({**files, **{name: text.encode() for name, text in shown.items()}}, "wallet")


def test_the_page_of_accounts_is_a_pack_without_a_problem():
    declared, problems = check_pack(accounts_pack(), read_packs())
    assert problems == declared.warnings == ()
    assert [len(part) for part in (declared.accounts.assets, declared.accounts.accounts)] == [2, 6]
    assert len(declared.accounts.postings) == 6


def test_the_page_of_accounts_speaks_of_every_key_that_is_read_and_shows_it(monkeypatch):
    asked: dict[str, str] = {}
    done = Table.done

    def noting(self):
        if self.file == "accounts.toml":
            asked.update(dict.fromkeys(self._asked, self.key))
        return done(self)

    monkeypatch.setattr(Table, "done", noting)
    check_pack(accounts_pack(), read_packs())
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", ACCOUNTS)))))
    shown = " ".join(text for _, text in BLOCK.findall(ACCOUNTS))
    assert set(asked) - words == {"en", "zh"}
    assert [name for name in asked if not re.search(rf"\b{name}\b", shown) and name not in OF_LOANS] == []


LOANS = (DOCS / "reference" / "loans-in-packs.md").read_text(encoding="utf-8")
OF_LOANS = ("loan", "servicing", "measure")
"""Tables of accounts.toml that have a page of their own."""


def loans_pack():
    """The pack that lends with what the page shows: its accounts.toml and its flows."""
    files = dict(read_pack(Path(__file__).parents[2] / "packs" / "loans").files)
    shown: dict[str, str] = {}
    for name, text in BLOCK.findall(LOANS):
        shown[name] = shown.get(name, "") + text + "\n"
    shown["pack.toml"] = files["pack.toml"].decode().partition("[[flow]]")[0] + shown["pack.toml"]
    del files["cases/loans.toml"]
    return read_pack({**files, **{name: text.encode() for name, text in shown.items()}}, "loans")


def test_the_page_of_loans_is_a_pack_without_a_problem():
    declared, problems = check_pack(loans_pack(), read_packs())
    assert problems == declared.warnings == ()
    of = declared.accounts
    assert [len(part) for part in (of.loans, of.servicings, of.measures)] == [1, 5, 2]


def test_the_page_of_loans_speaks_of_every_key_that_is_read_and_shows_it(monkeypatch):
    asked: set[str] = set()
    done = Table.done

    def noting(self):
        if self.file == "accounts.toml" and self.key.partition(".")[0] in OF_LOANS:
            asked.update(self._asked)
        return done(self)

    monkeypatch.setattr(Table, "done", noting)
    check_pack(loans_pack(), read_packs())
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", LOANS)))))
    shown = " ".join(text for _, text in BLOCK.findall(LOANS))
    assert asked - words == {"en", "zh"}
    assert [name for name in sorted(asked) if not re.search(rf"\b{name}\b", shown)] == []


def test_the_page_of_loans_names_every_act_measure_and_outcome():
    words = set(re.findall(r"`([^`\n]+)`", LOANS))
    assert {*SETTINGS, *AMOUNTS, *COUNTS, *BookOutcome.__members__, *ROLES} <= words


def processes_pack():
    """The checkout with what the page shows: its processes.toml and its cases."""
    files = dict(read_pack(Path(__file__).parents[2] / "packs" / "checkout").files)
    shown: dict[str, str] = {}
    for name, text in BLOCK.findall(PROCESSES):
        shown[name] = shown.get(name, "") + text + "\n"
    return read_pack({**files, **{name: text.encode() for name, text in shown.items()}}, "checkout")


def test_the_page_of_processes_is_a_pack_without_a_problem():
    declared, problems = check_pack(processes_pack(), read_packs())
    assert problems == declared.warnings == ()
    assert [len(part) for part in (declared.processes.processes, declared.processes.jobs, declared.cases)] == [2, 2, 2]


def test_the_cases_of_the_page_of_processes_pass():
    from quanheng.testing.pack_kit import pack_faults

    unused = "no golden case"
    assert [one for one in pack_faults(processes_pack()) if unused not in one] == []


def test_the_page_of_processes_speaks_of_every_key_that_is_read_and_shows_it(monkeypatch):
    asked: dict[str, str] = {}
    done = Table.done

    def noting(self):
        if self.file == "processes.toml":
            asked.update(dict.fromkeys(self._asked, self.key))
        return done(self)

    monkeypatch.setattr(Table, "done", noting)
    check_pack(processes_pack(), read_packs())
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", PROCESSES)))))
    shown = " ".join(text for _, text in BLOCK.findall(PROCESSES))
    assert set(asked) - words == {"en", "zh"}
    assert [name for name in asked if not re.search(rf"\b{name}\b", shown)] == []


CALLS = (DOCS / "reference" / "calls.md").read_text(encoding="utf-8")


def calls_pack():
    """The pack `screen` with the calls.toml that the page shows."""
    files = dict(read_pack(Path(__file__).parents[2] / "packs" / "screen").files)
    shown = "\n".join(text for name, text in BLOCK.findall(CALLS) if name == "calls.toml")
    return read_pack({**files, "calls.toml": shown.encode()}, "screen")


def test_the_page_of_calls_is_a_pack_without_a_problem():
    declared, problems = check_pack(calls_pack(), read_packs())
    assert problems == ()
    assert [one.name for one in declared.calls.calls] == ["ask_bureau", "tell_payer"]


def test_the_page_of_calls_speaks_of_every_key_result_and_reason(monkeypatch):
    asked: dict[str, str] = {}
    done = Table.done

    def noting(self):
        if (self.file == "calls.toml" and self.key.count(".") < 2) or self.key.endswith(".breaker"):
            asked.update(dict.fromkeys(self._asked, self.key))
        return done(self)

    monkeypatch.setattr(Table, "done", noting)
    check_pack(calls_pack(), read_packs())
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", CALLS)))))
    shown = " ".join(text for _, text in BLOCK.findall(CALLS))
    assert len(asked) > 15
    assert set(asked) - words == set()
    assert [name for name in asked if not re.search(rf"\b{name}\b", shown)] == []
    for table in (RESULTS + SENT_RESULTS, REASONS):
        assert [name for name in table if f"\n| `{name}` |" not in CALLS] == []


def test_the_case_of_the_how_to_is_one_of_the_new_pack():
    from quanheng.loading.new import starter_files

    case = next(text for text in re.findall(r"```toml\n(.*?)```", HOW_TO, re.DOTALL) if "[[case]]" in text)
    files = starter_files("my_pack")
    limit = b'  {from = 2020-01-01, value = 500_000, source = "Example value of the starter pack"},\n'
    assert limit in files["parameters/limits.toml"]
    lower = limit.replace(b"2020-01-01", b"2026-07-01").replace(b"500_000", b"400_000")
    files["parameters/limits.toml"] = files["parameters/limits.toml"].replace(limit, limit + lower)
    files["cases/first.toml"] += case.encode()
    from quanheng.testing.pack_kit import pack_faults

    assert pack_faults(read_pack(files, "my_pack")) == []
