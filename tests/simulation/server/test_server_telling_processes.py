"""`quanheng serve` as a process: transfers over HTTP, decided as events, killed in between and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from watch import ANNA, BANK, BERT, told, watch

from quanheng.engine import Engine

KILLS, BATCH = 4, 500


class House:
    """A server that is started, killed and started again in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, data in watch().files.items():
            (folder / "packs" / "watch" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "packs" / "watch" / name).write_bytes(data)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = f'[server]\nport = {self.port}\n[packs]\nload = ["watch"]\nfolders = ["packs"]\n'
        (folder / "quanheng.toml").write_text(config)
        self.server: subprocess.Popen | None = None

    def start(self) -> None:
        log = self.folder / f"serve-{time.monotonic_ns()}.log"
        with log.open("w") as out:
            command = [sys.executable, "-m", "quanheng.cli", "serve"]
            self.server = subprocess.Popen(command, stderr=out, cwd=self.folder, start_new_session=True)
        until_s = time.monotonic() + 300
        while "Quanheng serves" not in log.read_text():
            assert self.server.poll() is None, log.read_text()
            assert time.monotonic() < until_s, log.read_text()
            time.sleep(0.05)

    def end(self, how: int) -> None:
        assert self.server is not None
        os.killpg(self.server.pid, how) if how == signal.SIGKILL else self.server.send_signal(how)
        self.server.wait(timeout=60)

    def call(self, path: str, body: object = None) -> object:
        token = next(self.folder.rglob("development.token")).read_text().strip()
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            text = answer.read().decode()
        return text if path == "/metrics" else json.loads(text)

    def lag(self) -> int:
        text = str(self.call("/metrics"))
        line = next(line for line in text.splitlines() if line.startswith("quanheng_engine_ledger_posted_lag "))
        return int(line.split()[1].partition(".")[0])

    def pay(self, first: int) -> None:
        rows = [
            {"id": str(first + at), "debit": str(BANK), "credit": str((ANNA, BERT)[at % 2]), "code": 5,
             "amount_minor": 1_000_001 if at == 7 else 100 + at}
            for at in range(BATCH)
        ]  # fmt: skip
        answered = self.call("/v1/transfers", rows)
        assert {one["outcome"] for one in answered["answers"]} <= {"APPLIED", "EXISTS"}


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    if made.server is not None and made.server.poll() is None:
        made.end(signal.SIGKILL)


def test_transfers_over_http_are_decided_once_each_though_the_server_is_killed(house):
    house.start()
    accounts = [{"id": str(id), "asset": 978, "code": 1} for id in (BANK, ANNA, BERT)]
    assert {one["outcome"] for one in house.call("/v1/accounts", accounts)["answers"]} == {"APPLIED"}
    for kill in range(KILLS):
        for number in range(4):
            house.pay(1_000_000 * (kill + 1) + 1_000 * number)
        house.end(signal.SIGKILL)  # What was answered is durable; most of it is not told yet.
        house.start()
    until_s = time.monotonic() + 120
    while house.lag():
        assert time.monotonic() < until_s
        time.sleep(0.05)
    house.pay(9_000_000)
    while house.lag():
        assert time.monotonic() < until_s
        time.sleep(0.05)
    time.sleep(0.2)  # The last group may still be on its way to the disk.
    house.end(signal.SIGINT)
    keys = next(house.folder.rglob("development.token")).parent
    data = next(house.folder.rglob("log.db")).parent
    engine = Engine.open(data, keys=keys, log_ahead_ms_max=None)
    found = told(engine)
    transfers = [int(one["transfer"], 16) for one in found]
    assert len(transfers) == len(set(transfers)) == BATCH * (4 * KILLS + 1)
    assert [one["offset"] for one in found] == sorted(one["offset"] for one in found)
    large = [one for one in found if one["amount_minor"] > 1_000_000]
    assert len(large) == 4 * KILLS + 1
    assert {engine.decision(one["at"] + 1)["outcome"] for one in large} == {"review"}
    engine.close()
    house.start()
    shown = house.call(f"/v1/decisions/{large[0]['at'] + 1}")
    assert (shown["event"]["data"]["amount_minor"], shown["outcome"]) == (1_000_001, "review")
    house.end(signal.SIGINT)
