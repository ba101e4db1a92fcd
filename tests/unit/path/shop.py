"""A small business for the tests of the main path: the starter pack under the name `shop`, and a clock set by hand."""

from __future__ import annotations

import json
from pathlib import Path

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""
DAY_MS = 86_400_000
LIMIT_MINOR = 500_000


class HandClock:
    """Epoch milliseconds that move only when a test says so."""

    def __init__(self, now_ms: int = T0) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def shop(*changes: tuple[str, str, str]) -> PackFiles:
    """The pack `shop`; each change is (file, text, its replacement)."""
    files = starter_files("shop")
    for file, old, new in changes:
        assert old.encode() in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old.encode(), new.encode())
    return read_pack(files, "shop")


def packs(*changes: tuple[str, str, str]) -> list[PackFiles]:
    return [read_packs()["party"], shop(*changes)]


def opened(folder: Path, clock: HandClock | None = None, **options: object) -> Engine:
    """The engine of the shop in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock or HandClock(), **options)
    if engine.state.program.activation < 0:
        engine.activate(packs())
    return engine


def ask(id: str, amount_minor: object = 20_000, *, customer: str = "anna", at: int = T0, **more: object) -> Request:
    """One request of a customer for an amount."""
    deadline_ms = more.pop("deadline_ms", 0)
    client = more.pop("client", "web")
    data = {"time_ms": at, "customer": customer, "amount_minor": amount_minor, "currency": "EUR", **more}
    return Request(client, id, "shop.request", json.dumps(data).encode(), deadline_ms)
