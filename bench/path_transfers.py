"""path.transfers: payments a second that are decided by the payer's balance and moved, one durable commit a group.

Each payment looks at what the payer has, and the ledger moves it to the shop. The peer does the same with the same
parts in two steps: decide, wait until that is durable, then post what was approved: two commits, and a crash in between
leaves payments that were approved and not made. Within a group the peer decides by balances of before the group, so the
ledger refuses some of what it approved.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quanheng.engine import Engine, steady_memory
from quanheng.events.intake import Request
from quanheng.ledger.balances import account_id
from quanheng.ledger.entries import Account, Transfer
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import find_packs
from quanheng.testing.bench import Measured

GROUP, PAYERS = 512, 5_000
START_MS = 1_768_471_200_000
MANIFEST = """
[pack]
name = "till"
version = "1.0.0"
requires = ["party >= 1.0.0"]
title = {en = "Till", zh = "收银"}
outcomes = ["approve", "decline"]
[purpose.pay]
basis = "contract"
source = "bench"
title = {en = "Paying", zh = "支付"}
[[flow]]
when = "till.paid_in"
purpose = "pay"
decide = "accept"
fallback = "decline"
then.approve = ["transfer:pay_in"]
refused_as = "decline"
[[flow]]
when = "till.payment"
purpose = "pay"
decide = "authorise"
fallback = "decline"
then.approve = ["transfer:pay"]
refused_as = "decline"
"""
EVENTS = """
[event."till.paid_in"]
title = {en = "Money comes in", zh = "入金"}
subject = "payer"
[event."till.paid_in".fields]
time_ms = {type = "time"}
payer = {type = "key", entity = "party.customer"}
amount_minor = {type = "integer", unit = "minor", min = 1}
[event."till.payment"]
title = {en = "A payment", zh = "付款"}
subject = "payer"
[event."till.payment".fields]
time_ms = {type = "time"}
payer = {type = "key", entity = "party.customer"}
amount_minor = {type = "integer", unit = "minor", min = 1}
"""
ACCOUNTS = """
[asset.EUR]
number = 978
[account.bank]
asset = "EUR"
code = 1
[account.shop]
asset = "EUR"
code = 2
[account.wallet]
per = ["party.customer"]
asset = "EUR"
code = 3
debits_bound = true
[posting.pay_in.transfer.one]
debit = "bank"
credit = "wallet(payer)"
amount_minor = "amount_minor"
code = 1
[posting.pay.transfer.one]
debit = "wallet(payer)"
credit = "shop"
amount_minor = "amount_minor"
code = 2
[balance.there]
account = "wallet(payer)"
of = "available"
"""
POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="till" name="till" namespace="urn:till">
  <inputData id="i1" name="amount_minor"><variable name="amount_minor" typeRef="number"/></inputData>
  <inputData id="i2" name="there"><variable name="there" typeRef="number"/></inputData>
  <decision id="authorise" name="authorise"><variable name="authorise"/>
    <informationRequirement><requiredInput href="#i1"/></informationRequirement>
    <informationRequirement><requiredInput href="#i2"/></informationRequirement>
    <literalExpression><text>
      {outcome: if there >= amount_minor / 100 then "approve" else "decline", reasons: []}
    </text></literalExpression>
  </decision>
  <decision id="accept" name="accept"><variable name="accept"/>
    <literalExpression><text>{outcome: "approve", reasons: []}</text></literalExpression>
  </decision>
</definitions>
"""


def till(*, moves: bool = True) -> list[PackFiles]:
    """The pack of this bench; without `moves` its payments ask the ledger for nothing."""
    asks = '\nthen.approve = ["transfer:pay"]\nrefused_as = "decline"'
    manifest = MANIFEST if moves else MANIFEST.replace(asks, "")
    files = {"pack.toml": manifest, "events.toml": EVENTS, "accounts.toml": ACCOUNTS, "policies/till.dmn": POLICY}
    encoded = {name: text.encode() for name, text in {**files, "README.md": "For a bench."}.items()}
    return [read_pack(find_packs()["party"]), read_pack(encoded, "till")]


def requests_of(count: int, seed: int = 7) -> list[Request]:
    """Payments of random payers, of whom some run out of money."""
    rng = random.Random(seed)
    return [
        Request("bench", f"p{number}", "till.payment", json.dumps({
            "time_ms": START_MS, "payer": f"c{rng.randrange(PAYERS)}", "amount_minor": rng.randrange(1, 2_000),
        }).encode())
        for number in range(count)
    ]  # fmt: skip


def opened(folder: str, *, moves: bool) -> Engine:
    """An engine in which every payer has money."""
    engine = Engine.open(Path(folder) / "data")
    engine.activate(till(moves=moves))
    paid_in = [
        Request("bench", f"i{number}", "till.paid_in", json.dumps({
            "time_ms": START_MS, "payer": f"c{number}", "amount_minor": 6_000,
        }).encode())
        for number in range(PAYERS)
    ]  # fmt: skip
    for start in range(0, PAYERS, GROUP):
        engine.submit(paid_in[start : start + GROUP])
    if not moves:
        engine.open_accounts([Account(account_id("till.shop", []), 978, 2)])
    return engine


def in_one(engine: Engine, requests: list[Request]) -> int:
    """Decide and move in one commit; how many were approved."""
    return sum(reply.outcome == "approve" for reply in engine.submit(requests))


def in_two(engine: Engine, requests: list[Request]) -> int:
    """Decide, then post what was approved; how many of them the ledger took."""
    shop = account_id("till.shop", [])
    asked = []
    for request, reply in zip(requests, engine.submit(requests), strict=True):
        if reply.outcome == "approve":
            data = json.loads(request.data)
            payer = account_id("till.wallet", [engine.ring.pseudonym("party.customer", data["payer"])])
            asked.append(Transfer(2**64 + reply.offset, payer, shop, data["amount_minor"], code=2))
    return sum(answer.outcome.name == "APPLIED" for answer in engine.post(asked))


def run(quick: bool = False) -> Measured:
    """Median of three runs of each on one core, in turn."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    count, times = (4_096, 1) if quick else (20_480, 3)
    ones, twos = [], []
    for _ in range(times):
        ones.append(_once(count, in_one, moves=True))
        twos.append(_once(count, in_two, moves=False))
    (rate, cpu, moved), (other, other_cpu, other_moved) = sorted(ones)[times // 2], sorted(twos)[times // 2]
    extra = {
        "per_cpu_second": cpu, "two_steps_per_cpu_second": other_cpu, "group": GROUP, "moved": moved,
        "moved_in_two_steps": other_moved,
    }  # fmt: skip
    return Measured(rate, "payments/s", {"two_steps": other}, extra)


def _once(count: int, do: Callable[[Engine, list[Request]], int], *, moves: bool) -> tuple[float, float, int]:
    with tempfile.TemporaryDirectory() as folder:
        engine = opened(folder, moves=moves)
        requests = requests_of(count + GROUP)
        done = do(engine, requests[:GROUP])
        steady_memory()
        cpu, start = time.process_time(), time.perf_counter()
        for at in range(GROUP, count + GROUP, GROUP):
            done += do(engine, requests[at : at + GROUP])
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
        shop = engine.state.ledger.balance(account_id("till.shop", []))
        assert shop.credits_posted_minor > 0
        engine.close()
    return count / seconds, count / cpu, done
