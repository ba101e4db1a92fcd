# ruff: noqa: E501, ISC004  (texts under test stand whole, on one line)
"""The edge, spoken to as RSGI, with a real core behind a real Unix socket: limits, errors, headers, documentation, logs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re

import pytest
from server_twin import READER, TOKEN, Request, Twin

from quanheng.server import config as configuration
from quanheng.server import http
from quanheng.server.connection import Link
from quanheng.server.core import Core
from quanheng.server.logs import Log

EVENT = {"id": "a", "type": "payment", "data": {"amount_minor": 100}}
AUTHORIZATION = ("authorization", f"Bearer {TOKEN}")


class Clock:
    def __init__(self):
        self.now_ms = 1_000_000

    def ms(self):
        return self.now_ms

    def us(self):
        return self.now_ms * 1000


class Headers:
    """Header lines as Granian gives them: names in lower case; the first of a name is the one."""

    def __init__(self, lines):
        self.lines = list(lines)

    def get(self, name, default=None):
        return next((value for key, value in self.lines if key == name), default)

    def items(self):
        return self.lines


class Scope:
    http_version, scheme, server, client = "1.1", "http", "127.0.0.1:8770", "127.0.0.1:1"

    def __init__(self, method, path, query, headers):
        self.method, self.path, self.query_string, self.headers = method, path, query, Headers(headers)


class Proto:
    """One request of Granian's: its body, whole or in pieces, and the answer to it."""

    def __init__(self, pieces):
        self.pieces = pieces

    async def __call__(self):
        return b"".join(self.pieces)

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece

    def response_bytes(self, status, headers, body):
        self.status, self.headers, self.body = status, dict(headers), body

    @property
    def json(self):
        return json.loads(self.body)


class Edge:
    """An application, its core, its engine and its clock."""

    def __init__(self, app, engine, core, clock):
        self.app, self.engine, self.core, self.clock = app, engine, core, clock

    async def call(self, method, path, body=b"", headers=(AUTHORIZATION,), query="", pieces=0):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        parts = [body] if not pieces else [body[at : at + pieces] for at in range(0, len(body), pieces)]
        given = [*headers, *([("content-length", str(len(body)))] if body and not pieces else [])]
        proto = Proto(parts)
        await self.app.__rsgi__(Scope(method, path, query, given), proto)
        return proto

    async def post(self, body, **more):
        return await self.call("POST", "/v1/events", body, **more)


@contextlib.asynccontextmanager
async def edge(tmp_path, engine=None, fast=True, with_core=True, **overrides):
    engine, clock = engine or Twin(), Clock()
    config = configuration.read(None, {"limits.timeout_ms": 300, "logs.access": "off", **overrides})
    path = tmp_path / "core.sock"
    core = Core(engine, Request, config.limits, clock.ms, Log("error"))
    server = await asyncio.get_running_loop().create_unix_server(lambda: Link(core), str(path)) if with_core else None
    running = asyncio.create_task(core.run())
    example = {"id": "e-1", "type": "payment", "data": {"amount_minor": 100}}
    app = http.Application(http.Edge(config, str(path), [example]), clock.ms, clock.us, fast)
    await app.pool.open()
    try:
        yield Edge(app, engine, core, clock)
    finally:
        await app.pool.close()
        core.stop()
        await running
        if server:
            server.close()


def run(story):
    asyncio.run(story())


