"""`quanheng models score`: another table scored by a model that was fitted on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from quanheng.cli.common import Flag, Json, console, progress_bar, show_json
from quanheng.cli.models_fit import show_findings


def score(
    folder: Path,
    file: Path,
    /,
    *,
    out: Path = Path("scores.csv"),
    contributions: Flag = False,
    language: Literal["en", "zh"] = "en",
    json: Json = False,
) -> int:
    """Score another table with a model that `quanheng models fit --out` wrote. Its columns are read as in training.

    A column that the model reads must be there; others are told and not used. Where the table has the target too, the
    scores are measured.

    For example:
      quanheng models score german new_applications.csv --out scores.csv

    Parameters
    ----------
    folder : Path
        The folder of the model.
    file : Path
        A table of the same kind as the one it was fitted on.
    out : Path
        File of the scores: row (from 1) and score; .csv or .parquet.
    contributions : bool
        What each input adds to the log-odds, as further columns.
    language : str
        Titles of what was found: en or zh.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.fit_folder import read_folder
    from quanheng.models.scoring import score_file

    kept = read_folder(folder)
    with progress_bar() as progress:
        task = progress.add_task("scoring", total=1)
        scored = score_file(kept, file, contributions)
        progress.update(task, completed=1)
    if out.suffix == ".parquet":
        scored.frame.write_parquet(out)
    else:
        scored.frame.write_csv(out)
    console().print(f"written: {out}")
    told: dict[str, Any] = {"model": kept.name, "hash": kept.hash, "rows": scored.frame.height, "mean": scored.mean}
    if json:
        import msgspec

        show_json(
            {**told, "measures": scored.measures, "findings": [msgspec.to_builtins(one) for one in scored.findings]}
        )
        return 0
    show_findings(scored.findings, language)
    print(f"{scored.frame.height:,} rows scored by {kept.name} ({kept.hash}); mean {scored.mean:.4f}")
    for name, value in scored.measures.items():
        print(f"  {name} {value:.4f}")
    return 0
