"""`quanheng serve --cluster` as people run it: Ray's own command, the log in PostgreSQL, traffic over HTTP, kills."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra `cluster` is not installed")

from quanheng.loading.find import read_packs
from quanheng.loading.pack import load_packs
from quanheng.loading.traffic import Traffic

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "how-to" / "run-a-cluster.md").read_text(encoding="utf-8")
BATCH, BATCHES = 200, 80
MARK = "QUANHENG_TEST_CLUSTER"
COMMAND = [sys.executable, "-m", "quanheng.cli"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A head node started by the command of the page, on ports and folders of its own."""
    command = re.search(r"^(ray start --head .*)$", PAGE, re.MULTILINE)[1]
    port = free_port()
    folder = Path(f"/tmp/qh{uuid.uuid4().hex[:8]}")  # Short: sockets lie below it.
    more = f"--node-ip-address 127.0.0.1 --num-cpus 2 --include-dashboard false --temp-dir {folder} --block"
    words = command.replace("6379", str(port)).split() + more.split() + ["--object-store-memory", "100000000"]
    environment = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", MARK: str(port)}
    words[0] = str(Path(sys.executable).parent / "ray")
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until_s = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until_s
                time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture
def store(postgres_dsn):
    """A database of its own, as a URL."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    name = f"quanheng_http_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    at = conninfo_to_dict(postgres_dsn)
    try:
        yield f"postgresql://{at.get('user', 'postgres')}@{at.get('host', '')}:{at.get('port', 5432)}/{name}"
    finally:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class Place:
    """A folder with the configuration of the page, and what is done with the server that runs in it."""

    def __init__(self, folder: Path, store: str, address: str) -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.err = folder / "err.txt"
        section = re.search(r"```toml\n(\[storage\].*?)```", PAGE, re.DOTALL)[1]
        section = re.sub(r'store = ".*"', f'store = "{store}"', section)
        section = re.sub(r'snapshots = ".*"', f'snapshots = "{folder / "partitions"}"', section)
        section = re.sub(r'address = ".*"', f'address = "{address}"', section)
        section = section.replace("partitions = 8", "partitions = 3")
        more = "decide_rows_min = 50\n"
        (folder / "quanheng.toml").write_text(f"[server]\nport = {self.port}\n{section}{more}")

    @contextmanager
    def serving(self):
        words = [*COMMAND, "serve", "--pack", "card_fraud", "--cluster", self.address]
        process = subprocess.Popen(words, cwd=self.folder, stderr=self.err.open("ab"))
        try:
            until_s = time.monotonic() + 120
            while True:
                try:
                    self.ask("/v1/health")
                    break
                except OSError:
                    assert process.poll() is None, self.err.read_text()
                    assert time.monotonic() < until_s
                    time.sleep(0.2)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(60)

    def ask(self, path: str, body: bytes | None = None, token: str = "") -> str:
        token_file = self.folder / ".quanheng" / "keys" / "development.token"
        token = token or (token_file.read_text().strip() if token_file.exists() else "")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        headers["X-Request-Timeout-Ms"] = "50000"  # A partition that comes back may take longer than the usual limit.
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        try:
            return urllib.request.urlopen(request, timeout=60).read().decode()
        except urllib.error.HTTPError as error:
            told = f"{error.read()[:300]!r} {self.err.read_text()[-2000:]}"
            raise AssertionError(f"{path}: {error.code} {told}") from error

    def metric(self, name: str) -> float:
        found = re.search(rf"^quanheng_engine_{name} (\S+)$", self.ask("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def post(self, bodies: list[bytes]) -> list[dict]:
        """Send batches over two connections at a time; all answers."""
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda body: json.loads(self.ask("/v1/events", body)), bodies))
        return [one for answer in answers for one in answer]

    def command(self, *words: str, token: str = "") -> str:
        environment = {**os.environ, **({"QUANHENG_TOKEN": token} if token else {})}
        found = subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    def told(self, event: str) -> list[dict]:
        lines = [line for line in self.err.read_text().splitlines() if line.startswith("{")]
        return [one for one in map(json.loads, lines) if one["event"] == event]


def actors(address: str, name: str) -> list[int]:
    """Processes of this test's cluster that run actors of a kind; others on the machine are let alone."""
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True)
    pids = [int(line.split()[0]) for line in found.stdout.splitlines() if f"ray::{name}" in line]
    return [pid for pid in pids if f"{MARK}={address.rpartition(':')[2]}" in environment_of(pid)]