@pytest.mark.parametrize("fast", [True, False])
def test_both_ways_in_answer_alike(tmp_path, fast):
    async def story():
        async with edge(tmp_path, fast=fast) as one:
            answers = [
                await one.post(EVENT),
                await one.post(EVENT),
                await one.post({**EVENT, "data": {}}),
                await one.post({**EVENT, "id": "b", "type": "nothing"}),
                await one.post([EVENT, {**EVENT, "id": "c"}]),
                await one.post([]),
                await one.post(b"{"),
                await one.post(EVENT, headers=()),
                await one.post(EVENT, headers=[("authorization", f"Bearer {READER}")]),
                await one.post({**EVENT, "id": "d"}, query="dry_run=true"),
            ]
            assert [answer.status for answer in answers] == [200, 200, 409, 422, 200, 200, 400, 401, 403, 200]
            assert answers[0].json == {
                "id": "a", "status": "decided", "offset": 0, "decision": 1, "outcome": "approve", "reasons": ["ok"],
            }  # fmt: skip
            assert [reply["status"] for reply in answers[4].json] == ["repeated", "decided"]
            assert answers[5].body == b"[]"
            assert answers[9].json["dry_run"] is True
            assert answers[7].headers["www-authenticate"] == "Bearer"
            for answer in answers:
                assert answer.headers["content-type"] == "application/json"
                assert answer.headers["cache-control"] == "no-store"

    run(story)


def test_one_malformed_event_does_not_stop_the_rest(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            sent = [EVENT, {"id": 5, "type": "payment", "data": {}}, {"type": "payment", "data": {}}, 7, {**EVENT, "id": "y", "k": 1},
                    {**EVENT, "id": ""}, {**EVENT, "id": "x" * 201}, {**EVENT, "id": "z"}]  # fmt: skip
            answer = await one.post(sent)
            assert answer.status == 200
            assert [reply["status"] for reply in answer.json] == ["decided", *["rejected"] * 6, "decided"]
            allowed = "id (text), type (text), data (object). Correct it and send it again."
            errors = [reply.get("error") for reply in answer.json[1:7]]
            assert errors == [
                "event 1, field id: the event is malformed; was int; allowed: str. Correct it and send it again.",
                f"event 2, field id: the event is malformed; was missing; allowed: {allowed}",
                "event 3: the event is malformed; was int; allowed: object. Correct it and send it again.",
                f"event 4, field k: the event is malformed; was an unknown field; allowed: {allowed}",
                "event 5, field id: the event is malformed; was a text of another length; allowed: str of length >= 1. "
                "Correct it and send it again.",
                "event 6, field id: the event is malformed; was a text of another length; allowed: str of length <= 200. "
                "Correct it and send it again.",
            ]
            assert answer.json[4]["id"] == "y"
            single = await one.post({"id": "q", "type": "payment"})
            assert (single.status, single.json["id"], single.json["status"]) == (422, "q", "rejected")
            assert single.json["error"].startswith("event, field data: the event is malformed; was missing")

    run(story)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "an empty body"),
        (b"  ", "an empty body"),
        (b"[1,", "Input data was truncated"),
        (b'{"id":"\xff"}', "utf-8"),
        # What does not fit an event is seen before the end of the JSON is.
        (b'{"id":"x","foo":1,', "Input data was truncated"),
        (b'{"foo":1,"id":"x","data":\xff}', "invalid character (byte 25)"),
        (b'{"foo":' + b"[" * 10_000, "maximum recursion depth"),
        (b'[{"id":1},' + b"[" * 10_000, "maximum recursion depth"),
    ],
)
def test_what_is_not_json_is_400(tmp_path, body, found):
    async def story():
        async with edge(tmp_path) as one:
            answer = await one.post(body)
            assert answer.status == 400
            assert answer.json["error"].startswith("/v1/events: the body is not JSON; was ")
            assert found in answer.json["found"]
            assert answer.json["cure"] == "Send valid JSON in UTF-8."

    run(story)


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer ", "token-of-the-tests"])
def test_without_a_bearer_token_nothing_is_read(tmp_path, header):
    async def story():
        async with edge(tmp_path) as one:
            answer = await one.post(EVENT, headers=[("authorization", header)] if header else [])
            assert answer.status == 401
            assert answer.json["error"] == (
                "header Authorization: the request carries no bearer token; allowed: Authorization: Bearer TOKEN. "
                "Make one with `quanheng token create NAME --scope ingest`."
            )

    run(story)


