"""`quanheng log`, `quanheng decision`, `quanheng replay`: reading the log; all of them work beside a running server."""

from __future__ import annotations

from pathlib import Path

import cyclopts

from quanheng.cli.common import HERE, Json, Place, console, progress_bar, reader, show_json, show_value

app = cyclopts.App(name="log", help="Verify the log, show its head, sign a checkpoint.\n\nExample: quanheng log verify")


def decision(id: int, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show one decision: outcome, reasons, features, versions, trace.

    For example:
      quanheng decision 1042

    Parameters
    ----------
    id : int
        Log offset of the decision, as `decision` in the reply to an event.
    json : bool
        One line of JSON.
    """
    with reader(place.read()) as log:
        show_value(log.decision(id), json)


def replay(id: int, /, *, json: Json = False, place: Place = HERE) -> int:
    """Judge a decision again from the log alone, and compare outcome, reasons and vector byte for byte.

    For example:
      quanheng replay 1042

    Parameters
    ----------
    id : int
        Log offset of the decision.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.snapshot import Snapshots
    from quanheng.replay import replay as replay_decision

    config = place.read()
    with reader(config) as log, progress_bar() as progress:
        task = progress.add_task("folding the log")
        report = replay_decision(
            log,
            Snapshots(Path(config.storage.data) / "snapshots"),
            id,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json:
        show_json(
            {
                **report._asdict(),
                "differences": [difference._asdict() for difference in report.differences],
            }
        )
    else:
        verdict = "the same, byte for byte" if report.same else f"DIFFERENT. {report.cause}".strip()
        print(f"decision {report.decision}: {report.outcome} {list(report.reasons)}; replay gives {verdict}")
        for difference in report.differences:
            print(f"  {difference.part}: recorded {difference.recorded}; replayed {difference.replayed}")
    return 0 if report.same else 1


@app.command
def verify(*, checkpoint: Path | None = None, json: Json = False, place: Place = HERE) -> int:
    """Check every record, every batch, the chain and the Merkle tree of the log.

    For example:
      quanheng log verify

    Parameters
    ----------
    checkpoint : Path
        A checkpoint written earlier by `quanheng log checkpoint`: the log must extend it.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel import checkpoint as signing

    config = place.read()
    with reader(config) as log, progress_bar() as progress:
        extends = None
        if checkpoint is not None:
            signer = log.ring.signer("quanheng/" + Path(config.storage.data).name)
            extends = signing.verify(_text_of(checkpoint), signer.verifier_key())
        task = progress.add_task("verifying", total=log.log.head)
        report = log.log.verify(lambda done, total: progress.update(task, completed=done, total=total), extends)
    found = {"ok": report.ok, "records": report.records, "batches": report.batches, "root": report.root.hex()}
    if json:
        show_json({**found, "bad_batch": report.bad_batch, "problem": report.problem})
    elif report.ok:
        print(
            f"{report.records} records in {report.batches} batches are as they were written; root {report.root.hex()}"
        )
    else:
        print(f"batch at offset {report.bad_batch} is not as it was written: {report.problem}")
    return 0 if report.ok else 1


@app.command
def head(*, json: Json = False, place: Place = HERE) -> None:
    """Show how many records the log holds, and the root of its Merkle tree.

    For example:
      quanheng log head --json

    Parameters
    ----------
    json : bool
        One line of JSON.
    """
    with reader(place.read()) as log:
        found = {"records": log.log.head, "root": log.log.root().hex()}
    if json:
        show_json(found)
    else:
        print(f"{found['records']} records; root {found['root']}")


@app.command
def checkpoint(*, out: Path | None = None, place: Place = HERE) -> None:
    """Sign size and root of the log (C2SP checkpoint). Keep it elsewhere: it proves that nothing was changed before.

    For example:
      quanheng log checkpoint --out checkpoint.txt
      quanheng log verify --checkpoint checkpoint.txt

    Parameters
    ----------
    out : Path
        File to write; standard output by default.
    """
    with reader(place.read()) as log:
        text = log.log.checkpoint()
    if out is None:
        print(text, end="" if text.endswith("\n") else "\n")
    else:
        out.write_text(text, encoding="utf-8")
        console().print(f"written: {out}")


def _text_of(path: Path) -> str:
    from quanheng.kernel.errors import NotFound

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(
            "the checkpoint cannot be read",
            where=str(path),
            found=error.strerror or str(error),
            cure="Give an existing file.",
        ) from error
