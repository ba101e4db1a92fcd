"""Lists changed beside a real `quanheng serve`: decisions before, while an entry stands, and after it has expired."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime

import pytest

from quanheng.server.client import Connection, request_bytes

EXPIRES_S = 20


@pytest.fixture
def serving(tmp_path):
    """A real server of `card_fraud` where changes of lists need two people: its port, and the command line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "quanheng.toml").write_text(
        f'[server]\nport = {port}\n[packs]\nload = ["card_fraud"]\n[governance]\nfour_eyes = true\n'
    )

    def quanheng(*arguments: str, token: str = "") -> str:
        environment = {**os.environ, "COLUMNS": "200", "QUANHENG_TOKEN": token}
        command = [sys.executable, "-m", "quanheng.cli", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False, timeout=600
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    with (tmp_path / "serve.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "quanheng.cli", "serve"], stderr=log, cwd=tmp_path)
    until = time.monotonic() + 600
    while "Quanheng serves" not in (tmp_path / "serve.log").read_text():
        assert server.poll() is None, (tmp_path / "serve.log").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    yield port, quanheng
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0, (tmp_path / "serve.log").read_text()


async def pay(link: Connection, token: str, id: str, device: str) -> dict:
    data = {"time_ms": int(time.time() * 1000), "customer": id, "terminal": "kiosk", "amount_minor": 2500}
    data |= {"currency": "EUR", "channel": "web", "device": device}
    body = json.dumps({"id": id, "type": "card.payment", "data": data}).encode()
    answer = await link.send(request_bytes("POST", "/v1/events", token, body))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def people(quanheng) -> list[str]:
    made = (("web", "ingest", "read"), ("ann", "author", "read"), ("bob", "approve", "read"))
    return [quanheng("token", "create", name, "--scope", *scopes).strip() for name, *scopes in made]


def test_an_entry_decides_from_its_approval_until_it_expires(serving):
    port, quanheng = serving
    web, ann, bob = people(quanheng)

    async def blocked(id: str) -> bool:
        link = await Connection.open("127.0.0.1", port)
        reply = await pay(link, web, id, "d-4711")
        link.close()
        return "device_blocked" in reply.get("reasons", [])

    assert not asyncio.run(blocked("before"))
    asked = ["list", "add", "blocked_devices", "d-4711", "--reason", "stolen", "--json"]
    done = json.loads(quanheng(*asked, "--for", "1h", token=ann))
    assert done["waiting"] is True
    assert not asyncio.run(blocked("while it waits"))
    quanheng("list", "approve", str(done["offset"]), token=bob)
    assert asyncio.run(blocked("while it stands"))
    # The same entry again with another expiry, which is so near that the test can wait for it.
    last = json.loads(quanheng(*asked, "--for", f"{EXPIRES_S}s", token=ann))
    approved = json.loads(quanheng("list", "approve", str(last["offset"]), "--json", token=bob))
    expires_s = datetime.fromisoformat(approved["until"]).timestamp()
    if time.time() < expires_s - 1:
        assert asyncio.run(blocked("shortly before"))
    time.sleep(max(0.0, expires_s - time.time()) + 0.5)
    assert not asyncio.run(blocked("after it expired"))
    assert json.loads(quanheng("log", "verify", "--json"))["ok"] is True


async def _under_load(port: int, web: str, work) -> tuple[object, list[float], set[str]]:
    """What `work` gives while four connections send; seconds of each answer, and their statuses."""
    stop, waited, statuses = asyncio.Event(), [], set()

    async def send(name: str) -> None:
        link = await Connection.open("127.0.0.1", port)
        number = 0
        while not stop.is_set():
            number += 1
            start = time.perf_counter()
            statuses.add((await pay(link, web, f"{name}-{number}", f"d{number}"))["status"])
            waited.append(time.perf_counter() - start)
        link.close()

    senders = [asyncio.create_task(send(f"s{number}")) for number in range(4)]
    done = await asyncio.to_thread(work)
    stop.set()
    await asyncio.gather(*senders)
    return done, waited, statuses


def test_an_import_in_parts_goes_beside_decisions_and_is_approved_as_one(serving, tmp_path):
    port, quanheng = serving
    web, ann, bob = people(quanheng)
    file = tmp_path / "stolen.csv"
    file.write_text("device\n" + "".join(f"d{number}\n" for number in range(25_000)))
    command = ["list", "import", "blocked_devices", str(file), "--reason", "list of the association", "--json"]
    said, waited, statuses = asyncio.run(_under_load(port, web, lambda: quanheng(*command, token=ann)))
    done = json.loads(said)
    assert (done["entries"], done["waiting"], done["rejected"]) == (25_000, True, 0)
    assert statuses == {"decided"}
    assert len(waited) > 20, "decisions were taken meanwhile"
    quanheng("list", "approve", str(done["offset"]), token=bob)

    async def last() -> dict:
        link = await Connection.open("127.0.0.1", port)
        reply = await pay(link, web, "after", "d24999")
        link.close()
        return reply

    reply = asyncio.run(last())
    assert "device_blocked" in reply["reasons"]
    assert json.loads(quanheng("replay", str(reply["decision"]), "--json"))["same"] is True
