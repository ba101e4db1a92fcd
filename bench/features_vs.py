"""features.online.vs: the same twelve aggregates of the same payments, one event at a time, one process, beside peers.

Peers run in the interpreter that QUANHENG_BENCH_PEERS names (bench/peers.txt installed there); a peer that is not
there is left out, with the reason. Imports and definitions are in the time of none of them. What a peer does not do is
said beside its figure: Redis and Feast are asked for values that were written beforehand.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.features_backfill import plan
from bench.features_online import asked_one_by_one, payments
from bench.features_vs_peers import free_port
from bench.peers import run_peer, why_absent
from quanheng.features.state import FeatureState
from quanheng.testing.bench import Measured

LACKS = {
    "river": "no delay, no late events, no replay, no exact sums (floats); terminal windows are undelayed",
    "bytewax": "no delay, no late events, the answer leaves by a sink, not by a call; time of the flow per event",
    "redis": "computes nothing: it reads what another process has to write after each event",
    "feast": "computes nothing: it reads what another process has to materialise; from SQLite, its local store",
}
SCRIPT = "features_vs_peers.py"


def run(quick: bool = False) -> Measured:
    """Median microseconds of an event."""
    count, asked = (10_000 if quick else 200_000), (2_000 if quick else 20_000)
    given = payments(count + asked)
    state = FeatureState(plan())
    state.run(*given.part(0, count), read=False)
    taken = asked_one_by_one(state, given, count)
    peers: dict[str, float] = {}
    extra: dict[str, object] = {"p99_us": round(float(np.percentile(taken, 99)), 3), "lacks": LACKS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payments.npz"
        np.savez(
            file, times=given.times, customers=given.keys[:, 0, 0], terminals=given.keys[:, 1, 0],
            amounts=given.numbers[:, 0], asked=asked,
        )  # fmt: skip
        for name in LACKS:
            found, reason = _peer(name, file)
            if found is None:
                extra[f"{name}_skipped"] = reason
            else:
                peers[name], extra[f"{name}_p99_us"] = round(found["p50"], 3), round(found["p99"], 3)
    return Measured(round(float(np.median(taken)), 3), "us", peers, extra)


def _peer(name: str, file: Path) -> tuple[dict[str, float] | None, str]:
    """p50 and p99 of a peer, or why it did not run."""
    if reason := why_absent(name):
        return None, reason
    if name != "redis":
        return run_peer(SCRIPT, name, file)
    server, port = shutil.which("redis-server"), free_port()
    if server is None:
        return None, "no redis-server on this machine"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL) as process:
            try:
                time.sleep(0.5)
                return run_peer(SCRIPT, name, file, str(port))
            finally:
                process.terminate()
