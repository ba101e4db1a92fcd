"""`quanheng features report`: whether what is served still looks like what the models were made for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from quanheng.cli.common import HERE, Json, Place, by_stage, console, progress_bar, reader, show_json
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    from quanheng.features.drift.measures import Apart
    from quanheng.features.drift.profile import Profiles
    from quanheng.past.window import Progress, Window
    from quanheng.reading import Reader

REFERENCE = "FILE.json (a saved profile), FILE.parquet, FILE.csv, or FROM..TO (two moments, an earlier time of the log)"


def report(
    pack: str,
    /,
    *,
    reference: str = "",
    from_: Annotated[str, Parameter(name="--from")] = "",
    to: str = "",
    event: str = "",
    html: Path | None = None,
    save_profile: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Compare what decisions were served with a reference: PSI, KS, missing values, new categories, drawn.

    Every field, fold, formula and score that the pack's decisions were given is compared. Texts that are personal and
    keys are left out. The exit code is 0 also where something has drifted: --json tells.

    For example:
      quanheng features report my_pack --reference 2026-01-01..2026-02-01 --from 2026-02-01 --html drift.html
      quanheng features report my_pack --to 2026-02-01 --save-profile january.json

    Parameters
    ----------
    pack : str
        Name of a pack that decided in this data folder.
    reference : str
        FILE.json (a saved profile), FILE.parquet or FILE.csv (a training set), or FROM..TO (earlier in the log).
    from_ : str
        Events from this moment on, by their own time (default: all).
    to : str
        Events before this moment (default: all).
    event : str
        Event type, where the pack decides several.
    html : Path
        File to write the report to, as one self-contained page in English and Chinese.
    save_profile : Path
        File to keep the profile of what was served in, as the reference of later reports.
    json : bool
        One line of JSON: the whole report.
    """
    from quanheng.features.drift.measures import compare
    from quanheng.features.drift.profile import encode
    from quanheng.past.backtest import names_in
    from quanheng.past.distributions import served_profiles, window_of

    if not reference and save_profile is None:
        raise InputError(
            "nothing says what to compare with", where="--reference", allowed=REFERENCE,
            cure="Name a reference, or keep a profile as one: --save-profile FILE.json",
        )  # fmt: skip
    check_reference(reference)
    config = place.read()
    with reader(config) as log, progress_bar() as progress:
        window = window_of(log, pack, event, from_, to)
        served, declared = served_profiles(log, pack, window, by_stage(progress))
        known = read_reference(log, pack, window, reference, served, by_stage(progress)) if reference else None
    if save_profile is not None:
        save_profile.write_bytes(encode(served))
        console().print(f"written: {save_profile}")
    if known is None:
        return 0
    found = compare(known, served)
    if html is not None:
        from quanheng.features.drift.page import page

        html.write_text(page(pack, known, served, found, names_in(declared)), encoding="utf-8")
        console().print(f"written: {html}")
    if json:
        show_json(told(pack, known, served, found))
        return 0
    print(f"{pack}: {served.source} ({served.rows} decisions) against {known.source} ({known.rows} rows)")
    for line in lines(found):
        print(line)
    return 0


def check_reference(reference: str) -> None:
    """Refuse what is no reference before the log is looked through.

    Raises
    ------
    InputError : it is neither a file that is there nor two moments
    """
    path = Path(reference)
    if not reference or (".." in reference and path.suffix != ".json"):
        return
    if path.suffix not in (".json", ".parquet", ".csv"):
        cure = "Two moments with .. between, or a file."
        raise InputError(
            "the reference cannot be read", where="--reference", found=reference, allowed=REFERENCE, cure=cure
        )
    if not path.is_file():
        raise InputError("there is no such file", where="--reference", found=reference, cure="Correct the path.")


def read_reference(
    log: Reader, pack: str, window: Window, reference: str, served: Profiles, progress: Progress
) -> Profiles:
    """The profiles that `reference` names: of a file, or of another time of the log.

    Raises
    ------
    InputError : it is none of these, or the file cannot be read
    """
    from quanheng.features.drift.profile import decode, profiles_of
    from quanheng.past.distributions import served_profiles, window_of

    first, dots, last = reference.partition("..")
    if dots and Path(reference).suffix != ".json":
        return served_profiles(log, pack, window_of(log, pack, window.event, first, last), progress)[0]
    path = Path(reference)
    if path.suffix == ".json":
        return decode(path.read_bytes(), reference)
    import polars as pl

    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
    names = {one.name: one.kind for one in served.columns if one.name in frame.columns}
    if not names:
        raise InputError(
            "the file has none of the features", where="--reference", found=", ".join(frame.columns[:20]),
            allowed=", ".join(one.name for one in served.columns), cure="Name its columns like the features.",
        )  # fmt: skip
    return profiles_of(frame, names, pack, path.name)


def told(pack: str, reference: Profiles, served: Profiles, found: list[Apart]) -> dict[str, Any]:
    """The report as plain data, ready for JSON."""
    return {
        "pack": pack,
        "reference": {"source": reference.source, "rows": reference.rows},
        "served": {"source": served.source, "rows": served.rows},
        "features": [{**one._asdict(), "bins": [each._asdict() for each in one.bins]} for one in found],
    }


def lines(found: list[Apart]) -> list[str]:
    """The report in plain text: a line a feature, what differs most first."""
    wide = max((len(one.name) for one in found), default=0) + 2
    made = [f"{'feature'.ljust(wide)}{'verdict'.ljust(10)}{'PSI':>8}{'KS':>8}  missing"]
    for one in found:
        psi, ks = ("" if value is None else f"{value:.3f}" for value in (one.psi, one.ks))
        missing = f"{one.missing[0]:.2%} -> {one.missing[1]:.2%}"
        new = f"  new: {', '.join(name for name, _ in one.new[:3])}" if one.new else ""
        made.append(f"{one.name.ljust(wide)}{one.verdict.ljust(10)}{psi:>8}{ks:>8}  {missing}{new}")
    return made
