"""Jobs behind a real core: a run goes on by itself when it is due, and requests are answered between its chunks."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import test_server_http
from test_server_http import edge

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from debts import DAY_MS, JOBS, T0, Clock, opened, some

from quanheng import recovery
from quanheng.events.intake import Request
from quanheng.kernel.log.records import JOB


def test_a_run_goes_on_by_itself_while_requests_are_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(test_server_http, "Request", Request)
    clock = Clock()
    jobs = JOBS.replace("[job.accrue]", "[job.accrue]\nchunk = 10").replace("[job.note]", "[job.note]\nchunk = 25")
    engine = opened(tmp_path, clock, jobs)
    engine.submit(some(random.Random(2), 400))
    token = engine.issue_token("feed", ["ingest"])
    statuses = []

    async def story(served):
        clock.now_ms = T0 + DAY_MS
        headers = (("authorization", f"Bearer {token}"),)
        for number in range(30):
            data = {"time_ms": T0, "debt": f"d{number}", "debtor": f"c{number}"}
            body = {"id": f"close {number}", "type": "debts.closed", "data": data}
            answered = await served.call("POST", "/v1/events", body, headers)
            statuses.append((answered.status, json.loads(answered.body)["status"]))
        while any(one["runs"][0]["status"] == "running" for one in engine.jobs.shown() if one["runs"]):
            await asyncio.sleep(0.005)
        while engine.log.head != engine.state.head:
            await asyncio.sleep(0.005)
        metrics = (await served.call("GET", "/metrics")).body.decode()
        assert 'quanheng_engine_job_rows_left{key="debts.accrue"} 0' in metrics

    async def play():
        async with edge(tmp_path, engine, **{"limits.timeout_ms": 20_000}) as served:
            await asyncio.wait_for(story(served), 60)

    asyncio.run(play())
    assert statuses == [(200, "recorded")] * 30
    told = {one["job"]: one["runs"][0] for one in engine.jobs.shown()}
    ends = {name: (one["status"], one["done"], one["of"], one["rejected"]) for name, one in told.items()}
    assert ends == dict.fromkeys(("debts.accrue", "debts.roll", "debts.note"), ("done", 400, 400, 0))
    assert (told["debts.accrue"]["chunks"], told["debts.note"]["chunks"]) == (40, 16)
    batches = [{engine.log.record(at).kind for at in range(row.first, row.last)} for row in engine.log.read(0)]
    assert any(JOB in kinds for kinds in batches)
    digest = engine.state.digest()
    assert recovery.rebuild(engine.log, engine.reader.content, None).digest() == digest
    engine.close()
