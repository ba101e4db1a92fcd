"""Loans for the tests of what decisions do to them: the pack in tests/packs/loans, requests to it, and a clock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from quanheng.advancing import MovedClock
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.time import DAY_MS
from quanheng.ledger.instruments.loan_book.measuring import loan_number
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""
DAY = T0 // DAY_MS
LOANS = Path(__file__).parents[2] / "packs" / "loans"


def loans(*changes: tuple[str, str, str]) -> list[PackFiles]:
    """The pack and what it requires; each change is (file, text, its replacement)."""
    files = dict(read_pack(LOANS).files)
    for file, old, new in changes:
        assert old.encode() in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old.encode(), new.encode())
    return [read_packs()["party"], read_pack(files, "loans")]


def opened(
    folder: Path, clock: Callable[[], int] | None = None, packs: list[PackFiles] | None = None, **more
) -> Engine:
    """The engine of the pack in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock or MovedClock(T0), **more)
    if engine.state.program.activation < 0:
        engine.activate(packs or loans())
    return engine


def event(id: str, type: str, *, at: int = T0, **data: object) -> Request:
    return Request("web", id, f"loans.{type}", json.dumps({"time_ms": at, **data}).encode())


def applied(
    id: str,
    contract: str,
    amount_minor: int = 1_200_000,
    customer: str = "anna",
    rate: float = 0.06,
    periods: int = 12,
    at: int = T0,
) -> Request:
    more = {"amount_minor": amount_minor, "rate": rate, "periods": periods}
    return event(id, "applied", customer=customer, contract=contract, at=at, **more)


def paid(id: str, contract: str, amount_minor: int, customer: str = "anna", **more: int) -> Request:
    return event(id, "paid", customer=customer, contract=contract, amount_minor=amount_minor, **more)


def topped_up(id: str, amount_minor: int, customer: str = "anna", at: int = T0) -> Request:
    return event(id, "topped_up", at=at, customer=customer, amount_minor=amount_minor)


def served(id: str, contract: str, act: str = "look", **more: int) -> Request:
    return event(id, "served", contract=contract, act=act, **more)


def number(engine: Engine, contract: str) -> int:
    """The number of a contract's loan."""
    return loan_number("loans.term", engine.ring.pseudonym("loans.contract", contract))


def measured(engine: Engine, contract: str) -> dict[str, int]:
    """What the book says of a loan."""
    from quanheng.ledger.instruments.loan_book.book import MEASURES

    book = engine.state.loans.book
    assert book is not None
    return dict(zip(MEASURES, book.measures(number(engine, contract))[0].tolist(), strict=True))


def business(rng: random.Random, count: int, now_ms: int, first: int = 1, at: int = T0) -> list[Request]:
    """Applications, payments, some of them late, and every kind of change, of few contracts; with repeats and what is
    refused. The content depends on the id alone."""
    requests = []
    for place in range(count):
        shown = first + place if rng.random() > 0.05 else rng.randint(1, first + place)
        twin = random.Random(shown)
        contract, customer, id = f"c{twin.randint(1, 12)}", f"k{twin.randint(1, 4)}", f"r{shown}"
        amount = twin.choice([1, 37, 5_000, 104_000, 250_000, 2_000_000])
        draw = twin.random()
        if draw < 0.2:
            rate, periods = twin.choice([0, 0.06, 0.1234, -1]), twin.choice([1, 6, 12, 12, 601])
            requests.append(applied(id, contract, 1_200_000, customer, rate, periods, at))
        elif draw < 0.35:
            requests.append(topped_up(id, amount, customer, at))
        elif draw < 0.65:
            late = {"paid_ms": now_ms - twin.randint(0, 40) * DAY_MS} if twin.random() < 0.3 else {}
            requests.append(paid(id, contract, amount, customer, at=at, **late))
        else:
            act = twin.choice([
                "look", "prepay", "pay_off", "write_off", "recover", "refund", "holiday", "stay", "re_age",
                "re_amortise", "charge",
            ])  # fmt: skip
            more = {"amount_minor": amount, "periods": twin.choice([0, 1, 6, 24])}
            more["until_ms"] = now_ms + twin.randint(-2, 60) * DAY_MS
            if twin.random() < 0.3:
                more["value_ms"] = now_ms - twin.randint(0, 40) * DAY_MS
            requests.append(served(id, contract, act, at=at, **more))
    return requests