def test_too_many_bytes_are_413_told_or_streamed(tmp_path):
    async def story():
        async with edge(tmp_path, **{"limits.body_bytes_max": 1024}) as one:
            big = {**EVENT, "data": {"text": "x" * 2000}}
            for answer in (await one.post(big), await one.post(big, pieces=100)):
                assert answer.status == 413
                assert "the request body is too large; was " in answer.json["error"]
                assert answer.json["allowed"] == "1024 bytes (limits.body_bytes_max)"
                assert answer.json["cure"] == "Send fewer events in one request."
            assert (await one.post(EVENT, pieces=7)).status == 200
            both = [AUTHORIZATION, ("transfer-encoding", "chunked"), ("content-length", "10")]
            assert (await one.post(big, headers=both, pieces=100)).status == 413, "the told length does not count then"
            lying = await one.post(big, headers=[AUTHORIZATION, ("content-length", "10")])
            assert lying.status == 413
            assert one.engine.head == 2

    run(story)


def test_too_many_events_are_413(tmp_path):
    async def story():
        async with edge(tmp_path, **{"limits.events_max": 2}) as one:
            answer = await one.post([{**EVENT, "id": str(number)} for number in range(3)])
            assert (answer.status, answer.json["error"]) == (413, (
                "/v1/events: the request holds too many events; was 3 events; allowed: 2 events (limits.events_max). "
                "Send them in several requests."
            ))  # fmt: skip

    run(story)


def test_a_client_over_its_rate_is_429_and_others_are_not(tmp_path):
    async def story():
        async with edge(tmp_path, **{"limits.client_events_per_s": 10, "limits.client_burst_events": 20}) as one:
            assert (await one.post([{**EVENT, "id": str(number)} for number in range(20)])).status == 200
            answer = await one.post([{**EVENT, "id": str(number)} for number in range(15)])
            assert (answer.status, answer.headers["retry-after"]) == (429, "2")
            assert answer.json["error"] == (
                "this client sends too many events; nothing was written; allowed: 10 events/s, bursts of 20 (limits.client_*). "
                "Send again after 2 s."
            )
            other = await one.post(EVENT, headers=[("authorization", f"Bearer {READER}")])
            assert other.status == 403
            one.clock.now_ms += 1500
            assert (await one.post([{**EVENT, "id": str(number)} for number in range(15)])).status == 200

    run(story)


def test_a_full_queue_is_429_with_retry_after(tmp_path):
    async def story():
        async with edge(
            tmp_path, Twin(commit_s=0.3), **{"limits.queue_events_max": 1, "limits.timeout_ms": 5000}
        ) as one:
            answers = await asyncio.gather(*(one.post({**EVENT, "id": str(number)}) for number in range(6)))
            statuses = sorted(answer.status for answer in answers)
            assert set(statuses) == {200, 429}
            refused = next(answer for answer in answers if answer.status == 429)
            assert refused.headers["retry-after"] == "1"
            assert "the queue in front of the writer is full" in refused.json["error"]

    run(story)


