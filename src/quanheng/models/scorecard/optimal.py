"""The cuts of optbinning (Navas-Palencia 2020), asked of a process of its own.

optbinning loads ortools and cvxpy, whose solvers do not bear other libraries beside them, and needs an older protobuf
than ONNX does; so it lives in an environment of its own, which QUANHENG_OPTBINNING names by its interpreter. Values
go over as JSON lines on pipes, and cuts come back. This file is also what runs there: at the top it imports the
standard library alone, and the rest only on our side of the pipe.

Our own cuts (`partition`) are exact and need none of this: this is the second opinion on them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO, Any

ENVIRONMENT = "QUANHENG_OPTBINNING"
FIELDS = ("values", "target", "trend", "bins_max", "share_min", "time_limit_s", "categorical")


def optimal_splits(
    values: list[float] | list[str],
    target: list[bool],
    *,
    trend: str = "auto",
    bins_max: int = 8,
    share_min: float = 0.05,
    time_limit_s: int = 60,
    categorical: bool = False,
) -> dict[str, Any]:
    """What optbinning cuts: `splits` (numbers rising, or groups of categories), `value` (IV), `status`, `version`.

    Parameters
    ----------
    values : without missing ones
    trend : as optbinning has it: auto, ascending, descending, peak, valley, none
    time_limit_s : of the solver; the process is ended at twice that and 60 s for its start

    Raises
    ------
    MissingExtra : optbinning is not installed in that interpreter
    InputError : the process does not start, takes too long, or says what does not fit
    """
    from quanheng.kernel.errors import InputError, MissingExtra

    python = os.environ.get(ENVIRONMENT) or sys.executable
    asked = dict(zip(FIELDS, (values, target, trend, bins_max, share_min, time_limit_s, categorical), strict=True))
    limit_s = 2 * time_limit_s + 60
    where = f"optbinning in {python}"
    try:
        done = subprocess.run(
            [python, "-P", __file__],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except OSError as error:
        raise InputError(
            "the interpreter does not run", where=where, found=str(error.strerror), cure=f"Correct {ENVIRONMENT}."
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(
            "no answer in time", where=where, found=f"{limit_s} s", cure="Give fewer rows, or a longer time_limit_s."
        ) from None
    lines = done.stdout.strip().splitlines()
    answer: dict[str, Any] = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    if "absent" in answer:
        raise MissingExtra("optbinning", "optbinning", "a second opinion on bins")
    if "splits" not in answer:
        said = answer.get("error") or (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError("optbinning gave no cuts", where=where, found=str(said), cure="See what was asked of it.")
    return answer


def answer_one(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one column, in the process that has optbinning."""
    try:
        from importlib.metadata import version

        import numpy as np
        from optbinning import OptimalBinning
    except ImportError as error:
        return {"absent": str(error)}
    categorical = bool(asked["categorical"])
    binning = OptimalBinning(
        dtype="categorical" if categorical else "numerical",
        solver="cp",
        monotonic_trend=None if asked["trend"] == "none" else asked["trend"],
        max_n_bins=asked["bins_max"],
        min_bin_size=asked["share_min"],
        time_limit=asked["time_limit_s"],
    )
    try:
        binning.fit(np.array(asked["values"], object if categorical else float), np.array(asked["target"], int))
        table = binning.binning_table
        table.build()
    except Exception as error:  # The boundary of a foreign process: whatever it raises becomes a line of JSON.
        return {"error": f"{type(error).__name__}: {error}"}
    splits = [list(map(str, one)) for one in binning.splits] if categorical else [float(one) for one in binning.splits]
    return {
        "splits": splits, "value": float(table.iv), "status": str(binning.status), "version": version("optbinning"),
    }  # fmt: skip


def main(given: IO[str], out: IO[str]) -> None:
    """Read one question, write one answer. What optbinning itself says goes to the error output."""
    print_to, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = answer_one(json.load(given))
    finally:
        sys.stdout = print_to
    out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