def environment_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def batches() -> list[bytes]:
    declared = load_packs(["card_fraud"], read_packs())["card_fraud"]
    events = list(Traffic(declared.traffic, seed=11).events(BATCH * BATCHES))
    rows = [{"id": one.id, "type": one.type, "data": one.data} for one in events]
    return [json.dumps(rows[at : at + BATCH]).encode() for at in range(0, len(rows), BATCH)]


def test_a_pack_with_lists_is_served_by_a_cluster(tmp_path, store, address):
    place, bodies = Place(tmp_path, store, address), batches()
    early, bodies = bodies[:40], bodies[40:]
    quarter = len(bodies) // 4
    seen: list[dict] = []
    with place.serving() as process:
        while not place.metric("cluster_parts_sent"):  # Until deciders are up the sequencer judges.
            assert early, "deciders are never asked"
            seen += place.post([early.pop(0)])
            time.sleep(1)
        seen += place.post(bodies[:quarter])
        assert place.metric("cluster_partitions") == 3

        ann = place.command("token", "create", "ann", "--scope", "author", "read").strip()
        devices = {one["data"].get("device") for body in bodies[quarter:] for one in json.loads(body)} - {None}
        place.command("list", "add", "blocked_devices", *sorted(devices)[:200], "--reason", "stolen", token=ann)
        with ThreadPoolExecutor(1) as beside:
            sending = beside.submit(place.post, bodies[quarter : 2 * quarter])
            time.sleep(0.3)
            os.kill(actors(address, "PartitionActor")[0], signal.SIGKILL)  # While requests wait for it.
            seen += sending.result()
        until_s = time.monotonic() + 60
        while not place.metric("cluster_partitions_recovered"):  # Where nothing waited for it, within a look.
            assert time.monotonic() < until_s
            time.sleep(0.2)
        assert place.told("partition_recovered")
        os.kill(actors(address, "DeciderActor")[0], signal.SIGKILL)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not actors(address, "PartitionActor")

    with place.serving() as process:
        again = place.post(bodies[:1])
        assert {one["status"] for one in again} <= {"repeated", "recorded", "rejected"}
        seen += place.post(bodies[2 * quarter : 3 * quarter])
        process.kill()  # The sequencer is gone from one moment to the next; its partitions with it.
        process.wait(60)
    until_s = time.monotonic() + 30
    while actors(address, "PartitionActor"):
        assert time.monotonic() < until_s
        time.sleep(0.2)

    with place.serving():
        seen += place.post(bodies[3 * quarter :])
        check(place, seen)


def check(place: Place, seen: list[dict]) -> None:
    """Every answer stands in the log, and one process judges alike what the cluster decided."""
    decided = [one for one in seen if one["status"] == "decided"]
    assert place.metric("cluster_parts_unanswered") == 0
    events = re.search(r'^quanheng_engine_statuses{key="decided"} (\S+)$', place.ask("/metrics"), re.MULTILINE)
    assert int(float(events[1])) == len(decided)
    blocked = [one for one in decided if "device_blocked" in one["reasons"]]
    assert len(blocked) > 20
    for one in (decided[0], blocked[0], blocked[len(blocked) // 2], decided[-1]):
        shown = json.loads(place.ask(f"/v1/decisions/{one['decision']}"))
        codes = [reason["code"] for reason in shown["reasons"]]
        assert (shown["outcome"], codes) == (one["outcome"], one["reasons"])
        assert "byte for byte" in place.command("replay", str(one["decision"]))
    assert "device_blocked" in place.command("explain", str(blocked[-1]["decision"]))
    assert json.loads(place.ask("/v1/health"))["status"] == "ok"
