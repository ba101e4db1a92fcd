"""ledger.posted: applied transfers told as events, decided and folded: events a second, durable, in one process.

Transfers of random pairs are posted first, in batches of 1,000; then all of them are told in groups of 1,000 through
the main path: read from the log, made events, taken into two windows of a day, judged by a DMN policy, durable. The
peer is the same events under a name of a pack's own, sent by a client that has their JSON ready: what telling costs
beyond taking events.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.ledger_post import BATCH, batches, opened
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.ledger.posted import LEDGER_POSTED
from quanheng.loading.checks.platform import platform
from quanheng.loading.files import PackFiles, read_pack
from quanheng.telling import GROUP_MAX
from quanheng.testing.bench import Measured

OWN = "bank.posted"
PACK = """
[pack]
name     = "bank"
version  = "0.1.0"
title    = {{en = "Watch of transfers", zh = "转账监测"}}
outcomes = ["approve", "review"]

[purpose.watch]
basis  = "legal_obligation"
source = "AMLD5 art. 13"
title  = {{en = "Watch against money laundering", zh = "反洗钱监测"}}

[[flow]]
when     = "{event}"
purpose  = "watch"
decide   = "watch"
fallback = "review"
"""
FOLD = """
[[fold]]
name   = "{name}"
of     = "{event}"
by     = ["{by}"]
fold   = "sum"
value  = "amount_minor"
window = "1d"
empty  = 0
title  = {{en = "Sum of a day by {by}", zh = "一日合计"}}
"""
POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="watch" name="watch" namespace="urn:bench:watch">
  <inputData id="a" name="amount_minor"><variable name="amount_minor" typeRef="number"/></inputData>
  <inputData id="r" name="received"><variable name="received" typeRef="number"/></inputData>
  <decision id="watch" name="watch">
    <variable name="watch"/>
    <informationRequirement><requiredInput href="#a"/></informationRequirement>
    <informationRequirement><requiredInput href="#r"/></informationRequirement>
    <decisionTable hitPolicy="FIRST">
      <input><inputExpression typeRef="number"><text>amount_minor</text></inputExpression></input>
      <input><inputExpression typeRef="number"><text>received</text></inputExpression></input>
      <output name="outcome" typeRef="string"/>
      <output name="reasons"/>
      <rule><inputEntry><text>&gt;= 990</text></inputEntry><inputEntry><text>-</text></inputEntry>
        <outputEntry><text>"review"</text></outputEntry><outputEntry><text>["large"]</text></outputEntry></rule>
      <rule><inputEntry><text>-</text></inputEntry><inputEntry><text>&gt; 1000000</text></inputEntry>
        <outputEntry><text>"review"</text></outputEntry><outputEntry><text>["much"]</text></outputEntry></rule>
      <rule><inputEntry><text>-</text></inputEntry><inputEntry><text>-</text></inputEntry>
        <outputEntry><text>"approve"</text></outputEntry><outputEntry><text>[]</text></outputEntry></rule>
    </decisionTable>
  </decision>
</definitions>
"""
REASONS = '[reason.large]\nen = "Large."\nzh = "金额大。"\n\n[reason.much]\nen = "Much in a day."\nzh = "多。"\n'


def watching(event: str) -> PackFiles:
    """A pack that decides and folds an event: the ledger's, or one of its own with the same fields."""
    files = {
        "pack.toml": PACK.format(event=event),
        "features.toml": "".join(
            FOLD.format(name=name, event=event, by=by) for name, by in (("received", "credit"), ("paid", "debit"))
        ),
        "policies/watch.dmn": POLICY,
        "reasons.toml": REASONS,
        "README.md": "# bank\n",
    }
    if event != LEDGER_POSTED:
        files["events.toml"] = _declared(event)
    return read_pack({name: text.encode() for name, text in files.items()}, "bank")


def _declared(event: str) -> str:
    """events.toml with the fields of the ledger's event under another name."""
    lines = [f'[event."{event}"]', 'title = {en = "Posted", zh = "入账"}', f'[event."{event}".fields]']
    for name, field in platform().events[LEDGER_POSTED].fields.items():
        more = f', entity = "{field.entity}"' if field.entity else ""
        more += f", choices = {list(field.choices)}" if field.choices else ""
        more += ", optional = true" if field.optional else ""
        lines.append(f'{name} = {{type = "{field.kind}"{more}}}'.replace("'", '"'))
    return "\n".join(lines) + "\n"


def run(quick: bool = False) -> Measured:
    """Events told a second; `client`: the same events sent by a client."""
    count = 10 if quick else 60
    with opened() as engine, tempfile.TemporaryDirectory() as folder:
        engine.activate([watching(LEDGER_POSTED)])
        asked = batches(2 * count)
        check_ns = _check_ns()
        posted_s, requests = 0.0, []
        told_s, cpu_s = [], []
        peer = Engine.open(Path(folder) / "data")
        peer.activate([watching(OWN)])
        client_s, client_cpu_s = [], 0.0
        for at in range(0, len(asked), 10):
            start = time.perf_counter()
            for batch in asked[at : at + 10]:
                engine.post_arrays(batch)
            posted_s += time.perf_counter() - start
            start, cpu = time.perf_counter(), time.process_time()
            made = _tell(engine)
            told_s.append(time.perf_counter() - start)
            cpu_s.append(time.process_time() - cpu)
            sent = [Request("client", one.id, OWN, one.data) for one in made]
            start, cpu = time.perf_counter(), time.process_time()
            for first in range(0, len(sent), GROUP_MAX):
                peer.submit(sent[first : first + GROUP_MAX])
            client_s.append(time.perf_counter() - start)
            client_cpu_s += time.process_time() - cpu
            requests += made
        peer.close()
        assert len(requests) == BATCH * len(asked) == engine.state.events[engine.state.program.codes[LEDGER_POSTED]]
        assert engine.metrics()["ledger_posted_lag"] == 0
        rate = len(requests) / sum(told_s[1:]) * (len(told_s) - 1) / len(told_s)
        peers = {"client": len(requests) / sum(client_s[1:]) * (len(client_s) - 1) / len(client_s)}
        extra = {
            "cpu_us_per_event": round(1e6 * sum(cpu_s) / len(requests), 2),
            "client_cpu_us_per_event": round(1e6 * client_cpu_s / len(requests), 2),
            "make_cpu_us_per_event": round(_make_us(engine), 2),
            "posted_per_s": round(len(requests) / posted_s),
            "check_ns_where_unused": check_ns,
            "events": len(requests),
        }
    return Measured(rate, "events/s", peers, extra)


def _tell(engine: Engine) -> list[Request]:
    """Tell all that waits, as `Engine.tell_posted` does; what was told."""
    told: list[Request] = []
    while engine.teller.waits:
        requests = engine.teller.requests()
        engine.submit(requests)
        told += requests
    return told


def _check_ns() -> float:
    """What a group pays where no pack uses the event: one look."""
    with tempfile.TemporaryDirectory() as folder:
        unused = Engine.open(Path(folder) / "data")
        start = time.perf_counter_ns()
        for _ in range(100_000):
            unused.teller.waits  # noqa: B018
        taken = (time.perf_counter_ns() - start) / 100_000
        unused.close()
    return round(taken)


def _make_us(engine: Engine) -> float:
    """Reading transfers from the log and making events of them, without taking them."""
    first = batches(10, seed=11)
    for batch in first:
        engine.post_arrays(batch)
    cpu, count = time.process_time(), 0
    while engine.teller.waits:
        count += len(engine.teller.requests())
    return 1e6 * (time.process_time() - cpu) / count
