"""`quanheng log`, `quanheng decision`, `quanheng replay`: reading the log; all of them work beside a running server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from quanheng.cli import proofs
from quanheng.cli.common import HERE, Json, Place, console, opened_store, progress_bar, reader, show_json, show_value

if TYPE_CHECKING:
    from quanheng.kernel.checkpoint import Checkpoint
    from quanheng.server.config import Config

app = cyclopts.App(
    name="log",
    help="Verify the log, sign checkpoints, prove what it holds, watch another.\n\nExample: quanheng log verify",
)


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
def verify(
    *,
    checkpoint: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())] = (),
    key: proofs.Keys = (),
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Check every record, every batch, the chain and the Merkle tree of the log; what is wrong, and where.

    For example:
      quanheng log verify
      quanheng log verify --checkpoint checkpoint.txt --key bank.example/log+1a2b3c4d+AQ…

    Parameters
    ----------
    checkpoint : tuple[Path, ...]
        Checkpoints signed earlier (`quanheng log checkpoint`): the log must extend each. Several narrow down from where
        on a log was written anew.
    key : tuple[str, ...]
        Public key of the log that checks them, as `quanheng log key` shows it (default: the keys of the ring). With it
        no key ring is needed.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.log.checking import verify as verify_store

    config = place.read()
    store = opened_store(config)
    try:
        keys = proofs.needed(key) if key else ()
        signed = [_signed(proofs.text_of(path), keys, config) for path in checkpoint]
        with progress_bar() as progress:
            task = progress.add_task("verifying", total=None)
            report = verify_store(store, lambda done, total: progress.update(task, completed=done, total=total), signed)
    finally:
        store.close()
    found = {"ok": report.ok, "records": report.records, "batches": report.batches, "root": report.root.hex()}
    if json:
        where = {"damage": report.damage.value, "first": report.first, "last": report.last}
        show_json({**found, "bad_batch": report.bad_batch, "problem": report.problem, **({} if report.ok else where)})
    elif report.ok:
        print(
            f"{report.records} records in {report.batches} batches are as they were written; root {report.root.hex()}"
        )
    else:
        print(f"{_DAMAGE[report.damage].format(first=report.first, last=report.last)} {report.problem}")
    return 0 if report.ok else 1


_DAMAGE = {
    "missing": "MISSING: a batch is not in its place, records {first} to before {last}.",
    "epoch": "CHANGED: the batch of records {first} to before {last} is of an older writer than the one before it.",
    "records": "CHANGED: one or more of the records {first} to before {last} are not those that were written.",
    "batch": "CHANGED: the records {first} to before {last} are those that were written, their batch's fields are not.",
    "forked": "FORKED: the log is whole, but somewhere in {first} to before {last} it is not the one that was signed.",
    "truncated": "TRUNCATED: the records {first} to before {last} are gone.",
}  # fmt: skip


def _signed(note: str, keys: tuple[str, ...], config: Config) -> Checkpoint:
    """What a checkpoint says, checked with the keys that were given, or with those of the ring that signed it."""
    from quanheng.kernel import checkpoint as signing
    from quanheng.kernel.seal import KeyRing
    from quanheng.server.opening import signing_of

    if not keys:
        ring = KeyRing.open(Path(config.storage.keys))
        try:
            own = ring.signer(*signing_of(config).of(Path(config.storage.data))).verifier_keys()
        finally:
            ring.close()
        on_it = {(name, key_id) for name, key_id in signing.parse(note)[1]}
        parsed = {text: signing.VerifierKey.parse(text) for text in own}
        keys = tuple(text for text, one in parsed.items() if (one.name, one.key_id) in on_it) or tuple(own)
    return signing.verify(note, keys)


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


app.command(proofs.prove)
app.command(proofs.prove_consistency)
app.command(proofs.check_proof)
app.command(proofs.watch)
app.command(proofs.key)
