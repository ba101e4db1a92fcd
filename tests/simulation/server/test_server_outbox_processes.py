"""`quanheng serve` as a process with an outbox: killed between commit, sending and the answer; dead letters."""

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

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "outbox"))
from partner import CALLS, calling, partner, told

from quanheng.engine import Engine

EVENTS = 12
ADDRESS = '[outbox.addresses.x]\nchannel = "webhook"\nurl = "http://h/"\nsecret_env = "NOT_SET"\n'


class House:
    """A server that is started, killed and started again in one folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.server = folder, None
        calls = CALLS.replace('timeout  = "10s"', 'timeout = "60s"')
        for name, data in calling("call:ask_bureau", calls=calls)[1].files.items():
            (folder / "packs" / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "packs" / "shop" / name).write_bytes(data)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "quanheng.toml").write_text(
            f'[server]\nport = {self.port}\n[packs]\nload = ["shop"]\nfolders = ["packs"]\n'
            f'[outbox.addresses.bureau]\nchannel = "http"\nurl = "{url}"\n'
        )

    def start(self) -> None:
        log = self.folder / f"serve-{time.monotonic_ns()}.log"
        with log.open("w") as out:
            command = [sys.executable, "-m", "quanheng.cli", "serve"]
            self.server = subprocess.Popen(command, stderr=out, cwd=self.folder, start_new_session=True)
        wait_for(lambda: "Quanheng serves" in log.read_text() or self.server.poll() is not None)
        assert self.server.poll() is None, log.read_text()

    def end(self, how: int) -> None:
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

    def figure(self, name: str) -> float:
        lines = str(self.call("/metrics")).splitlines()
        return float(next(line for line in lines if line.startswith(f"quanheng_engine_{name} ")).split()[1])

    def send(self, first: int) -> None:
        for at in range(first, first + EVENTS):
            data = {
                "time_ms": time.time_ns() // 1_000_000, "customer": f"c{at}", "amount_minor": 100 + at,
                "currency": "EUR",
            }  # fmt: skip
            answered = self.call("/v1/events", {"id": f"e{at}", "type": "shop.request", "data": data})
            assert answered["status"] == "decided", answered

    def command(self, *words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "quanheng.cli", "outbox", *words], cwd=self.folder, capture_output=True, text=True,
            check=True, timeout=120,
        )  # fmt: skip
        return ran.stdout


def wait_for(done, patience_s: float = 240.0) -> None:
    until_s = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_every_message_arrives_and_is_told_once_though_the_server_is_killed(tmp_path):
    with partner() as bureau:
        held = [True]

        def answer(got):
            while held[0]:
                time.sleep(0.05)  # Killed while it waits for the answer: it has sent, and knows nothing.
            return 200, b'{"score": 7}'

        bureau.answer = answer
        house = House(tmp_path, bureau.url)
        try:
            house.start()
            house.send(0)  # Decided and durable; at most 8 of them are under way to the address at once.
            wait_for(lambda: len(bureau.got) >= 8)
            assert house.figure("outbox_waiting") == EVENTS
            house.end(signal.SIGKILL)
            house.start()
            wait_for(lambda: len(bureau.got) >= 16)  # The same ones again.
            house.send(EVENTS)
            assert house.figure("outbox_oldest_ms") > 0
            held[0] = False
            wait_for(lambda: house.figure("outbox_waiting") == 0)
            assert house.figure("outbox_dead") == 0
            house.end(signal.SIGINT)
        finally:
            held[0] = False
            if house.server is not None and house.server.poll() is None:
                house.end(signal.SIGKILL)
        ids = [one.headers["quanheng-id"] for one in bureau.got]
    assert len(set(ids)) == 2 * EVENTS < len(ids)
    engine = Engine.open(
        next(tmp_path.rglob("log.db")).parent, keys=next(tmp_path.rglob("development.token")).parent,
        log_ahead_ms_max=None,
    )  # fmt: skip
    events = told(engine)
    assert sorted(one["message"] for one in events) == sorted(f"#{id}" for id in set(ids))
    assert {one["result"] for one in events} == {"answered"}
    engine.close()


def test_dead_letters_are_asked_for_again_beside_the_running_server(tmp_path):
    status = [403]
    with partner(lambda got: (status[0], b'{"score": 7}')) as bureau:
        house = House(tmp_path, bureau.url)
        try:
            house.start()
            house.send(0)
            wait_for(lambda: house.figure("outbox_dead") == EVENTS)
            listed = json.loads(house.command("list", "--dead", "--json"))
            assert (listed["waiting"], listed["dead"], {one["reason"] for one in listed["letters"]}) == (
                0, EVENTS, {"refused"},
            )  # fmt: skip
            id = listed["letters"][0]["id"]
            shown = json.loads(house.command("show", id, "--json"))
            assert (shown["result"], shown["tries"]) == ("fallback", 1)
            assert shown["body"]["customer"] in {f"c{at}" for at in range(EVENTS)}  # Whose answer was the last.
            assert shown["detail"] == "the other side does not take it; was status 403"
            status[0] = 200
            assert house.command("retry", id) == "1 asked for again\n"
            assert house.command("retry", "--call", "ask_bureau", "--reason", "they are back") == "11 asked for again\n"
            wait_for(lambda: house.figure("outbox_waiting") == 0 and house.figure("outbox_dead") == 0)
            house.end(signal.SIGINT)
        finally:
            if house.server is not None and house.server.poll() is None:
                house.end(signal.SIGKILL)
        ids = [one.headers["quanheng-id"] for one in bureau.got]
    assert len(ids) == 2 * EVENTS == 2 * len(set(ids))


def test_a_server_does_not_start_without_its_secrets(tmp_path):
    house = House(tmp_path, "http://127.0.0.1:9/")
    config = tmp_path / "quanheng.toml"
    config.write_text(config.read_text() + ADDRESS)
    ran = subprocess.run(
        [sys.executable, "-m", "quanheng.cli", "serve"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=240,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "outbox.addresses.x: an environment variable of an address is not set; was NOT_SET" in ran.stderr
    assert house.server is None
