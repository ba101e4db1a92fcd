"""`quanheng simulate`: a part of the platform against its law, from a seed."""

from __future__ import annotations

from typing import Any

import cyclopts

from quanheng.cli.common import Flag, Json, console, progress_bar, show_json

app = cyclopts.App(
    name="simulate", help="Run a part against its law, from a seed; with --canary a fault must be found."
)


@app.command
def ledger(
    *, seed: int = 1, operations: int = 100_000, accounts: int = 24, canary: Flag = False, json: Json = False
) -> int:
    """Run the ledger's core against its law: random work from a seed that goes where it hurts.

    After each batch the answers must be equal and debits must equal credits in every asset; now and then, and at the
    end, everything that can be read. A difference ends the run with exit code 1; with --canary, finding none does.

    For example:
      quanheng simulate ledger --seed 7 --operations 1000000

    Parameters
    ----------
    seed : int
        Seed of the run: the same seed gives the same run.
    operations : int
        Accounts and transfers that are asked for, at least.
    accounts : int
        Accounts there are at most; few make a rough world.
    canary : bool
        Plant a fault in the core's memory on the way, which the run must find.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.errors import InputError
    from quanheng.testing.ledger_simulation import Difference, Simulation

    if operations < 1 or accounts < 2:
        raise InputError(
            "too little to simulate",
            where="--operations, --accounts",
            found=f"{operations}, {accounts}",
            allowed="1 or more, 2 or more",
        )
    simulation, found, facts = Simulation(seed, canary=canary, accounts=accounts), "", 0
    with progress_bar() as progress:
        task = progress.add_task(f"ledger, seed {seed}", total=operations)
        try:
            facts = simulation.run(operations, lambda done: progress.update(task, completed=done)).facts
        except Difference as difference:
            found = str(difference)
    told: dict[str, Any] = {
        "seed": seed,
        "operations": simulation.operations,
        "batches": simulation.batches,
        "facts": facts,
    }
    told |= {"canary": canary, "difference": found, "outcomes": dict(simulation.outcomes.most_common())}
    if json:
        show_json(told)
    else:
        console().print(_sentence(told))
    return int(bool(found) != canary)


def _sentence(told: dict[str, Any]) -> str:
    run = f"{told['operations']:,} operations in {told['batches']:,} batches from seed {told['seed']}"
    if told["difference"]:
        return f"{'the canary was found' if told['canary'] else 'the core broke the law'}: {told['difference']}"
    return f"{'the canary was NOT found in ' if told['canary'] else 'the core kept the law: '}{run}"
