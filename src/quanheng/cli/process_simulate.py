"""`quanheng process simulate`: a pack's declared life for many instances, from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quanheng.cli.common import HERE, Json, Place, progress_bar, show_json

if TYPE_CHECKING:
    from quanheng.program import Program
    from quanheng.testing.process_simulation import Simulated


def simulate(
    process: str,
    /,
    *,
    instances: int = 1_000,
    seed: int = 1,
    days: int = 90,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Run a process for many simulated instances: delays, answers, faults and timers drawn from a seed.

    Nothing is written. What comes is drawn among what is allowed in the state of an instance; some requests come
    twice, some late, some are not allowed, and some answers never come. At the end it is checked that every instance
    is in one legal state, that no money was lost or made, and that no timer is past its time; else the exit code is 1.

    For example:
      quanheng process simulate my_pack.review --instances 2000 --seed 7 --days 60

    Parameters
    ----------
    process : str
        The pack and the process, "my_pack.review". The pack is read from its folder and need not be in force.
    instances : int
        How many start events are sent.
    seed : int
        Seed of the run: the same seed gives the same run.
    days : int
        How many days are simulated.
    json : bool
        As JSON.
    """
    import msgspec

    from quanheng.kernel.errors import InputError
    from quanheng.testing.process_simulation import ProcessSimulation

    if instances < 1 or days < 1:
        raise InputError(
            "too little to simulate",
            where="--instances, --days",
            found=f"{instances}, {days}",
            allowed="1 or more, 1 or more",
        )
    simulation = ProcessSimulation(_program(process.partition(".")[0], place), process, seed, days)
    with progress_bar() as progress:
        task = progress.add_task(f"{process}, seed {seed}", total=instances)
        found = simulation.run(instances, lambda done: progress.update(task, completed=done))
    if json:
        show_json(msgspec.to_builtins(found))
    else:
        _show(found)
    return 1 if found.problems else 0


def _program(pack: str, place: Place) -> Program:
    """A pack and what it requires, compiled as if nothing else were in force."""
    from quanheng import __version__
    from quanheng.machines import code_names
    from quanheng.program import Program
    from quanheng.server.opening import available_packs, chosen_packs
    from quanheng.state import FIRST_PACK_CODE

    declared, _ = chosen_packs([pack], available_packs(place.read().packs.folders))
    names = [name for one in declared for name in (*(event.name for event in one.events), *code_names(one))]
    codes = {name: FIRST_PACK_CODE + number for number, name in enumerate(dict.fromkeys(names))}
    return Program({one.name: one for one in declared}, codes, engine=__version__)


def _show(found: Simulated) -> None:
    print(f"{found.process}, seed {found.seed}: {found.sent:,} events in {found.days} days")
    print(f"{found.begun:,} instances began, {found.over:,} are over, {found.steps:,} steps were made")
    for title, counts in (
        ("Where they are", found.states), ("Entered", found.reached), ("Refused at intake", found.refused),
        ("Taken, nothing moved", found.unmoved), ("Timers that fired", found.fired), ("Sent", found.messages),
        ("Faults", found.faults),
    ):  # fmt: skip
        if counts:
            print(f"{title}: {', '.join(f'{name} {count:,}' for name, count in counts.items())}")
    for name, why in found.why.items():
        print(f"  {name}, first refused: {why}")
    if found.declined:
        print(f"Refused by the ledger: {found.declined:,}")
    print("Ways:")
    for way, count in found.paths:
        print(f"  {count:>7,}  {way}")
    if found.durations_ms is not None:
        median, most = (f"{one / 3_600_000:,.1f} h" for one in found.durations_ms)
        print(f"From begin to end: median {median}, 90th percentile {most}")
    for problem in found.problems:
        print(f"PROBLEM: {problem}")
    if not found.problems:
        print("Checked: one legal state for each part, money conserved, no timer past its time.")
