
"""The command line and a real server with the real engine and a real pack: one story, end to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import polars as pl
import pytest

from quanheng.loading.new import starter_files
from quanheng.server.client import Connection, request_bytes

PACK = "card_fraud"


@pytest.fixture
def quanheng(tmp_path):
    def call(*arguments, code=0):
        environment = {**os.environ, "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-m", "quanheng.cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
            timeout=600,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    return call


def payments(folder, rows):
    start = 1_790_000_000_000
    frame = pl.DataFrame(
        {
            "transaction_id": range(rows),
            "time": [start + number * 60_000 for number in range(rows)],
            "customer_id": [number % 7 for number in range(rows)],
            "terminal_id": [number % 5 for number in range(rows)],
            "amount_minor": [1_000 + number if number % 50 != 49 else -5 for number in range(rows)],
            "is_fraud": [int(number % 40 == 3) for number in range(rows)],
        }
    )
    frame.write_csv(folder / "payments.csv")


def test_a_file_is_taken_once_and_every_answer_can_be_read_replayed_and_verified(quanheng, tmp_path):
    payments(tmp_path, 200)
    command = ("ingest", "payments.csv", "--pack", PACK, "--map", "handbook", "--json")
    first = json.loads(quanheng(*command).splitlines()[-1])
    assert (first["rows"], first["decided"], first["recorded"], first["rejected"]) == (200, 196, 5, 4)
    rejects = [json.loads(line) for line in (tmp_path / "payments.csv.rejects.jsonl").read_text().splitlines()]
    assert [one["row"] for one in rejects] == [50, 100, 150, 200]
    assert "amount_minor" in rejects[0]["error"]
    again = json.loads(quanheng(*command).splitlines()[-1])
    assert (again["repeated"], again.get("decided", 0)) == (201, 0)

    head = json.loads(quanheng("log", "head", "--json"))
    verified = json.loads(quanheng("log", "verify", "--json"))
    assert (verified["ok"], verified["records"], verified["root"]) == (True, head["records"], head["root"])
    quanheng("log", "checkpoint", "--out", "checkpoint.txt")
    assert "are as they were written" in quanheng("log", "verify", "--checkpoint", "checkpoint.txt")
    (tmp_path / "checkpoint.txt").write_text("nonsense")
    assert "not a checkpoint" in quanheng("log", "verify", "--checkpoint", "checkpoint.txt", code=2)
    decision = 3  # After the packs, the token and the first event.
    shown = json.loads(quanheng("decision", str(decision), "--json"))
    assert shown["outcome"] in ("approve", "review", "decline")
    assert json.loads(quanheng("replay", str(decision), "--json"))["same"] is True
    assert "there is no decision with this offset" in quanheng("decision", "0", code=2)
    assert "is recorded at offset" in (told := quanheng("erase", "party.customer", "1", "--yes"))
    assert told.endswith("; the key is destroyed\n")
    assert "; no key was there" in quanheng("erase", "party.customer", "1", "--yes")
    assert "are as they were written" in quanheng("log", "verify")


def test_operations_and_files_go_through_the_running_server(quanheng, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "quanheng.toml").write_text(f'[server]\nport = {port}\n[packs]\nload = ["{PACK}"]\n')
    with (tmp_path / "serve.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "quanheng.cli", "serve"], stderr=log, cwd=tmp_path)
    try:
        until = time.monotonic() + 600
        while "Quanheng serves" not in (tmp_path / "serve.log").read_text():
            assert server.poll() is None, (tmp_path / "serve.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        payments(tmp_path, 60)
        made = json.loads(quanheng("ingest", "payments.csv", "--map", "handbook", "--json").splitlines()[-1])
        assert (made["decided"], made["rejected"]) == (59, 1)
        token = quanheng("token", "create", "shop", "--scope", "ingest", "read").strip()
        assert "shop  ingest, read" in quanheng("token", "list")
        event = {
            "id": "one",
            "type": "card.payment",
            "data": {
                "time_ms": 1_790_000_000_000,
                "customer": "x",
                "terminal": "t",
                "amount_minor": 500,
                "currency": "EUR",
                "channel": "chip",
            },
        }
        reply = _post(port, token, event)
        assert reply["status"] == "decided"
        assert _post(port, token, event)["status"] == "repeated"
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/decisions/{reply['decision']}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["event"]["id"] == "one"
        quanheng("token", "revoke", "shop")
        with pytest.raises(urllib.error.HTTPError) as refused:
            _post(port, token, event)
        assert refused.value.code == 401
        assert PACK in quanheng("pack", "activate", PACK)
        assert json.loads(quanheng("log", "verify", "--json"))["ok"] is True
        assert "error: revoke_token: the running server refused; was " in quanheng("token", "revoke", "nobody", code=1)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


@pytest.fixture
def serving(tmp_path):
    """A real server of the pack `shop`, which lies in a folder beside it; its port and its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, content in starter_files("shop").items():
        file = tmp_path / "packs" / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "quanheng.toml").write_text(f'[server]\nport = {port}\n[packs]\nload = ["shop"]\nfolders = ["packs"]\n')
    with (tmp_path / "serve.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "quanheng.cli", "serve"], stderr=log, cwd=tmp_path)
    until = time.monotonic() + 600
    while "Quanheng serves" not in (tmp_path / "serve.log").read_text():
        assert server.poll() is None, (tmp_path / "serve.log").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    yield port, (tmp_path / ".quanheng" / "keys" / "development.token").read_text().strip()
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0, (tmp_path / "serve.log").read_text()


def _change(folder, file, old, new):
    path = folder / "packs" / "shop" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


AMOUNT = 450_000
START_MS = 1_768_471_200_000


async def _requests(port, token, name, stop):
    """Send one request after another until told to stop: (id, status, outcome) of each."""
    link, answers = await Connection.open("127.0.0.1", port), []
    while not stop.is_set():
        id = f"{name}-{len(answers)}"
        data = {"time_ms": START_MS + len(answers), "customer": id, "amount_minor": AMOUNT, "currency": "EUR"}
        body = json.dumps({"id": id, "type": "shop.request", "data": data}).encode()
        answer = await link.send(request_bytes("POST", "/v1/events", token, body))
        reply = json.loads(answer.body)
        answers.append((id, answer.status, reply.get("status"), reply.get("outcome")))
    link.close()
    return answers


async def _activated_under_load(quanheng, port, token):
    """What `pack activate` says while eight connections send, and their answers."""
    stop = asyncio.Event()
    senders = [asyncio.create_task(_requests(port, token, f"s{number}", stop)) for number in range(8)]
    await asyncio.sleep(0.5)
    said = await asyncio.to_thread(quanheng, "pack", "activate", "shop")
    await asyncio.sleep(0.5)
    stop.set()
    return said, [await sender for sender in senders]


def test_packs_are_activated_beside_a_running_server_under_load(quanheng, serving, tmp_path):
    port, token = serving
    offline = "party 1.0.0\nshop 0.1.0\n"
    assert quanheng("pack", "activate") == offline
    _change(tmp_path, "parameters/limits.toml", "value = 500_000", "value = 600_000")
    assert "golden cases fail" in quanheng("pack", "activate", "shop", code=1)
    _change(tmp_path, "parameters/limits.toml", "value = 600_000", "value = 400_000")
    _change(tmp_path, "cases/first.toml", "500_001", "400_001")
    _change(tmp_path, "features.toml", 'window = "1d"', 'window = "2d"')  # The folds change too.
    said, answers = asyncio.run(_activated_under_load(quanheng, port, token))
    assert said == offline
    sent = [one for sender in answers for one in sender]
    assert {(status, reply) for _, status, reply, _ in sent} == {(200, "decided")}, "no request was lost or refused"
    for sender in answers:  # Every connection sees the change once, and never back.
        outcomes = [outcome for *_, outcome in sender]
        assert outcomes == sorted(outcomes)
        assert set(outcomes) == {"approve", "decline"}
    reply = _post(
        port,
        token,
        {
            "id": "next",
            "type": "shop.request",
            "data": {"time_ms": START_MS, "customer": "x", "amount_minor": AMOUNT, "currency": "EUR"},
        },
    )
    assert reply["outcome"] == "decline"
    verified = json.loads(quanheng("log", "verify", "--json"))
    assert verified["ok"]
    shown = json.loads(quanheng("decision", str(reply["decision"]), "--json"))
    assert shown["versions"]["activation"] > 1
    assert json.loads(quanheng("replay", str(reply["decision"]), "--json"))["same"] is True
    assert json.loads(quanheng("replay", "3", "--json"))["same"] is True


def _post(port, token, event):
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_run_plays_traffic_and_ends_after_the_table(quanheng, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ("run", "--pack", PACK, "--seconds", "2", "--connections", "4", "--port", str(port), "--once", "--json")
    for _ in range(2):  # The second run empties the folder of the first.
        out = quanheng(*command)
        made = json.loads(out.splitlines()[-1])
        assert made["decided"] > 20
        assert "fraud value stopped" in out
        assert "latency p50 / p99" in out
        assert (tmp_path / ".quanheng" / "run" / "made-by-quanheng-run").is_file()
