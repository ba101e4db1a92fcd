"""`quanheng demo ledger`: a seeded day of business of every instrument on one durable ledger, and what was proved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quanheng.cli.common import HERE, Json, Place, progress_bar, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from quanheng.cli.demo_proofs import Proved
    from quanheng.ledger.instruments.demo import Played
    from quanheng.ledger.instruments.demo.plays import Play

WIDTH = 100
"""Columns of the table where standard output is no terminal."""


def ledger(*instruments: str, seed: int = 1, json: Json = False, place: Place = HERE) -> int:
    """Play a day of business of every instrument on one ledger, durable in a log, and prove that nothing was lost.

    From the log alone: debits equal credits in every asset, the log verifies, the ledger recovered from it is the same,
    a transfer's inclusion is proved. Exit code 1 if a law or a proof does not hold. With --data the log stays.

    For example:
      quanheng demo ledger
      quanheng demo ledger bills loans --seed 7 --json

    Parameters
    ----------
    instruments : str
        Which of them (default: all): payments, escrows, payouts, wallets, exchanges, netting and so on.
    seed : int
        Seed of the days: the same seed plays the same days.
    json : bool
        One line of JSON.
    """
    from quanheng.cli.demo import folders
    from quanheng.cli.demo_proofs import durable_ledger, prove
    from quanheng.ledger.instruments.demo.plays import START_MS, play_all

    plays, days = _chosen(instruments), []
    with folders(place, store="sqlite") as config:
        with durable_ledger(config, START_MS) as (durable, memory), progress_bar() as progress:
            task = progress.add_task(plays[0].en, total=len(plays))
            for number, (one, played) in enumerate(play_all(durable, seed, plays), 1):
                days.append((one, played))
                following = plays[number].en if number < len(plays) else "every day was played"
                progress.update(task, completed=number, description=following)
            digest = memory.digest()
        proved = prove(config, digest, seed)
    ok = all(all(day.checked.values()) for _, day in days) and all(one.held for one in proved.proofs)
    if json:
        show_json(_told(days, proved, seed, ok))
    else:
        _show(days, proved, seed)
    return 0 if ok else 1


def _chosen(names: Sequence[str]) -> Sequence[Play]:
    from quanheng.kernel.errors import InputError
    from quanheng.ledger.instruments.demo.plays import PLAYS

    known = {one.name: one for one in PLAYS}
    for name in names:
        if name not in known:
            raise InputError("there is no day of business of this name", where=name, allowed=", ".join(known))
    return [one for one in PLAYS if one.name in names] if names else PLAYS


def _told(days: Sequence[tuple[Play, Played]], proved: Proved, seed: int, ok: bool) -> dict[str, object]:
    return {
        "ok": ok,
        "seed": seed,
        "instruments": [
            {"name": one.name, "title": {"en": one.en, "zh": one.zh}, **played._asdict()} for one, played in days
        ],
        **{name: sum(getattr(played, name) for _, played in days) for name in COUNTS},
        "records": proved.records,
        "root": proved.root,
        "proofs": [one._asdict() for one in proved.proofs],
    }


COUNTS = "actions", "applied", "refused", "transfers"


def _show(days: Sequence[tuple[Play, Played]], proved: Proved, seed: int) -> None:
    from rich.console import Console

    shown = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    shown.print(_table(days, seed))
    for one, played in days:
        for law, held in played.checked.items():
            if not held:
                shown.print(f"BROKEN  {one.en}: {law}", markup=False)
    for proof in proved.proofs:
        shown.print(f"{'proved' if proof.held else 'BROKEN'}  {proof.sentence}: {proof.found}", markup=False)


def _table(days: Sequence[tuple[Play, Played]], seed: int) -> Table:
    from rich import box
    from rich.table import Table

    title = f"A day of business of each instrument on one ledger, seed {seed}"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=True)
    laws = [law for _, played in days for law in played.checked.values()]
    shown.add_column("instrument", "all", no_wrap=True)
    shown.add_column("工具", "合计", no_wrap=True)
    for name in COUNTS:
        total = sum(getattr(played, name) for _, played in days)
        shown.add_column(name, f"{total:,}", justify="right", no_wrap=True)
    shown.add_column("laws held", f"{sum(laws)} of {len(laws)}", justify="right", no_wrap=True)
    for one, played in days:
        counts = (f"{getattr(played, name):,}" for name in COUNTS)
        held = f"{sum(played.checked.values())} of {len(played.checked)}"
        shown.add_row(one.en, one.zh, *counts, held)
    return shown
