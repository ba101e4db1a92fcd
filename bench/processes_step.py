"""processes.step, processes.recover: steps of a life cycle through the durable path, and folded from the log again.

An order is placed, paid, packed and sent; each event makes one step, a state arms a timer where it waits for money.
Every group is one durable commit of an SQLite store (WAL, `synchronous=FULL`): events, decisions and steps, chained by
digests and sealed; the next group is prepared while one commits, as the server does. The peers make the same steps and
commit each to SQLite in the same mode:

- `transitions` (PyPI): a state machine in memory; the state, its history and the request's id are rows. It has no
  timers, no sealed history, no replay, and one commit a step, since it knows no groups. `transitions_grouped` commits
  as many steps at once as we do.
- `spiff` (SpiffWorkflow): a BPMN engine whose instance is serialised to JSON for every step. No timers, ids or history.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.path_inprocess import pipelined
from quanheng import recovery
from quanheng.engine import Engine, steady_memory
from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.testing.bench import Measured

GROUP = 512
START_MS = 1_768_471_200_000
STEPS = ("placed", "paid", "packed", "sent")
MANIFEST = """
[pack]
name = "shop"
version = "1.0.0"
title = {en = "Shop", zh = "商店"}
outcomes = ["approve", "decline"]
"""
EVENT = """
[event."shop.{name}"]
title = {{en = "An order is {name}", zh = "订单"}}
[event."shop.{name}".fields]
time_ms = {{type = "time"}}
order = {{type = "key", entity = "order"}}
amount_minor = {{type = "integer", unit = "minor", min = 1}}
"""
EVENTS = """
[entity.order]
personal = false
title = {en = "Order", zh = "订单"}
""" + "".join(EVENT.format(name=name) for name in STEPS)
PROCESSES = """
[process.order]
per = "order"
keep = ["amount_minor"]
[[process.order.start]]
event = "shop.placed"
to = "waiting"
[process.order.state.waiting]
[[process.order.state.waiting.on]]
event = "shop.paid"
where = "amount_minor >= instance.amount_minor"
to = "paid"
[process.order.state.waiting.timer.lapse]
after = "30d"
to = "gone"
[process.order.state.paid]
[[process.order.state.paid.on]]
event = "shop.packed"
to = "packed"
[process.order.state.packed]
[[process.order.state.packed.on]]
event = "shop.sent"
to = "done"
[process.order.state.done]
end = true
[process.order.state.gone]
end = true
"""


def shop() -> PackFiles:
    """The pack of this bench."""
    files = {"pack.toml": MANIFEST, "events.toml": EVENTS, "processes.toml": PROCESSES, "README.md": "# shop\n"}
    return read_pack({name: text.encode() for name, text in files.items()}, "shop")


def traffic(orders: int, seed: int = 1) -> list[tuple[str, str, int]]:
    """(event, order, amount) of all steps of so many orders: of some thousands that are open at a time."""
    rng, made, waiting = random.Random(seed), [], []
    for number in range(orders):
        waiting.append([f"o{number}", 0])
        while len(waiting) > 10_000 or (number == orders - 1 and waiting):
            at = rng.randrange(len(waiting))
            order, step = waiting[at]
            made.append((STEPS[step], order, 100))
            waiting[at][1] += 1
            if step == len(STEPS) - 1:
                waiting[at] = waiting[-1]
                waiting.pop()
    return made


def requests_of(steps: Sequence[tuple[str, str, int]]) -> list[Request]:
    """As they come in."""
    return [
        Request("bench", f"r{number}", f"shop.{name}",
                b'{"time_ms":%d,"order":"%s","amount_minor":%d}' % (START_MS, order.encode(), amount))
        for number, (name, order, amount) in enumerate(steps)
    ]  # fmt: skip


def run(quick: bool = False) -> Measured:
    """Median of three runs: steps a second, durable before they are answered."""
    steps = traffic(2_500 if quick else 12_000)
    rates = [_steps_per_s(steps, GROUP) for _ in range(3)]
    peers = {
        "transitions": statistics.median(_transitions(steps[: 2_000 if quick else 8_000], 1) for _ in range(3)),
        "transitions_grouped": statistics.median(_transitions(steps, GROUP) for _ in range(3)),
    }
    spiff = _spiff(60 if quick else 300)
    if spiff:
        peers["spiff"] = spiff
    return Measured(statistics.median(rates), "steps/s", peers, {"steps": len(steps), "group": GROUP})


def _steps_per_s(steps: Sequence[tuple[str, str, int]], group: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine.open(Path(folder) / "data", clock=lambda: START_MS)
        engine.activate([shop()])
        requests = requests_of(steps)
        warm = b'{"time_ms":%d,"order":"warm","amount_minor":1}' % START_MS
        engine.submit([Request("bench", "warm", "shop.placed", warm)])
        steady_memory()
        start = time.perf_counter()
        replies = pipelined(engine, requests, group)
        seconds = time.perf_counter() - start
        assert {reply.status for reply in replies} == {"recorded"}
        assert engine.state.book.steps == len(steps) + 1
        engine.close()
    return len(steps) / seconds


def run_recover(quick: bool = False) -> Measured:
    """Median of three folds of a log without a snapshot; equal to the live state."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine.open(Path(folder) / "data", clock=lambda: START_MS)
        engine.activate([shop()])
        requests = requests_of(traffic(5_000 if quick else 250_000))
        for at in range(0, len(requests), 4 * GROUP):
            engine.submit(requests[at : at + 4 * GROUP])
        live, made, head, seconds = engine.state.digest(), engine.state.book.steps, engine.log.head, []
        for _ in range(3):
            start = time.perf_counter()
            state = recovery.rebuild(engine.log, engine.content, None)
            seconds.append(time.perf_counter() - start)
            assert state.digest() == live, "the rebuilt state differs from the live one"
        engine.close()
    median_s = statistics.median(seconds)
    return Measured(made / median_s, "steps/s", {}, {"steps": made, "records": head, "records_per_s": head / median_s})


