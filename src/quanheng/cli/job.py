"""`quanheng job`: work over many instances of a process: when it runs next, what the last run did, and a run now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cyclopts

from quanheng.cli.admin import administer, administration
from quanheng.cli.common import HERE, Flag, Json, Place, console, locked_engine, progress_bar, show_json
from quanheng.kernel.time import format_time
from quanheng.server.config import Config

if TYPE_CHECKING:
    from rich.progress import Progress

app = cyclopts.App(
    name="job",
    help="Jobs over many instances of a process.\n\nFor example:\n  quanheng job list\n  quanheng job run accrue",
)
POLL_S = 0.2


@app.command(name="list")
def list_jobs(*, json: Json = False, place: Place = HERE) -> None:
    """Show the declared jobs: when each runs next, and what its last run did.

    For example:
      quanheng job list

    Parameters
    ----------
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "jobs", {})
    if json:
        show_json(found)
        return
    for one in found["jobs"]:
        last = _run(one["runs"][0]) if one["runs"] else "has not run yet"
        print(f"{one['job']}  over {one['process']}  next {_moment(one['next_due_ms'])}  {last}")


@app.command
def show(name: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show a job with its newest runs, and why instances were rejected.

    For example:
      quanheng job show accrue

    Parameters
    ----------
    name : str
        Name of the job, with its pack (PACK.JOB) where several packs have one of that name.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "job_show", {"job": name})
    (one,) = found["jobs"]
    if json:
        show_json({**one, "as_of": found["as_of"]})
        return
    print(f"{one['job']}  over {one['process']}  next {_moment(one['next_due_ms'])}  {one['runs_n']} runs so far")
    for each in one["runs"]:
        print(f"  {_moment(each['began_ms'])}  {_run(each)}")
        for reason, count in each["reasons"].items():
            print(f"    {count} rejected: {reason}")
        for reject in each["rejects"]:
            print(f"    {reject['instance']}: {reject['reason']}")


@app.command
def run(name: str, /, *, no_wait: Flag = False, json: Json = False, place: Place = HERE) -> None:
    """Run a job now, whatever is due: here if the data folder is free, else inside the running server.

    For example:
      quanheng job run accrue

    Parameters
    ----------
    name : str
        Name of the job, with its pack (PACK.JOB) where several packs have one of that name.
    no_wait : bool
        Only begin; the running server goes on by itself.
    json : bool
        One line of JSON.
    """
    from quanheng.server.lock import FolderInUse

    config = place.read()
    try:
        one = _run_here(config, name)
    except FolderInUse:
        one = _run_there(config, name, wait=not no_wait)
    newest = one["runs"][0]
    if json:
        show_json({"job": one["job"], **newest})
        return
    print(f"{one['job']}  {_run(newest)}")
    for reason, count in newest["reasons"].items():
        print(f"  {count} rejected: {reason}")


def _run_here(config: Config, name: str) -> dict[str, Any]:
    """Run it in this process, to its end: nobody else would go on."""
    with locked_engine(config) as engine, progress_bar() as progress:
        jobs = engine.jobs
        jobs.start(name)
        bar = progress.add_task(name)
        while (shown := jobs.shown(name)[0])["runs"][0]["status"] == "running":
            engine.commit(jobs.prepare())
            _show(progress, bar, jobs.shown(name)[0]["runs"][0])
        return shown


def _run_there(config: Config, name: str, *, wait: bool) -> dict[str, Any]:
    """Begin it in the running server, and look on."""
    with administration(config) as ask:
        ask("job_run", {"job": name})
        (one,) = ask("job_show", {"job": name})["jobs"]
        if not wait:
            console().print("begun; `quanheng job show` tells how far it is")
            found: dict[str, Any] = one
            return found
        with progress_bar() as progress:
            bar = progress.add_task(name)
            while one["runs"][0]["status"] == "running":
                _show(progress, bar, one["runs"][0])
                time.sleep(POLL_S)
                (one,) = ask("job_show", {"job": name})["jobs"]
            _show(progress, bar, one["runs"][0])
    shown: dict[str, Any] = one
    return shown


def _show(progress: Progress, bar: Any, told: dict[str, Any]) -> None:
    progress.update(bar, completed=told["done"], total=told["of"])


def _run(told: dict[str, Any]) -> str:
    """A run in a line."""
    how = {"running": "is running", "done": "done", "stopped": "stopped: it is declared no more"}[told["status"]]
    by_hand = " by hand" if told["by_hand"] else ""
    return (
        f"run {told['offset']}{by_hand} {how}: {told['done']:,} of {told['of']:,} looked at, "
        f"{told['taken']:,} taken, {told['rejected']:,} rejected"
    )


def _moment(at_ms: int | None) -> str:
    """A moment in UTC."""
    return "never" if at_ms is None else format_time(at_ms)
