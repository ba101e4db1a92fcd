"""`quanheng demo PACK --process`: a pack's life cycles on one durable log, and what was proved from it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from quanheng.cli.common import Place, opened_store, progress_bar, reader, show_json

if TYPE_CHECKING:
    from quanheng.cli.demo_play import Script, Stage
    from quanheng.engine import Engine
    from quanheng.server.config import Config

WIDTH = 140
"""Columns of the table where standard output is no terminal."""


class Check(NamedTuple):
    """What must hold, whether it does, and what was looked at."""

    name: str
    held: bool
    found: str


def play_processes(pack: str, json: bool, place: Place) -> int:
    """Play, check and show. Exit code 1 if a check does not hold."""
    from quanheng.advancing import MovedClock
    from quanheng.cli.common import locked_engine
    from quanheng.cli.demo import folders
    from quanheng.cli.demo_play import ms_of, script_of, staged
    from quanheng.server.opening import available_packs, chosen_packs

    started_s = time.perf_counter()
    with folders(place, store="sqlite") as config:
        _, files = chosen_packs([pack], available_packs(config.packs.folders))
        script = script_of(dict(next(one for one in files if one.label == pack).files), pack)
        clock = MovedClock(ms_of(script.start))
        with locked_engine(config, clock) as engine:
            engine.activate(files)
            with staged(engine, clock, script) as stage, progress_bar() as progress:
                task = progress.add_task(f"playing {pack}", total=None)
                for count, _ in enumerate(stage.play(), 1):
                    progress.update(task, completed=count)
                told = _instances(engine, script)
                checks = _checks(engine, stage, told)
                days = (clock.now_ms - ms_of(script.start)) / 86_400_000
                found = {
                    "pack": pack,
                    "days": round(days, 1),
                    "records": engine.log.head,
                    "instances": told,
                    "messages": _messages(stage),
                }
        checks += _from_the_log(config, engine.state.book.digest())
    seconds = round(time.perf_counter() - started_s, 2)
    ok = all(one.held for one in checks)
    if json:
        show_json({"ok": ok, **found, "seconds": seconds, "checks": [one._asdict() for one in checks]})
    else:
        _show(found, checks, seconds)
    return 0 if ok else 1


def _instances(engine: Engine, script: Script) -> list[dict[str, Any]]:
    """Every instance that the script names, with its history."""
    from quanheng.instances import Codes, find_process, history, key_of

    program, book, found = engine.state.program, engine.state.book, []
    for process, ends in script.end.items():
        machine = find_process(program, process)
        for id, end in ends.items():
            key = key_of(machine, id, engine.ring)
            instance = book.view(machine.code, key)
            states = {} if instance is None else machine.names(instance)
            steps = history(engine.reader, machine, key, Codes(program.codes), engine.log.head)
            wanted = [end] if isinstance(end, str) else end
            found.append({
                "process": machine.name, "id": id, "states": states, "steps": steps,
                "expected": _reached(states) == sorted(one for one in wanted if one),
            })  # fmt: skip
    return found


def _reached(states: Mapping[str, str]) -> list[str]:
    return sorted(state if part == "state" else f"{part}.{state}" for part, state in states.items())


def _messages(stage: Stage) -> dict[str, int]:
    got = stage.receiver.got
    ids = {one.id for one in got}
    taken = {one.id for one in got if one.status < 300}
    return {"messages": len(ids), "tries": len(got), "taken": len(taken), "refused": len(ids - taken)}


def _checks(engine: Engine, stage: Stage, told: Sequence[Mapping[str, Any]]) -> list[Check]:
    """What must hold of the engine when everything has happened."""
    missed = [f"{one['process']}({one['id']}) {_reached(one['states'])}" for one in told if not one["expected"]]
    signed = [one for one in stage.receiver.got if one.signed is not None]
    pending, waits = engine.state.book.timers.count, len(engine.state.outbox)
    stuck = dict(stage.sender.stuck)
    return [
        Check("each instance ended where it must", not missed, "; ".join(missed) or f"{len(told)} instances"),
        _legal(engine, told),
        _conserved(engine),
        Check(
            "nothing is pending",
            not pending and not waits and not stuck,
            f"{pending} timers, {waits} messages{', '.join(map(str, stuck.items()))}",
        ),
        Check(
            "every webhook was signed, and its receiver could tell",
            all(one.signed for one in signed),
            f"{len(signed)} tries",
        ),
        _replayed(engine),
    ]


def _legal(engine: Engine, told: Sequence[Mapping[str, Any]]) -> Check:
    """Every part of every instance is in one state, of that part, and came there by moves that are declared."""
    count, steps = 0, 0
    moves = {
        (machine.name, part.name, state.name, move.to or state.name)
        for machine in engine.state.program.machines.values()
        for part in machine.declared.parts for state in part.states for move in state.moves
    }  # fmt: skip
    wrong = []
    for one in told:
        steps += len(one["steps"])
        made = [(one["process"], step["part"], step["from"], step["to"]) for step in one["steps"] if step["from"]]
        wrong += [f"{one['process']}({one['id']}): {step}" for step in made if step not in moves]
    for machine in engine.state.program.machines.values():
        for instance in engine.state.book.instances(machine.code):
            count += 1
            states = [machine.states.get(code) for code in instance.states]
            places = [None if one is None else one.part for one in states]
            if places != list(range(machine.parts)) or not machine.is_over(instance):
                wrong.append(f"{machine.name}(#{instance.key.hex()})")
    found = "; ".join(wrong) or f"{count} instances, {steps} steps"
    return Check("each instance is in exactly one legal state of each part, by declared moves", not wrong, found)


def _conserved(engine: Engine) -> Check:
    """Debits equal credits in every asset, and nothing is held any more."""
    ledger = engine.state.ledger
    assets = sorted({one.account.asset for one in ledger.accounts()})
    sums = [ledger.totals(asset) for asset in assets]
    held = sum(one.debits_held_minor + one.credits_held_minor for one in sums)
    equal = all(one.debits_posted_minor == one.credits_posted_minor for one in sums)
    moved = sum(one.debits_posted_minor for one in sums)
    return Check(
        "money is conserved, and none is held", equal and not held, f"{moved:,} minor units moved, {held} held"
    )


def _replayed(engine: Engine) -> Check:
    """Every decision, judged again from the log alone, gives the same bytes."""
    from quanheng.kernel.log.records import DECISION, Columns
    from quanheng.recovery import read_batches
    from quanheng.replay import replay

    decisions = [
        start + row
        for start, part in read_batches(engine.log, 0, engine.log.head) if isinstance(part, Columns)
        for row in (part.kind == DECISION).nonzero()[0].tolist()
    ]  # fmt: skip
    wrong = [offset for offset in decisions if not replay(engine.reader, None, offset).same]
    return Check("replay of every decision gives the same bytes", not wrong, f"{len(decisions)} decisions{wrong or ''}")


def _from_the_log(config: Config, digest: str) -> list[Check]:
    """What must hold of the log alone, once the engine is closed."""
    from quanheng.kernel.log.checking import verify
    from quanheng.recovery import instances_at

    with reader(config) as found:
        same = instances_at(found.log, None, found.log.head).digest() == digest
    store = opened_store(config)
    try:
        report = verify(store)
    finally:
        store.close()
    verified = f"{report.records:,} records, root {report.root.hex()[:16]}…"
    return [
        Check("instances and timers recovered from the log are the same", same, f"digest {digest[:16]}…"),
        Check("the log verifies", report.ok, report.problem or verified),
    ]


def _show(found: Mapping[str, Any], checks: Sequence[Check], seconds: float) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    title = f"{found['pack']}: {found['days']} days in {seconds} s, {found['records']} records"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("instance", "at", "step", "on", "moved and sent"):
        table.add_column(name, no_wrap=name == "at", overflow="fold")
    for one in found["instances"]:
        for number, step in enumerate(one["steps"]):
            name = f"{one['process'].rpartition('.')[2]}({one['id']})" if number == 0 else ""
            table.add_row(name, *_cells(step))
        table.add_section()
    shown.print(table)
    messages = found["messages"]
    shown.print(f"{messages['messages']} messages in {messages['tries']} tries, {messages['taken']} taken")
    for check in checks:
        shown.print(f"{'holds ' if check.held else 'BROKEN'}  {check.name}: {check.found}", markup=False)


def _cells(step: Mapping[str, Any]) -> tuple[str, str, str, str]:
    from quanheng.kernel.time import format_time

    part = f"{step['part']}: " if step["part"] else ""
    way = f"{part}{step['from'] or '·'} → {step['to'] or '·'}"
    event = step["timer"] or (step["event"] or {}).get("type", "")
    asked = [f"{one['name'].partition('.')[2]} {one['amount_minor']:,}" for one in step.get("transfers", ())]
    asked += [f"→ {one['name'].partition('.')[2]}" for one in step.get("sent", ())]
    return format_time(step["at_ms"])[:16].replace("T", " "), way, event, ", ".join(asked)
