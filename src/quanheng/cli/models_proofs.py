"""`quanheng models prove`, `verify`: that served weights are those that were approved, for somebody who trusts neither
the server nor us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Json, Place, console, reader, show_json
from quanheng.cli.proofs import Keys, bytes_of, needed
from quanheng.kernel.time import format_time


def prove(
    pack: str, model: str, which: str = "active", /, *, out: Path, weights: Path | None = None, place: Place = HERE
) -> None:
    """Write a file that proves which weights were approved by whom: steps and activation as the signed log holds them.

    For example:
      quanheng models prove my_pack risk_score --out risk.attestation.json --weights risk.trees

    Parameters
    ----------
    pack : str
        Name of the pack.
    model : str
        Name of the model.
    which : str
        First digits of the model's hash, or of a version's that holds it (default: the one in force).
    out : Path
        File to write.
    weights : Path
        Also write the weights file itself here, to be sent along.
    """
    from quanheng.attesting import attest, encode
    from quanheng.registering import Registry

    config = place.read()
    found = administer(config, "model_show", {"pack": pack, "model": model, "version": which})
    with reader(config) as log:
        filed = Registry(log.content).models_of(found["version"])[model]
        made = attest(log, pack, filed, found["version"])
        content = log.content.get(filed.hash)
    out.write_bytes(encode(made))
    if weights is not None:
        weights.write_bytes(content)
    console().print(f"written: {', '.join(str(path) for path in (out, weights) if path is not None)}")


def verify(file: Path, /, *, weights: Path | None = None, key: Keys = (), json: Json = False) -> None:
    """Check offline that a weights file is the one that was approved. Needs the public key of the log, nothing else.

    For example:
      quanheng models verify risk.attestation.json --weights risk.trees --key bank.example/log+1a2b3c4d+AQ…

    Parameters
    ----------
    file : Path
        What `quanheng models prove` wrote.
    weights : Path
        The weights file that is served.
    key : tuple[str, ...]
        Public key of the log, as `quanheng log key` shows it; got on another way than the proof. Of several, each must
        have signed. @FILE stands for the keys in a file.
    json : bool
        One line of JSON.
    """
    from quanheng.attesting import approvers, check_attestation

    served = bytes_of(weights, "the weights file") if weights is not None else None
    found = check_attestation(bytes_of(file, "the attestation"), served, needed(key))
    if json:
        show_json(_told(found, served is not None, approvers(found)))
        return
    print(f"{found.origin}: {found.pack} {found.model.name}, version {found.version[:12]}, weights {found.weights}")
    print("the weights file is this one" if served is not None else "no weights file was compared: give --weights")
    for move, offset in zip(found.moves, found.offsets, strict=True):
        print(f"  {offset}: {move.step} by {move.actor}, {format_time(move.received_ms)}: {move.reason}")
    print(f"approved by another than its authors: {', '.join(approvers(found)) or 'nobody'}")
    print(_force(found))


def _force(found: Any) -> str:
    if found.activated is None:
        return "it never came into force"
    role = {0: "as the champion", -1: "in the shadow"}.get(found.trial_bp, f"for {found.trial_bp / 100:g} %")
    alone = f", by {found.activated.by} alone: {found.activated.why}" if found.activated.why else ""
    return f"newest set of packs with it: offset {found.activation}, {role}{alone}"


def _told(found: Any, compared: bool, approved_by: list[str]) -> dict[str, Any]:
    moves = zip(found.moves, found.offsets, strict=True)
    return {
        "origin": found.origin,
        "size": found.size,
        "pack": found.pack,
        "model": found.model.name,
        "version": found.version,
        "weights": found.weights,
        "weights_compared": compared,
        "steps": [
            {"offset": offset, "step": one.step, "actor": one.actor, "reason": one.reason} for one, offset in moves
        ],
        "approved_by": approved_by,
        "activation": found.activation,
        "share_bp": max(found.trial_bp, 0),
        "shadow": found.trial_bp < 0,
    }
