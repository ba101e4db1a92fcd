"""Mistakes of processes that need more than one changed text: bounds, several starts, calls, packs among packs."""

from __future__ import annotations

from collections.abc import Callable

from mistakes_beyond import _bounded, _load
from sample_pack import available, checkout_files, checkout_pack

from quanheng.kernel.calendars import Calendar
from quanheng.loading import check_pack
from quanheng.loading.checks.asks import check_asks
from quanheng.loading.checks.processes import read_processes
from quanheng.loading.declared_accounts import AccountsDeclaration
from quanheng.loading.declared_calls import CallDeclaration, CallsDeclaration
from quanheng.loading.notes import Notes
from quanheng.loading.table import Table
from quanheng.loading.toml import read_toml

Run = Callable[[], list[str]]
AVAILABLE = available()
FILE = "processes.toml"
SECOND_START = b'[[process.claim.start]]\nevent = "checkout.ruling"\n\n[process.claim.part.papers]\n'
NEVER = """
title   = {en = "A market that is closed", zh = "休市"}
weekend = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
[[year]]
year   = 2026
source = "its own notice"
"""
GAPS = """
title   = {en = "Market", zh = "市场"}
weekend = ["sunday"]

[[year]]
year   = 2026
source = "Example"

[[year]]
year   = 2028
source = "Example"
"""
CALLING = """
[process.desk]
per = "payment"
[[process.desk.start]]
event = "checkout.payment"
to    = "open"
do    = ["call:ask", "notify:score", "notify:tell"]
[process.desk.state.open]
end = true
"""


def beyond_processes() -> dict[str, Run]:
    """What makes each mistake of the table [beyond] in mistakes_processes.toml."""
    claim_keys, claim_share = b'keys    = ["payer"]', b"keep    = {share = 2, rounds = 0, until_ms = 0}"
    granted = b'granted = {type = "boolean"}'
    bounds = {
        "processes": ("checks.processes", "PROCESSES_MAX", 1),
        "kept keys": ("checks.processes", "KEYS_MAX", 0),
        "kept numbers": ("checks.processes", "NUMBERS_MAX", 2),
        "parts": ("checks.states", "PARTS_MAX", 1),
        "states": ("checks.states", "STATES_MAX", 4),
        "timers of a state": ("checks.states", "TIMERS_MAX", 1),
        "states left by themselves": ("checks.process_ways", "BY_ITSELF_MAX", 0),
        "transfers of a step": ("checks.asks", "TRANSFERS_MAX", 0),
        "jobs": ("checks.jobs", "JOBS_MAX", 0),
    }
    return {
        **{name: _bounded(*bound, checkout_pack) for name, bound in bounds.items()},
        "outcomes missing": _with(
            ("pack.toml", b'outcomes = ["approve", "review", "decline"]\n', b""),
            ("pack.toml", checkout_files()["pack.toml"].partition(b"[[flow]]")[2], b""),
            ("pack.toml", b"[[flow]]", b""),
            only="pack.toml",
        ),
        "part named as what instance holds": _with((FILE, b"part.ruling", b"part.state")),
        "own timer as an event": _with(
            (FILE, b'[[process.claim.part.ruling.state.open.on]]\nevent = "checkout.ruling"',
             b'[[process.claim.part.ruling.state.open.on]]\nevent = "claim.timer.fired"'),
        ),
        "kept key of two entities": _with(
            ("events.toml", granted, granted + b'\npayer = {type = "key", entity = "party.merchant"}'),
            (FILE, b"[process.claim.part.papers]\n", SECOND_START),
        ),
        "kept key of one start": _with((FILE, b"[process.claim.part.papers]\n", SECOND_START)),
        "kept number of two decimals": _with(
            ("events.toml", granted, granted + b'\nshare = {type = "decimal", scale = 3}'),
            (FILE, b"[process.claim.part.papers]\n", SECOND_START),
            (FILE, claim_keys, b"keys    = []"),
            (FILE, b'subject = "payer"\n\n[[process.claim', b"\n[[process.claim"),
            (FILE, claim_share, b'keep    = ["share"]'),
            only=f"{FILE}: process.claim.keep",
        ),
        "calendar with gaps": _with(
            (FILE, b'calendar = "china"\nto       = "released"', b'calendar = "market"\nto       = "released"'),
            ("calendars/market.toml", b"", GAPS.encode()),
        ),
        "calendar without business days": _with(
            (FILE, b'calendar = "china"\nto       = "released"', b'calendar = "market"\nto       = "released"'),
            ("calendars/market.toml", b"", NEVER.encode()),
        ),
        "calls of another kind": _calling,
        "process of two packs": _twice,
        "file unreadable": _with((FILE, b"[process.review]", b"[process.review")),
    }  # fmt: skip


def _with(*changes: tuple[str, bytes, bytes], only: str = "") -> Run:
    files = checkout_files()
    for name, old, new in changes:
        before = files.get(name, b"")
        assert old in before, (name, old)
        files[name] = before.replace(old, new) if old else new
    return lambda: [
        text for one in check_pack(checkout_pack(dict(files)), AVAILABLE)[1] if (text := str(one)).startswith(only)
    ]


def _calling() -> list[str]:
    """A process against a calls.toml with a call and a notice."""
    notes, calendars = Notes(), dict[str, Calendar]()
    top = Table(read_toml(CALLING.encode(), FILE, notes) or {}, FILE, "", notes)
    drafts = read_processes(top, calendars)
    calls = [
        CallDeclaration(name=name, kind=kind, channel="http", address="partner")
        for name, kind in (("score", "call"), ("tell", "notify"))
    ]
    asked = check_asks(drafts, (), (), AccountsDeclaration(), CallsDeclaration(calls=tuple(calls)))
    assert asked.sends == {"checkout.payment": ("score", "tell")}
    return [str(one) for one in notes.problems]


def _twice() -> list[str]:
    """Two packs with a process of one name."""
    one = {name: content for name, content in checkout_files().items() if not name.startswith("cases/")}
    two = {
        name: content.replace(b"checkout.", b"till.").replace(b'"checkout"', b'"till"') for name, content in one.items()
    }
    two["policies/checkout.dmn"] = one["policies/checkout.dmn"]
    two["processes.toml"] = two["processes.toml"].partition(b"[process.claim]")[0]
    return _load(one, two, "checkout", "till")
