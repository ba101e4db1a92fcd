"""A checkout with two life cycles for tests: the pack in tests/packs/checkout, an engine, and requests to it."""

from __future__ import annotations

import json
from pathlib import Path

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.processes.book import Instance

T0 = 1_772_452_800_000
"""2026-03-02T12:00:00Z"""
MINUTE_MS = 60_000
CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ms = T0

    def __call__(self) -> int:
        return self.now_ms


def checkout(*changes: tuple[str, str, str]) -> list[PackFiles]:
    """The pack and what it requires, with answers refused where nobody waits for them; each change is (file, text, its
    replacement)."""
    files = dict(read_pack(CHECKOUT).files)
    for file, old, new in (("processes.toml", 'ignores    = ["checkout.answer"]\n', ""), *changes):
        assert old.encode() in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old.encode(), new.encode())
    return [read_packs()["party"], read_pack(files, "checkout")]


def opened(folder: Path, clock: Clock, packs: list[PackFiles] | None = None) -> Engine:
    """The engine in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock)
    if engine.state.program.activation < 0:
        engine.activate(packs or checkout())
    return engine


def event(id: str, type: str, at: int = T0, **data: object) -> Request:
    return Request("web", id, f"checkout.{type}", json.dumps({"time_ms": at, **data}).encode())


def pays(id: str, amount_minor: int = 50_000, payment: str = "", payer: str = "anna") -> Request:
    return event(id, "payment", payment=payment or id, payer=payer, amount_minor=amount_minor)


def answers(id: str, about: str, answer: str = "mine") -> Request:
    return event(id, "answer", about=about, answer=answer)


def review_of(engine: Engine, payment: str) -> Instance | None:
    """The review of a payment as it stands."""
    code = engine.state.program.codes["process checkout.review"]
    return engine.state.book.view(code, engine.ring.pseudonym("checkout.payment", payment))


def state_of(engine: Engine, payment: str) -> str:
    """The state that the review of a payment is in; "" = there is none."""
    found = review_of(engine, payment)
    return (
        ""
        if found is None
        else engine.state.program.machines[engine.state.program.codes["process checkout.review"]].names(found)["state"]
    )
