"""Peers with packages of their own run in the interpreter that QUANHENG_BENCH_PEERS names (bench/peers.txt).

Nothing of theirs is fetched or reported while they run: the peers open no connection but to this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FIND = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


def python() -> str:
    """The interpreter of the peers; this one where none is named."""
    return os.environ.get("QUANHENG_BENCH_PEERS") or sys.executable


def why_absent(package: str) -> str:
    """Why a peer cannot run here; empty where it can."""
    try:
        done = subprocess.run([python(), "-c", FIND, package], capture_output=True, check=False)
    except OSError as error:
        return f"QUANHENG_BENCH_PEERS: {python()} does not run: {error.strerror}"
    if done.returncode:
        return f"{package} is not installed in {python()}; see docs/operating/benches.md"
    return ""


def run_peer(script: str, *arguments: str | Path) -> tuple[dict[str, Any] | None, str]:
    """What a script of this folder found (its last line, an object of JSON), or the last line of its error."""
    command = [python(), Path(__file__).with_name(script), *arguments]
    environment = {**os.environ, "FEAST_USAGE": "False", "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found, ""
