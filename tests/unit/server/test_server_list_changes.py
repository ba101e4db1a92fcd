# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Lists over HTTP: changes, verdicts, reads, once per id; the edge, a real core, the real engine with card_fraud."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from test_server_http import edge as bare_edge

from quanheng.engine import Engine
from quanheng.loading.find import read_packs

T0 = 1_790_000_000_000
DEVICES = "card_fraud.blocked_devices"


class Desk:
    """People with a token each, and the lists of card_fraud."""

    def __init__(self, edge, engine):
        self.edge, self.engine, self.ids = edge, engine, 0
        people = {"ann": ("author", "read"), "ben": ("approve", "read"), "both": ("author", "approve")}
        self.tokens = {name: engine.issue_token(name, scopes) for name, scopes in people.items()}

    async def call(self, method, who, path, body=b"", query=""):
        headers = [("authorization", f"Bearer {self.tokens[who]}")]
        answer = await self.edge.call(method, f"/v1/lists{path}", body, headers=headers, query=query)
        return answer.status, answer.json

    async def change(self, who, list, change, values, **more):
        self.ids += 1
        return await self.call(
            "POST", who, f"/{list}/changes", {"id": f"c{self.ids}", "change": change, "values": values, **more}
        )

    async def judge(self, who, offset, verdict, **more):
        self.ids += 1
        return await self.call("POST", who, f"/changes/{offset}/{verdict}", {"id": f"c{self.ids}", **more})

    async def listed(self, list=DEVICES, query=""):
        return [one["value"] for one in (await self.call("GET", "ann", f"/{list}", query=query))[1]["shown"]]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Runs a story over one engine; each takes offsets and ids of its own."""
    folder = tmp_path_factory.mktemp("lists")
    engine = Engine.open(folder / "data", clock=lambda: T0)
    engine.activate([read_packs()["party"], read_packs()["card_fraud"]])

    @contextlib.asynccontextmanager
    async def desk(four_eyes):
        engine.four_eyes = four_eyes
        async with bare_edge(folder, engine) as edge:
            yield Desk(edge, engine)

    def run(story, four_eyes=False):
        async def whole():
            async with desk(four_eyes) as one:
                await story(one)

        asyncio.run(whole())

    yield run
    engine.close()


def test_a_list_is_changed_and_read(told):
    async def story(one):
        head = one.engine.log.head
        status, done = await one.change(
            "ann", "blocked_devices", "add", ["d1", "d2", "d1"], reason="stolen", **{"for": "30d"}
        )
        assert (status, done) == (200, {
            "list": DEVICES, "change": "add", "offset": head, "entries": 2, "waiting": False, "as_of": head + 1, "repeated": False,
        })  # fmt: skip
        assert sorted(await one.listed()) == ["d1", "d2"]
        assert len(await one.listed(query="limit=1")) == 1
        status, shown = await one.call("GET", "ben", "")
        assert (status, shown["lists"][0]["list"], shown["lists"][0]["entries"], shown["waiting"]) == (
            200,
            DEVICES,
            2,
            [],
        )
        assert (await one.change("ann", DEVICES, "add", ["d3"], until="2036-01-31"))[0] == 200
        assert (await one.change("ann", DEVICES, "remove", ["d1", "d2", "d3"]))[1]["entries"] == 3
        assert await one.listed() == []

    told(story)


def test_a_change_waits_for_another_person(told):
    async def story(one):
        status, done = await one.change("both", DEVICES, "add", ["e1"], reason="seen")
        assert (status, done["waiting"]) == (200, True)
        offset = done["offset"]
        assert (await one.call("GET", "ben", ""))[1]["waiting"][0]["offset"] == offset
        assert await one.listed(str(offset)) == ["e1"]
        status, body = await one.judge("both", offset, "approve")
        assert (status, body["error"]) == (403, (
            f"offset {offset}: whoever proposed a change of a list cannot judge it; was both. "
            "Ask another person: four eyes see more than two."
        ))  # fmt: skip
        status, body = await one.judge("ben", offset, "reject")
        assert (status, "a rejection needs a reason" in body["error"]) == (422, True)
        status, judged = await one.judge("ben", offset, "approve", id="v", reason="seen too")
        assert (status, judged["approved"], judged["by"], judged["entries"]) == (200, True, "ben", 1)
        head = one.engine.log.head
        again = await one.judge("ben", offset, "approve", id="v", reason="seen too")
        assert again == (200, {**judged, "as_of": head, "repeated": True})
        assert (await one.judge("ben", offset, "reject", id="v", reason="seen too"))[0] == 409
        status, body = await one.judge("ben", offset, "approve")
        assert (status, "no change of a list waits there" in body["error"]) == (422, True)
        assert (one.engine.log.head, await one.listed()) == (head, ["e1"])

    told(story, four_eyes=True)


def test_a_change_of_many_values_is_done_once(told):
    async def story(one):
        values = [f"m{n}" for n in range(25_000)]
        status, first = await one.change("ann", DEVICES, "add", values, id="many")
        head = one.engine.log.head
        assert (status, first["entries"], head - first["offset"]) == (200, 25_000, 3)
        again = await one.change("ann", DEVICES, "add", values, id="many")
        assert again == (200, {**first, "as_of": head, "repeated": True})
        assert (await one.change("ann", DEVICES, "add", values[1:], id="many"))[0] == 409
        assert one.engine.log.head == head
        assert (await one.change("ann", DEVICES, "remove", values))[0] == 200

    told(story)


@pytest.mark.parametrize(
    ("list", "more", "status", "error"),
    [
        ("nothing", {}, 404, "list: no pack in force declares such a list; was 'nothing'"),
        (DEVICES, {"values": []}, 422, "these values cannot stand on a list; was 0 values"),
        (DEVICES, {"values": [""]}, 422, "these values cannot stand on a list; was a value of 0 characters"),
        (DEVICES, {"values": "d1"}, 422, "field values: the body does not fit this address; was str; allowed: array"),
        (DEVICES, {"change": "drop"}, 422, "field change: the body does not fit this address; was Invalid enum value 'drop'"),
        (DEVICES, {"until": "2036-01-31", "for": "30d"}, 422,
         "until: an entry expires either at a moment or after a time; was for too"),
        (DEVICES, {"until": "2016-01-31"}, 422, "the entries would have expired already"),
        (DEVICES, {"for": "soon"}, 422, "not a duration; was 'soon'"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused(told, list, more, status, error):
    async def story(one):
        head = one.engine.log.head
        asked = {"id": "x", "change": "add", "values": ["d1"], **more}
        found, body = await one.call("POST", "ann", f"/{list}/changes", asked)
        assert (found, error in body["error"], one.engine.log.head) == (status, True, head), body

    told(story)


def test_reads_that_cannot_be(told):
    async def story(one):
        assert (await one.call("GET", "ann", "/nothing"))[0] == 404
        for limit in ("0", "1001", "x"):
            status, body = await one.call("GET", "ann", f"/{DEVICES}", query=f"limit={limit}")
            assert (status, body["where"]) == (400, "limit")
        assert (await one.call("GET", "both", ""))[0] == 403

    told(story)
