"""`quanheng models effect`: what a treatment changed, from a table of subjects and the arms they were drawn into."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quanheng.cli.common import Json, show_json
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from quanheng.models.chance import Interval
    from quanheng.models.effect.difference import Effect
    from quanheng.models.effect.report import Asked, Compared, Report

SUSPECT = 3
"""Exit code where the arms are not of their declared sizes: no figure of such an experiment is to be trusted."""


def effect(
    file: Path,
    /,
    *,
    arm: str,
    value: str,
    control: str,
    per: str = "",
    before: str = "",
    by: str = "",
    subject: str = "",
    score: str = "",
    share: list[str] | None = None,
    planned: int = 0,
    json: Json = False,
) -> int:
    """Compare the arms of a randomised experiment: differences with intervals, sizes of arms, segments, early looks.

    The file has a row a subject, or several with --subject. A value of 0 and 1 is a share, another one a mean, with
    --per a ratio of sums. Exit code 3 if arms are not of their declared sizes: the draw or the data are wrong.

    For example:
      quanheng models effect loans.csv --arm arm --control held_out --value recovered_minor
      quanheng models effect loans.csv --arm arm --control held_out --value cost_minor --per recovered_minor
      quanheng models effect loans.csv --arm arm --control held_out --value bad --share held_out=0.1 --share offered=0.9

    Parameters
    ----------
    file : Path
        Table: .csv, .parquet, .xlsx, also in .gz or .zip.
    arm : str
        Column that holds the arm.
    value : str
        Column that is compared.
    control : str
        Arm that the others are compared with.
    per : str
        Column by whose sum that of the value is divided.
    before : str
        Column known before the draw, to adjust by: never one that the treatment could change.
    by : str
        Column of segments known before the draw.
    subject : str
        Column that names who was drawn; rows of one subject are summed.
    score : str
        Column that ranks subjects, highest first, for the Qini coefficient.
    share : list[str]
        Declared share of an arm, ARM=SHARE; give it for every arm.
    planned : int
        Subjects when the experiment is to end: adds intervals that may be looked at before.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.effect.report import Asked, measure
    from quanheng.models.tables.files import read_file

    cells = read_file(file).rows
    asked = Asked(
        arm=arm, value=value, control=control, per=per, before=before, by=by, subject=subject, score=score,
        shares=_shares(share or []), planned=planned,
    )  # fmt: skip
    table, asked = _table(cells, asked, file.name)
    found = measure(table, asked)
    if json:
        show_json(told(found))
    else:
        print("\n".join(lines(found)))
    return SUSPECT if found.mismatch is not None and not found.mismatch.trusted else 0


def _shares(given: list[str]) -> dict[str, float]:
    """ARM=SHARE texts as numbers.

    Raises
    ------
    InputError : one that is none
    """
    found = {}
    for one in given:
        name, _, text = one.rpartition("=")
        try:
            found[name] = float(text)
        except ValueError:
            name = ""
        if not name:
            raise InputError("the share cannot be read", where="--share", found=one, allowed="ARM=SHARE, held_out=0.1")
    return found


def _table(cells: pl.DataFrame, asked: Asked, where: str) -> tuple[pl.DataFrame, Asked]:
    """The columns that are asked for, texts and numbers as they must be, under their names in the file.

    Raises
    ------
    NotFound : there is no such column; InputError : a cell that is no number
    """
    import msgspec
    import polars as pl

    from quanheng.models.tables.target import find_column

    numbers, texts = ("value", "per", "before", "score"), ("arm", "by", "subject")
    asking = {one: getattr(asked, one) for one in (*texts, *numbers)}
    named = {one: find_column(name, cells.columns, where) for one, name in asking.items() if name}
    made: dict[str, pl.Series] = {}
    for one in texts:
        if one in named:
            made[named[one]] = cells[named[one]].cast(pl.String)  # As it stands: an arm may be called "none".
    for one in numbers:
        if one in named:
            made[named[one]] = _numbers(cells[named[one]], where)
    return pl.DataFrame([column.alias(name) for name, column in made.items()]), msgspec.structs.replace(asked, **named)


