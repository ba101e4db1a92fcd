"""Timers that were due while nothing ran fire in the order of their due moments, those that come again among them."""

from __future__ import annotations

import json

import pytest
from shop import T0, HandClock, opened, packs

from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.path import Taken

HOUR_MS = 3_600_000
PACK = """
[pack]
name     = "watch"
version  = "0.1.0"
requires = ["party >= 1.0.0"]
title    = {en = "Watching", zh = "监测"}
outcomes = ["approve", "review", "decline"]

[purpose.watch]
basis  = "legal_obligation"
source = "A statute"
title  = {en = "Watching", zh = "监测"}
"""
EVENTS = """
[entity.watch]
personal = false
title = {en = "Watch", zh = "监测"}

[event."watch.begun"]
title = {en = "A watch begins", zh = "监测开始"}

[event."watch.begun".fields]
time_ms = {type = "time"}
watch   = {type = "key", entity = "watch"}

[event."watch.over"]
title = {en = "A watch is over", zh = "监测结束"}

[event."watch.over".fields]
time_ms = {type = "time"}
watch   = {type = "key", entity = "watch"}
"""
PROCESS = """
[process.watch]
per = "watch"

[[process.watch.start]]
event = "watch.begun"
to    = "on"

[process.watch.state.on]

[[process.watch.state.on.on]]
event = "watch.over"
to    = "off"

[process.watch.state.on.timer.hourly]
every = "1h"
STALE

[process.watch.state.on.timer.once]
after = "90m"

[process.watch.state.off]
end = true
"""


def watch(stale=""):
    files = {
        "pack.toml": PACK, "events.toml": EVENTS, "processes.toml": PROCESS.replace("STALE", stale),
        "README.md": "# watch\n",
    }  # fmt: skip
    return read_pack({name: text.encode() for name, text in files.items()}, "watch")


def begun(*names):
    bodies = [json.dumps({"time_ms": T0, "watch": name}).encode() for name in names]
    return [Request("web", f"r-{name}", "watch.begun", body) for name, body in zip(names, bodies, strict=True)]


def caught_up(tmp_path, pack: PackFiles, hours: int, *names: str):
    """Minutes at which the timers were due that fire so many hours later, a list for each group."""
    clock = HandClock()
    engine = opened(tmp_path, clock)
    engine.activate([*packs(), pack])
    engine.writer.submit(begun(*names))
    clock.now_ms += hours * HOUR_MS
    groups = []
    while engine.writer.is_due:
        pending = engine.writer.prepare([])
        engine.writer.commit(pending)
        groups.append([
            (one.event.fields.due_ms - T0) // 60_000 for one in pending.group.items if isinstance(one, Taken)
        ])  # fmt: skip
    engine.close()
    return groups


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c")])
def test_what_comes_again_is_in_order_too(tmp_path, names):
    fired = [one for group in caught_up(tmp_path, watch(), 4, *names) for one in group]
    assert fired == [due for due in (60, 90, 120, 180, 240) for _ in names]


def test_what_was_missed_may_be_one(tmp_path):
    stale = 'stale = "once"\nstale_after = "30m"'
    fired = [one for group in caught_up(tmp_path, watch(stale), 4, "a") for one in group]
    assert fired == [60, 90, 240]
