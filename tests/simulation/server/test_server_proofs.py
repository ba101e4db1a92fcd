"""A real server, watched by a second party over HTTP, whose owner rewrites its log between two starts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from quanheng.loading.new import starter_files


@pytest.fixture
def bank(tmp_path):
    return Bank(tmp_path)


class Bank:
    """The owner: a folder with a pack, a server that starts and stops, and a client that sends events."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.server, self.sent = folder / "bank", None, 0
        self.folder.mkdir()
        for name, content in starter_files("shop").items():
            file = self.folder / "packs" / "shop" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (self.folder / "quanheng.toml").write_text(
            f'[server]\nport = {self.port}\n[packs]\nload = ["shop"]\nfolders = ["packs"]\n'
            '[proofs]\norigin = "bank.example/log"\nsignatures = ["ed25519", "ml-dsa-65"]\n'
        )

    def quanheng(self, *arguments, token=""):
        environment = {**os.environ, "QUANHENG_TOKEN": token}
        command = [sys.executable, "-m", "quanheng.cli", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=environment, check=False, timeout=600
        )

    def start(self):
        with (self.folder / "serve.log").open("w") as log:
            self.server = subprocess.Popen([sys.executable, "-m", "quanheng.cli", "serve"], stderr=log, cwd=self.folder)
        until = time.monotonic() + 600
        while "Quanheng serves" not in (self.folder / "serve.log").read_text():
            assert self.server.poll() is None, (self.folder / "serve.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        assert self.server.wait(60) == 0

    def send(self, count):
        token = (self.folder / ".quanheng" / "keys" / "development.token").read_text().strip()
        events = []
        for _ in range(count):
            self.sent += 1
            data = {"time_ms": 1_768_471_200_000, "customer": f"c{self.sent}", "amount_minor": 100, "currency": "EUR"}
            events.append({"id": f"e{self.sent}", "type": "shop.request", "data": data})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/events", json.dumps(events).encode(), headers
        )
        with urllib.request.urlopen(request) as answer:
            assert {one["status"] for one in json.load(answer)} == {"decided"}

    def files(self):
        return [self.folder / ".quanheng" / "data" / name for name in ("log.db", "log.db-wal", "log.db-shm")]


def test_a_second_party_finds_a_log_that_was_put_back_and_continued(bank, tmp_path):
    bank.start()
    try:
        bank.send(3)
        token = bank.quanheng("token", "create", "auditor", "--scope", "watch").stdout.strip()
        keys = bank.quanheng("log", "key").stdout.split()
        assert len(keys) == 2
        address = f"http://127.0.0.1:{bank.port}"
        command = ("log", "watch", address, "--checkpoint-dir", str(tmp_path / "seen"), "--key", *keys)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/v1/log/checkpoint")
        assert refused.value.code == 401
        assert json.loads(bank.quanheng(*command, "--json", token=token).stdout)["sighting"] == "first"
        bank.send(4)
        grown = bank.quanheng(*command, "--json", token=token)
        assert (grown.returncode, json.loads(grown.stdout)["sighting"]) == (0, "grown")
        assert bank.quanheng(*command, token="wrong").returncode == 1
    finally:
        bank.stop()
    for file in bank.files():
        if file.exists():
            shutil.copy(file, tmp_path / file.name)

    bank.start()
    try:
        bank.send(5)
        assert json.loads(bank.quanheng(*command, "--json", token=token).stdout)["sighting"] == "grown"
    finally:
        bank.stop()
    for file in bank.files():  # The owner puts the copy back, as if the last five events had never been.
        file.unlink(missing_ok=True)
        if (tmp_path / file.name).exists():
            shutil.copy(tmp_path / file.name, file)
    for name in ("log.db.head", "index.db"):
        (bank.folder / ".quanheng" / "data" / name).unlink(missing_ok=True)
    assert json.loads(bank.quanheng("log", "verify", "--json").stdout)["ok"]

    bank.start()
    try:
        cut = bank.quanheng(*command, token=token)
        assert cut.returncode == 3, cut.stderr
        assert cut.stdout.startswith("ALARM bank.example/log: SHRANK. ")
        bank.send(9)
        longer = bank.quanheng(*command, token=token)
        assert longer.returncode == 3, longer.stderr
        assert "REWRITTEN" in longer.stdout
        alarms = sorted(one.name.partition("-")[0] for one in (tmp_path / "seen" / "alarms").iterdir())
        assert alarms == ["rewritten", "shrank"]
    finally:
        bank.stop()
