"""`quanheng bench`: runs what bench/manifest.toml lists, one process a bench, one line of JSON a result."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from quanheng.cli.common import Flag, Json, console, show_json
from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra, NotFound, QuanhengError

PEERS = {
    "duckdb": "duckdb", "zen": "zen", "rule_engine": "rule_engine", "cel": "cel", "spiff": "SpiffWorkflow",
    "sortedcontainers": "sortedcontainers",
}  # fmt: skip
"""Peer → the package that the extra [bench] brings for it."""
ALLOWED = "id, module, function, unit, goals, needs, about"


class BenchFailed(QuanhengError):
    """A bench did not come to a result."""


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to reach.

    on : "value", "ratio:PEER" (times better than the peer), or "extra:NAME" (a further figure)
    better : whether higher or lower is better
    """

    on: str
    goal: float
    better: Literal["higher", "lower"] = "higher"


class Bench(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the manifest. `peers`: those that must be measured when the extra [bench] is installed."""

    id: str
    module: str
    unit: str
    goals: tuple[Goal, ...]
    about: str
    function: str = "run"
    better: Literal["higher", "lower"] = "higher"
    needs: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bench/manifest.toml."""

    bench: tuple[Bench, ...]


class Folder(NamedTuple):
    """A checkout that holds benches."""

    root: Path
    benches: Mapping[str, Bench]


def bench(id: str = "", /, *, list: Flag = False, all: Flag = False, quick: Flag = False, json: Json = False) -> int:
    """Run benches; each gives value, goal, whether it was met, and peers measured in the same run.

    For example:
      quanheng bench --list
      quanheng bench path.http.single --json

    Parameters
    ----------
    id : str
        Which bench.
    list : bool
        List all benches.
    all : bool
        Run all of them, one after another.
    quick : bool
        Fewer repetitions: to see that it runs, not to report.
    json : bool
        One line of JSON a bench.
    """
    folder = find_benches()
    if list:
        _list(folder, json)
        return 0
    if not id and not all:
        raise InputError(
            "no bench is named", where="ID", allowed=", ".join(folder.benches), cure="Name one, or give --all."
        )
    if id and id not in folder.benches:
        raise NotFound("there is no such bench", where="ID", found=repr(id), allowed=", ".join(folder.benches))
    code = 0
    for one in [folder.benches[id]] if id else folder.benches.values():
        try:
            result = measure(folder, one, quick)
        except QuanhengError as error:
            if id:
                raise
            console().print(f"error: {one.id}: {error}", markup=False)
            code = 1
            continue
        _show(result, json)
    return code


def find_benches() -> Folder:
    """The manifest of the checkout: here, or where Quanheng was installed from.

    Raises
    ------
    NotFound : there is none; ConfigurationError : it is wrong
    """
    here = [Path.cwd(), *Path.cwd().parents][:4]
    for root in (*here, Path(__file__).resolve().parents[3]):
        file = root / "bench" / "manifest.toml"
        if file.is_file():
            break
    else:
        raise NotFound(
            "there is no bench/manifest.toml", where=str(Path.cwd()), cure="Run the command in a checkout of Quanheng."
        )
    try:
        manifest = msgspec.toml.decode(file.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        found = str(error).replace(", got ", ", was ")
        raise ConfigurationError("the manifest is wrong", where=str(file), found=found, allowed=ALLOWED) from error
    return Folder(root, {one.id: one for one in manifest.bench})


def measure(folder: Folder, one: Bench, quick: bool) -> dict[str, Any]:
    """Run one bench in a process of its own; the finished line.

    Raises
    ------
    MissingExtra : a peer is not installed
    BenchFailed : it ended with an error, or lacks a peer though the extra [bench] is installed
    """
    packages = [PEERS[peer] for peer in one.peers if peer in PEERS]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingExtra(missing[0], "bench", f"bench {one.id}")
    started = os.times()
    code = (
        "import importlib,json,sys;"
        f"made=importlib.import_module({one.module!r}).{one.function}(quick={quick});"
        "print('\\nRESULT '+json.dumps(made._asdict(),default=str))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder.root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, cwd=folder.root, check=False
    )
    ended = os.times()
    lines = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise BenchFailed(
            "the bench came to no result", where=one.id, found=f"exit code {done.returncode}", cure="See above."
        )
    made: dict[str, Any] = msgspec.json.decode(lines[-1].removeprefix("RESULT "))
    absent = [peer for peer in one.peers if peer not in made["peers"]]
    if absent:
        raise BenchFailed(
            "a peer was not measured",
            where=one.id,
            found=", ".join(made["peers"]) or "none",
            allowed=", ".join(one.peers),
        )
    cpu_s = ended.children_user + ended.children_system - started.children_user - started.children_system
    return finished(one, made, cpu_s, time.time_ns() // 1_000_000)


def finished(one: Bench, made: Mapping[str, Any], cpu_s: float, now_ms: int) -> dict[str, Any]:
    """What a bench measured, with goals, ratios, machine and date."""
    value, peers, extra = made["value"], made["peers"], made["extra"]
    ratio = {}
    for name, figure in peers.items():
        if value and figure:
            ratio[name] = round(value / figure if one.better == "higher" else figure / value, 3)
    goals = []
    for goal in one.goals:
        kind, _, name = goal.on.partition(":")
        found = value if kind == "value" else (ratio if kind == "ratio" else extra).get(name)
        met = found is not None and (found >= goal.goal if goal.better == "higher" else found <= goal.goal)
        goals.append({"on": goal.on, "goal": goal.goal, "better": goal.better, "found": found, "met": met})
    return {
        "id": one.id,
        "value": round(value, 4),
        "unit": made["unit"],
        "goal": goals[0]["goal"] if len(goals) == 1 else {goal["on"]: goal["goal"] for goal in goals},
        "met": all(goal["met"] for goal in goals),
        "peers": {name: round(figure, 4) for name, figure in peers.items()},
        "ratio": ratio,
        "cpu_s": round(cpu_s, 2),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime(now_ms / 1000)),
        "goals": goals,
        **{key: figure for key, figure in extra.items() if key not in ("id", "value", "goal", "met")},
    }


def machine() -> str:
    """Processor, cores this process may use, Python: what a figure depends on. No host name."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _list(folder: Folder, json: bool) -> None:
    for one in folder.benches.values():
        if json:
            show_json(msgspec.to_builtins(one))
            continue
        words = {"higher": ">=", "lower": "<="}
        goals = ", ".join(f"{goal.on} {words[goal.better]} {goal.goal:g}" for goal in one.goals)
        print(f"{one.id:28} {one.unit:14} {goals}\n{'':28} {one.about}")


def _show(result: Mapping[str, Any], json: bool) -> None:
    if json:
        show_json(result)
        return
    goals = ", ".join(f"{goal['on']} {goal['found']} (goal {goal['goal']:g})" for goal in result["goals"])
    verdict = "met" if result["met"] else "MISSED"
    print(f"{result['id']}: {result['value']:,} {result['unit']}; {verdict}: {goals}; {result['cpu_s']} CPU s")