def _numbers(cells: pl.Series, where: str) -> pl.Series:
    import polars as pl

    from quanheng.models.tables.cells import blank_missing

    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        found = cells.cast(pl.Float64)
    else:
        known = blank_missing(cells.cast(pl.String))
        plain = known.str.to_lowercase().replace({"true": "1", "false": "0", "yes": "1", "no": "0"})
        found = plain.cast(pl.Float64, strict=False)
        unread = known.filter(known.is_not_null() & found.is_null())
        if len(unread):
            raise InputError(
                "a cell is no number", where=f"{where}: {cells.name}",
                found=f"{unread[0]!r} and {len(unread) - 1} more",
                allowed="numbers with a point, true and false, or nothing where it is not known",
            )  # fmt: skip
    if not found.drop_nulls().is_finite().all():
        raise InputError(
            "a cell is not finite", where=f"{where}: {cells.name}", found="inf or NaN",
            cure="Leave the cell empty where nothing is known.",
        )  # fmt: skip
    return found


def told(found: Report) -> dict[str, Any]:
    """All of it as plain data, ready for JSON: what is not finite is null."""
    made = _plain(found)
    return made if isinstance(made, dict) else {}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def lines(found: Report) -> list[str]:
    """All of it for people."""
    made = [f"{'arm':<20}{'subjects':>10}{'missing':>9}  {found.kind} with its 95 % interval"]
    for one in found.arms:
        made.append(f"{one.name:<20}{one.subjects:>10,}{one.missing:>9,}  {_interval(one.value)}")
    if found.in_two_arms:
        made.append(f"left out: {found.in_two_arms} subjects that are in two arms")
    if found.mismatch is None:
        made.append("sizes of the arms were not tested: give --share ARM=SHARE for each")
    elif found.mismatch.trusted:
        made.append(f"sizes are as declared (p {found.mismatch.p:.3f})")
    else:
        made.append(f"SIZES ARE NOT AS DECLARED (p {found.mismatch.p:.2g}): nothing below is to be trusted")
    for compared in found.compared:
        made += ["", *_compared(compared, found.control)]
    return made


def _compared(one: Compared, control: str) -> list[str]:
    made = [f"{one.name} - {control}", f"  plain      {_effect(one.effect)}"]
    if one.adjusted is not None:
        made.append(f"  adjusted   {_effect(one.adjusted)}")
    if one.early is not None:
        made.append(f"  any time   {_effect(one.early)}")
    else:
        made.append("  one look: valid at the end that was planned; for a look before it give --planned")
    made.append(f"  a true difference of {one.detectable:.6g} is found with power 80 %")
    if one.missing_p < 0.01:
        made.append(
            f"  values are missing in unlike shares (p {one.missing_p:.2g}): the arms lose subjects differently"
        )
    if one.segments is not None:
        made.append(f"  segments: p {one.segments.heterogeneous_p:.3f} of one difference for all; p adjusted by Holm")
        for each in one.segments.of:
            made.append(f"    {each.name:<18}{each.treated:>8,}{each.control:>8,}  {_effect(each.effect)}")
            made[-1] += f", adjusted {each.p_adjusted:.3f}"
        if one.segments.left_out:
            made.append(f"    too few subjects: {', '.join(one.segments.left_out)}")
    if one.qini is not None:
        made.append(f"  Qini {one.qini.coefficient:.6g} (p {one.qini.p:.3f} against random orders)")
    return made


def _effect(one: Effect) -> str:
    if not isfinite(one.value):
        return f"cannot be computed ({one.method})"
    return f"{one.value:+.6g} ({one.low:+.6g} to {one.high:+.6g}), p {one.p:.4f} ({one.method})"


def _interval(one: Interval) -> str:
    return f"{one.value:.6g} ({one.low:.6g} to {one.high:.6g})" if isfinite(one.value) else "unknown"
