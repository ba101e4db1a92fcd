"""`quanheng models dmn`: a scorecard that was fitted on a table, as a DMN file."""

from __future__ import annotations

from pathlib import Path

from quanheng.cli.common import Json, console, show_json
from quanheng.kernel.errors import InputError


def dmn(folder: Path, /, *, out: Path | None = None, json: Json = False) -> int:
    """Write a fitted scorecard as a DMN model: a decision table for each column, and the decision `score`, their sum.

    It gives the points of the scorecard. Inputs are the columns, under names that FEEL reads as one; null is missing.

    For example:
      quanheng models dmn german --out german.dmn

    Parameters
    ----------
    folder : Path
        The folder that `quanheng models fit --out` wrote.
    out : Path
        File to write (default: NAME.dmn in the folder).
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.fit_folder import read_folder
    from quanheng.models.scorecard.dmn import DECISION, emit_dmn, input_names
    from quanheng.models.scorecard.scorecard import Scorecard

    kept = read_folder(folder)
    if not isinstance(kept.model, Scorecard):
        raise InputError(
            "only a scorecard is written as DMN",
            where=str(folder),
            found=kept.estimator,
            allowed="scorecard",
            cure="Fit with --estimator scorecard.",
        )
    path = out or folder / f"{kept.name}.dmn"
    path.write_bytes(emit_dmn(kept.model.weights, kept.name))
    inputs = input_names(kept.model.weights)
    if json:
        show_json({"file": str(path), "hash": kept.hash, "decision": DECISION, "inputs": inputs})
        return 0
    console().print(f"written: {path}")
    print(f"{kept.name} ({kept.hash}): {len(inputs)} tables, decision {DECISION}")
    for column, name in inputs.items():
        print(f"  {name}" + (f" = column {column}" if name != column else ""))
    return 0