def _database(folder: str) -> sqlite3.Connection:
    database = sqlite3.connect(os.path.join(folder, "peer.db"), isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE orders (id TEXT PRIMARY KEY, state TEXT NOT NULL, amount INTEGER NOT NULL);"
        "CREATE TABLE history (request TEXT PRIMARY KEY, id TEXT, source TEXT, target TEXT, at INTEGER);"
    )
    return database


def _transitions(steps: Sequence[tuple[str, str, int]], group: int) -> float:
    from transitions import Machine

    class Order:
        amount = 0
        state = ""

        def enough(self, amount: int) -> bool:
            return amount >= self.amount

    ways = [
        {"trigger": "paid", "source": "waiting", "dest": "paid", "conditions": "enough"},
        {"trigger": "packed", "source": "paid", "dest": "packed"},
        {"trigger": "sent", "source": "packed", "dest": "done"},
    ]
    machine = Machine(model=None, states=["waiting", "paid", "packed", "done", "gone"], transitions=ways,
                      initial="waiting", auto_transitions=False)  # fmt: skip
    orders: dict[str, Order] = {}
    with tempfile.TemporaryDirectory() as folder:
        database = _database(folder)
        start = time.perf_counter()
        for number, (name, id, amount) in enumerate(steps):
            if number % group == 0:
                database.execute("BEGIN")
            if name == "placed":
                order = orders[id] = Order()
                order.amount, was = amount, ""
                machine.add_model(order)
            else:
                order = orders[id]
                was = order.state
                assert order.trigger(name, amount) if name == "paid" else order.trigger(name)  # type: ignore[attr-defined]
            database.execute(
                "INSERT INTO history VALUES (?, ?, ?, ?, ?)", (f"r{number}", id, was, order.state, START_MS)
            )
            database.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (id, order.state, order.amount))
            if name == "sent":
                machine.remove_model(orders.pop(id))
            if number % group == group - 1 or number == len(steps) - 1:
                database.execute("COMMIT")
        seconds = time.perf_counter() - start
        database.close()
    return len(steps) / seconds


_BPMN = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="shop" id="shop">
  <process id="order" isExecutable="true">
    <startEvent id="start"/>
    <manualTask id="paid"/><manualTask id="packed"/><manualTask id="sent"/>
    <endEvent id="end"/>
    <sequenceFlow id="f1" sourceRef="start" targetRef="paid"/>
    <sequenceFlow id="f2" sourceRef="paid" targetRef="packed"/>
    <sequenceFlow id="f3" sourceRef="packed" targetRef="sent"/>
    <sequenceFlow id="f4" sourceRef="sent" targetRef="end"/>
  </process>
</definitions>
"""


def _spiff(orders: int) -> float:
    """0 where SpiffWorkflow is not installed."""
    try:
        from SpiffWorkflow.bpmn.parser import BpmnParser
        from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
        from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
    except ImportError:
        return 0.0
    parser, serializer = BpmnParser(), BpmnWorkflowSerializer()
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "order.bpmn").write_text(_BPMN)
        parser.add_bpmn_file(str(path))
        spec = parser.get_spec("order")
        database, count = _database(folder), 0
        start = time.perf_counter()
        for number in range(orders):
            workflow = BpmnWorkflow(spec)
            workflow.do_engine_steps()
            for name in ("placed", "paid", "packed", "sent"):
                if name != "placed":
                    next(iter(workflow.get_tasks(spec_name=name))).run()
                    workflow.do_engine_steps()
                text = serializer.serialize_json(workflow)
                database.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (f"o{number}", text, 1))
                count += 1
        seconds = time.perf_counter() - start
        assert json.loads(text)
        database.close()
    return count / seconds
