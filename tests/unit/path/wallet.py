"""A wallet for the tests of transfers that decisions ask for: the pack in tests/packs/wallet, and requests to it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.ledger.balances import account_id
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""
WALLET = Path(__file__).parents[2] / "packs" / "wallet"


def wallet(*changes: tuple[str, str, str]) -> list[PackFiles]:
    """The pack and what it requires; each change is (file, text, its replacement)."""
    pack = read_pack(WALLET)
    files = dict(pack.files)
    for file, old, new in changes:
        assert old.encode() in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old.encode(), new.encode())
    return [read_packs()["party"], read_pack(files, "wallet")]


def opened(
    folder: Path, clock: Callable[[], int] | None = None, packs: list[PackFiles] | None = None, **more
) -> Engine:
    """The engine of the wallet in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock or (lambda: T0), **more)
    if engine.state.program.activation < 0:
        engine.activate(packs or wallet())
    return engine


def event(id: str, type: str, *, at: int = T0, **data: object) -> Request:
    return Request("web", id, f"wallet.{type}", json.dumps({"time_ms": at, **data}).encode())


def topped_up(id: str, amount_minor: int, customer: str = "anna", **more) -> Request:
    return event(id, "topped_up", customer=customer, amount_minor=amount_minor, **more)


def pays(id: str, amount_minor: int, payer: str = "anna", payment: str = "", **more) -> Request:
    return event(
        id, "payment", payer=payer, merchant="bakery", payment=payment or f"of {id}", amount_minor=amount_minor, **more
    )


def captures(id: str, payment: str, amount_minor: int, **more) -> Request:
    return event(id, "capture", merchant="bakery", payment=payment, amount_minor=amount_minor, **more)


def releases(id: str, payment: str, **more) -> Request:
    return event(id, "released", payment=payment, **more)


def refunds(id: str, payment: str, amount_minor: int, **more) -> Request:
    return event(id, "refund", payment=payment, amount_minor=amount_minor, **more)


def wallet_of(engine: Engine, customer: str) -> int:
    """Id of a customer's wallet."""
    return account_id("wallet.wallet", [engine.ring.pseudonym("party.customer", customer)])


def business(rng: random.Random, count: int, at: int = T0, first: int = 0) -> list[Request]:
    """Random work of few people, so that they meet in a group; a fifth says again what was said before."""
    said: list[Request] = []
    for number in range(first, first + count):
        if said and rng.random() < 0.2:
            said.append(rng.choice(said))
            continue
        who, deal, id = rng.choice(("anna", "ben", "cleo")), f"deal {rng.randrange(8)}", f"r{number}"
        amount = rng.choice((1, 99, 1_000, 7_777, 30_001, 50_000, 50_001))
        make = rng.choice((
            lambda id, who, deal, amount: topped_up(id, amount * 2, who, at=at),
            lambda id, who, deal, amount: pays(id, amount, who, deal, at=at),
            lambda id, who, deal, amount: pays(id, amount, who, deal, at=at),
            lambda id, who, deal, amount: captures(id, deal, amount, at=at),
            lambda id, who, deal, amount: releases(id, deal, at=at),
            lambda id, who, deal, amount: refunds(id, deal, amount, at=at),
        ))  # fmt: skip
        said.append(make(id, who, deal, amount))
    return said