def test_the_wait_of_a_caller_becomes_a_deadline(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            await one.post(EVENT)
            await one.post({**EVENT, "id": "b"}, headers=[AUTHORIZATION, ("x-request-timeout-ms", "40")])
            assert one.engine.deadlines == [one.clock.now_ms + 300, one.clock.now_ms + 40]
        async with edge(tmp_path, **{"limits.timeout_ms": 0}) as one:
            await one.post(EVENT)
            assert one.engine.deadlines == [0]

    run(story)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", "60001", ""])
def test_a_wrong_time_to_wait_is_400(tmp_path, value):
    async def story():
        async with edge(tmp_path) as one:
            answer = await one.post(EVENT, headers=[AUTHORIZATION, ("x-request-timeout-ms", value)])
            assert (answer.status, answer.json["error"]) == (400, (
                f"X-Request-Timeout-Ms: the header is not a time to wait; was {value!r}; "
                "allowed: 1 to 60000 (milliseconds). Correct the header, or leave it out."
            ))  # fmt: skip

    run(story)


def test_a_core_that_does_not_answer_in_time_is_503_and_the_event_is_kept(tmp_path):
    async def story():
        async with edge(tmp_path, Twin(commit_s=0.8)) as one:
            answer = await one.post(EVENT, headers=[AUTHORIZATION, ("x-request-timeout-ms", "50")])
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.json["error"] == (
                "the core did not answer before the deadline; whether the events of this request were recorded is not known. "
                "Send them again with the same ids, or allow more time with the header X-Request-Timeout-Ms."
            )
            await asyncio.sleep(0.8)
            assert (await one.post(EVENT, headers=[AUTHORIZATION, ("x-request-timeout-ms", "5000")])).json[
                "status"
            ] == "repeated"

    run(story)


def test_without_a_core_everything_is_503(tmp_path):
    async def story():
        async with edge(tmp_path, with_core=False) as one:
            answer = await one.post(EVENT)
            assert answer.status == 503
            assert answer.json["error"].startswith(
                "the core is not reachable; whether the events of this request were recorded"
            )
            for path in ("/v1/health", "/metrics", "/v1/decisions/1", "/v1/rejects"):
                read = await one.call("GET", path)
                assert (read.status, read.json["error"]) == (
                    503, "the core is not reachable, or did not answer in time. Ask again in a moment; look at /v1/health.",
                )  # fmt: skip

    run(story)


def test_the_edge_finds_a_core_that_comes_back(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            for link in list(one.core.links):
                link.close()
            await asyncio.sleep(0.3)
            assert (await one.post(EVENT)).status == 200

    run(story)


@pytest.mark.parametrize("query", ["dry_run=yes", "dryrun=true", "dry_run=true&x=1", "dry_run"])
def test_an_unknown_query_is_refused_so_that_a_slip_is_not_recorded(tmp_path, query):
    async def story():
        async with edge(tmp_path) as one:
            answer = await one.post(EVENT, query=query)
            assert answer.status == 400
            assert answer.json["error"].startswith("/v1/events: a query parameter is unknown; was '")
            assert answer.json["error"].endswith("allowed: dry_run=true, dry_run=false. Correct the address.")
            assert one.engine.head == 0
            assert (await one.post(EVENT, query="dry_run=false")).json["offset"] == 0

    run(story)


def test_versions_of_packs_are_read(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            shop = [{"pack": "shop", "status": "champion"}]
            for path in ("/v1/policies", "/v1/policies/shop"):
                assert (await one.call("GET", path)).json["versions"] == shop
                assert (await one.call("GET", path, headers=())).status == 401
            missing = await one.call("GET", "/v1/policies/none")
            assert (missing.status, missing.json["where"]) == (404, "none")

    run(story)


def test_decisions_and_rejects_are_read(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            await one.post([EVENT, {**EVENT, "id": "bad", "type": "nothing"}])
            assert (await one.call("GET", "/v1/decisions/1")).json == {"offset": 1, "outcome": "approve"}
            assert (await one.call("GET", "/v1/decisions/7")).status == 404
            assert (await one.call("GET", "/v1/decisions/99")).status == 410
            assert (await one.call("GET", "/v1/decisions/1", headers=())).status == 401
            assert (await one.call("GET", "/v1/rejects", query="limit=5")).json == {
                "count": 1,
                "rejects": [{"id": "bad"}],
            }
            assert (await one.call("GET", "/v1/rejects", query="after=0")).json == {"count": 1, "rejects": []}
            for path, query, where in (("/v1/decisions/x", "", "decision"), ("/v1/rejects", "limit=0", "limit"),
                                       ("/v1/rejects", "limit=1001", "limit"), ("/v1/rejects", "after=-1", "after")):  # fmt: skip
                answer = await one.call("GET", path, query=query)
                assert (answer.status, answer.json["where"]) == (400, where)
                assert answer.json["error"].startswith(f"{where}: the address holds no such number; was ")
                assert answer.json["error"].endswith("Correct the address.")

    run(story)


def test_checkpoints_and_proofs_are_asked_for_under_a_scope_of_their_own(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            await one.post([EVENT, {**EVENT, "id": "b"}])
            note = await one.call("GET", "/v1/log/checkpoint")
            assert (note.status, note.headers["content-type"], note.body) == (
                200,
                "text/plain; charset=utf-8",
                b"checkpoint 0 -1",
            )
            for path, query, told in (
                ("/v1/log/consistency", "old=2&new=4", b"consistency 2 4"), ("/v1/log/consistency", "old=2", b"consistency 2 -1"),
                ("/v1/log/inclusion/3", "size=4", b"inclusion 3 4"), ("/v1/log/inclusion/3", "", b"inclusion 3 -1"),
            ):  # fmt: skip
                assert (await one.call("GET", path, query=query)).body == told
                assert (await one.call("GET", path, query=query, headers=())).status == 401
                reader = await one.call("GET", path, query=query, headers=[("authorization", f"Bearer {READER}")])
                assert (reader.status, reader.json["allowed"]) == (403, "watch")
            missing = await one.call("GET", "/v1/log/consistency", query="old=9")
            assert (missing.status, missing.json["found"]) == (404, "9")
            assert missing.headers["content-type"].startswith("application/json")
            for path, query, where in (("/v1/log/consistency", "old=x", "old"), ("/v1/log/consistency", "old=1&new=-1", "new"),
                                       ("/v1/log/inclusion/x", "", "offset"), ("/v1/log/inclusion/1", "size=x", "size")):  # fmt: skip
                answer = await one.call("GET", path, query=query)
                assert (answer.status, answer.json["where"]) == (400, where)
            assert (await one.call("GET", "/v1/log/consistency")).status == 400

    run(story)


def test_health_and_metrics_need_no_token(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            await one.post([EVENT, 5])
            health = await one.call("GET", "/v1/health", headers=())
            assert (health.status, health.json) == (200, {"status": "ok", "queue_events": 0, "offset": 2})
            await asyncio.sleep(0.2)
            metrics = await one.call("GET", "/metrics", headers=())
            assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = metrics.body.decode()
            assert 'quanheng_events_total{status="decided"} 1' in text
            assert 'quanheng_decisions_total{outcome="approve"} 1' in text
            assert "quanheng_group_events_count 1" in text

    run(story)


def test_unknown_addresses_and_methods_answer_in_our_shape(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            missing, wrong = await one.call("GET", "/nothing"), await one.call("GET", "/v1/events")
            assert (missing.status, missing.json["error"]) == (404, "Not Found. See /schema for all addresses.")
            assert (wrong.status, wrong.json["error"]) == (
                405,
                "Method Not Allowed. See /schema for the methods of this address.",
            )

    run(story)


def test_the_schema_documents_every_address_with_the_packs_examples(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            schema = (await one.call("GET", "/schema/openapi.json", headers=())).json
            assert set(schema["paths"]) == {
                "/v1/events", "/v1/decisions/{offset}", "/v1/rejects", "/v1/policies", "/v1/policies/{pack}", "/v1/health", "/metrics",
                "/v1/policies/{pack}/draft", "/v1/policies/{pack}/activate", "/v1/policies/{pack}/roll_back",
                "/v1/policies/{pack}/{version}/{step}", "/v1/lists", "/v1/lists/{list}", "/v1/lists/{list}/changes",
                "/v1/lists/changes/{offset}/{verdict}", "/v1/log/checkpoint", "/v1/log/consistency",
                "/v1/log/inclusion/{offset}", "/v1/accounts", "/v1/accounts/amend", "/v1/accounts/{id}",
                "/v1/accounts/{id}/balance", "/v1/accounts/{id}/statement", "/v1/transfers", "/v1/transfers/{id}",
                "/v1/processes", "/v1/processes/{name}", "/v1/processes/{name}/{id}", "/v1/processes/{name}/{id}/history",
                "/v1/models", "/v1/models/{pack}", "/v1/models/{pack}/{model}/{version}", "/v1/models/{pack}/{model}/draft",
                "/v1/models/{pack}/{model}/history", "/v1/models/{pack}/{model}/compare",
            }  # fmt: skip
            post = schema["paths"]["/v1/events"]["post"]
            content = post["requestBody"]["content"]["application/json"]
            assert content["examples"]["payment"]["value"] == {
                "id": "e-1",
                "type": "payment",
                "data": {"amount_minor": 100},
            }
            assert [one["name"] for one in post["parameters"]] == ["dry_run", "X-Request-Timeout-Ms"]
            assert set(post["responses"]) == {"200", "400", "401", "403", "409", "413", "422", "429", "503"}
            for path in schema["paths"].values():
                assert all(operation["summary"] for operation in path.values())

    run(story)


def test_the_schema_says_what_the_body_of_each_change_holds(tmp_path):
    async def story():
        async with edge(tmp_path) as one:
            paths = (await one.call("GET", "/schema/openapi.json", headers=())).json["paths"]
            apart = "/v1/events", "/v1/accounts", "/v1/accounts/amend", "/v1/transfers"
            posts = {path: told["post"] for path, told in paths.items() if "post" in told and path not in apart}
            assert len(posts) == 7
            for path, post in posts.items():
                content = post["requestBody"]["content"]["application/json"]
                (example,) = (one["value"] for one in content["examples"].values())
                schema = content["schema"]
                assert set(example) <= set(schema["properties"])
                assert "id" in schema["required"]
                assert schema["additionalProperties"] is False
                assert "$ref" not in json.dumps(schema)
                assert set(post["responses"]) == {"200", "400", "401", "403", "404", "409", "413", "422", "429", "503"}
                assert {one["name"] for one in post["parameters"]} == set(re.findall(r"{(\w+)}", path))
                assert "is answered with what was recorded" in post["description"]
            files = posts["/v1/policies/{pack}/draft"]["requestBody"]["content"]["application/json"]["schema"][
                "properties"
            ]["files"]
            assert {one["type"] for one in files["additionalProperties"]["anyOf"]} == {"string", "null", "object"}

    run(story)


def test_logs_hold_nothing_personal(tmp_path, capsys):
    marked = "PERSONAL-4111111111111111"

    async def story():
        async with edge(tmp_path, **{"logs.access": "all", "logs.level": "debug"}) as one:
            bearer = [("authorization", f"Bearer {marked}")]
            await one.post({"id": marked, "type": "payment", "data": {"customer": marked}})
            await one.post({"id": marked, "type": marked, "data": {"customer": marked}, marked: 1})
            await one.post(f'{{"{marked}'.encode())
            await one.post(EVENT, headers=bearer)
            await one.post(EVENT, query=marked)
            await one.post(EVENT, headers=[AUTHORIZATION, ("x-request-timeout-ms", marked)])
            await one.call("GET", f"/v1/decisions/{marked}")
            await one.call("GET", f"/{marked}")
            await one.call("GET", "/v1/rejects", query=f"after={marked}")
            change = {"id": marked, "change": "add", "values": [marked], "reason": marked, marked: 1}
            await one.call("POST", f"/v1/lists/{marked}/changes", change)
            await one.call("POST", f"/v1/policies/{marked}/{marked}/submit", {"id": marked, "reason": marked})

    run(story)
    written = capsys.readouterr()
    lines = [json.loads(line) for line in written.err.splitlines() if line.startswith("{")]
    assert len(lines) == 8, "every request to /v1/events and every change is in the access log"
    assert [line["route"] for line in lines if line["event"] == "request"][-2:] == [
        "/v1/lists/{list}/changes", "/v1/policies/{pack}/{version}/{step}"
    ]  # fmt: skip
    assert lines[0].keys() == {"time", "level", "process", "event", "route", "method", "status", "events", "took_ms"}
    assert marked not in written.err + written.out
