# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Real processes: start, load, orderly stop, failure, sudden death. Every answered event is on the disk, exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quanheng.server.client import Connection, ConnectionLost, request_bytes

TWIN = Path(__file__).parents[2] / "unit" / "server" / "server_twin.py"
TOKEN = "token-of-the-tests"


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Running:
    """A server with the twin of the engine, in processes of its own."""

    def __init__(self, folder, **options):
        self.port, self.file = free_port(), folder / "committed.txt"
        self.folder = folder / "data"
        config = {"server.port": self.port, "storage.data": str(self.folder), "limits.client_events_per_s": 0}
        config |= options.pop("config", {})
        self.log = (folder / "log.txt").open("w+")
        told = json.dumps({"config": config, "file": str(self.file), **options})
        self.process = subprocess.Popen([sys.executable, str(TWIN), told], stdout=self.log, stderr=self.log)

    def wait(self):
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"did not start: {self.said()}")

    def said(self):
        self.log.flush()
        return Path(self.log.name).read_text()

    def edges(self):
        found = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split()
        parent = {int(pid): int(ppid) for pid, ppid in zip(found[2::2], found[3::2], strict=True)}
        children = [self.process.pid]
        for pid in children:
            children += [one for one, its in parent.items() if its == pid and one not in children]
        return children[1:]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def committed(self):
        return self.file.read_text().split() if self.file.exists() else []


@pytest.fixture
def start(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Running(folder, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


def wait_gone(pids):
    until = time.monotonic() + 15
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.1)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "a process was left behind"


async def keep_sending(server, name, answered, refused, signalled):
    """Send one event after another until the server goes away."""
    try:
        link = await Connection.open("127.0.0.1", server.port)
        for number in range(100_000):
            id = f"{name}-{number}"
            body = json.dumps({"id": id, "type": "payment", "data": {}}).encode()
            response = await link.send(request_bytes("POST", "/v1/events", TOKEN, body))
            (answered if response.status == 200 else refused).append(id)
            if response.status != 200 and signalled.is_set():
                return
    except (ConnectionLost, OSError):
        return


async def under_load(server, act, connections=16, seconds=1.0):
    answered, refused, signalled = [], [], asyncio.Event()
    senders = [
        asyncio.create_task(keep_sending(server, f"s{one}", answered, refused, signalled)) for one in range(connections)
    ]
    await asyncio.sleep(seconds)
    act()
    signalled.set()
    await asyncio.wait_for(asyncio.gather(*senders), 30)
    return answered, refused


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop_loses_no_answer(start, number):
    server = start(commit_s=0.005).wait()
    began = time.monotonic()
    answered, _ = asyncio.run(under_load(server, lambda: server.process.send_signal(number)))
    assert server.process.wait(20) == 0, server.said()
    assert time.monotonic() - began < 12
    committed = server.committed()
    assert len(answered) > 100
    assert set(answered) <= set(committed), "every answered event is on the disk"
    assert len(committed) == len(set(committed)), "exactly once"
    assert not (server.folder / "core.sock").exists()
    assert "error" not in server.said()


def test_a_failed_append_stops_everything_with_a_message(start):
    server = start(fail_at=20).wait()
    answered, refused = asyncio.run(under_load(server, lambda: None, seconds=0.1))
    assert server.process.wait(20) == 1
    assert set(answered) <= set(server.committed())
    assert refused, "those who waited were told"
    said = server.said()
    assert "error: twin: the disk did not confirm the write. Look at the disk." in said
    assert '"event":"fail_stop"' in said


def test_when_the_core_is_killed_the_edge_ends_too_and_the_port_is_free(start):
    server = start().wait()
    edges = server.edges()
    assert len(edges) >= 2
    answered, _ = asyncio.run(under_load(server, server.process.kill, seconds=0.5))
    assert set(answered) <= set(server.committed())
    wait_gone(edges)
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(("127.0.0.1", server.port))


def test_when_the_edge_dies_the_core_says_so_and_ends(start):
    server = start().wait()
    edges = server.edges()
    os.kill(edges[0], signal.SIGKILL)
    assert server.process.wait(20) == 1
    wait_gone(edges)
    assert (
        "error: the process that serves HTTP ended by itself; was exit code -9. Look at the lines above"
        in server.said()
    )


def test_a_second_server_on_the_folder_or_the_port_is_refused(start, tmp_path):
    server = start().wait()
    same_folder = start(config={"storage.data": str(server.folder)})
    assert same_folder.process.wait(20) == 1
    assert (
        f"{server.folder}: another Quanheng process owns this data folder; was process {server.process.pid}. "
        "Stop it first, send to its HTTP address, or use another folder (storage.data, --data)."
    ) in same_folder.said()
    same_port = start(config={"server.port": server.port})
    assert same_port.process.wait(20) == 1
    assert "server.address, server.port: HTTP cannot be served on this address; was 127.0.0.1:" in same_port.said()
    assert "Stop the program that uses it, or choose another with --port." in same_port.said()


def test_the_socket_is_private_and_notes_are_told(start):
    server = start().wait()
    assert stat.S_IMODE((server.folder / "core.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    until = time.monotonic() + 5
    while "documentation" not in server.said() and time.monotonic() < until:
        time.sleep(0.05)
    assert (
        f"a note\nQuanheng serves http://127.0.0.1:{server.port} (documentation: /schema). Stop with Ctrl-C."
        in server.said()
    )


def test_two_workers_share_one_core(start):
    server = start(config={"server.workers": 2}).wait()
    answered, _ = asyncio.run(under_load(server, lambda: server.process.send_signal(signal.SIGTERM)))
    assert server.process.wait(20) == 0
    assert set(answered) <= set(server.committed())


def test_a_lost_connection_names_the_cure():
    async def story():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        link = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(ConnectionLost) as error:
            await link.send(request_bytes("GET", "/v1/health"))
        assert str(error.value) == (
            "the server closed the connection before it answered. "
            "Send the same events again with the same ids: what was recorded is answered once, not twice."
        )
        server.close()

    asyncio.run(story())
