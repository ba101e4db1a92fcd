"""`quanheng models watch`: whether a model is still what it was, and alarms as events where it is not."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quanheng.cli.common import HERE, Flag, Json, Place, by_stage, console, progress_bar, reader, show_json
from quanheng.kernel.errors import InputError
from quanheng.kernel.time import DAY_MS, format_time

if TYPE_CHECKING:
    from quanheng.models.monitoring.reference import Reference
    from quanheng.models.monitoring.watch import Watched
    from quanheng.past.watching import Watching
    from quanheng.past.window import Progress

ALARM = 3
"""Exit code where something is beyond its alarm limit, as of `quanheng log watch`."""
REFERENCE = "FILE.json (a reference.json), or FROM..TO (two moments, an earlier time of the log)"


def watch(
    pack: str,
    model: str = "",
    /,
    *,
    since: str = "",
    until: str = "",
    as_of: str = "",
    reference: str = "",
    save_reference: Path | None = None,
    record: Flag = False,
    html: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Watch a model: stability of scores and inputs, power and calibration as labels ripen, approvals, overrides.

    Compares decisions of the log, period by period, with the reference beside the model's weights, or with one that is
    named here. Limits are in `[monitoring]` of models/NAME.toml. Exit code 3 if something is beyond its alarm limit.

    For example:
      quanheng models watch my_pack
      quanheng models watch my_pack risk_score --since 2026-01-01 --record
      quanheng models watch my_pack --reference 2025-07-01..2025-10-01 --html watch.html

    Parameters
    ----------
    pack : str
        Name of a pack that decided in this data folder.
    model : str
        Which model (default: the only one).
    since : str
        Decisions from this moment on, by the time of their events (default: all).
    until : str
        Decisions before this moment (default: all).
    as_of : str
        Up to when labels are known and periods complete (default: the newest moment in the log).
    reference : str
        FILE.json (a reference.json), or FROM..TO (earlier in the log); default: the file beside the weights.
    save_reference : Path
        File to keep the reference in: as models/NAME.reference.json of the pack it is the one that is used.
    record : bool
        Record every finding as an event `model.alarm` in the log, once: packs react to it.
    html : Path
        File to write the findings to, as one self-contained page in English and Chinese.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.kernel.time import parse_time_ms
    from quanheng.past import watching

    config = place.read()
    as_of_ms = parse_time_ms(as_of) if as_of else None
    with reader(config) as log, progress_bar() as bar:
        asked = watching.watching(log, pack, model, since, until, by_stage(bar))
        known = read_reference(asked, reference, by_stage(bar))
        seen = watching.watch(asked, known, as_of_ms, by_stage(bar))
    if save_reference is not None:
        from quanheng.models.monitoring.reference import encode

        save_reference.write_bytes(encode(known))
        console().print(f"written: {save_reference}")
    recorded = None
    if record:
        from quanheng.cli.admin import administer
        from quanheng.models.monitoring.alarms import alarms_of

        alarms = alarms_of(asked.declared, asked.model, seen.watched.findings)
        recorded = administer(config, "model_alarms", {"alarms": alarms})
    if html is not None:
        from quanheng.models.monitoring.page import page

        html.write_text(page(asked.declared.name, asked.model.name, known, seen.watched), encoding="utf-8")
        console().print(f"written: {html}")
    if json:
        show_json(told(asked, known, seen, recorded))
    else:
        _show(asked, known, seen, recorded)
    return ALARM if any(one.level == "alarm" for one in seen.watched.findings) else 0


def read_reference(asked: Watching, reference: str, progress: Progress) -> Reference:
    """The reference that is named, or the one beside the weights.

    Raises
    ------
    InputError : there is none, or it cannot be read
    """
    from quanheng.models.monitoring.reference import SUFFIX, decode
    from quanheng.past.watching import reference_in

    first, dots, last = reference.partition("..")
    if dots and not reference.endswith(".json"):
        return reference_in(asked, first, last, progress)
    if reference:
        path = Path(reference)
        if not path.is_file():
            raise InputError("there is no such file", where="--reference", found=reference, cure="Correct the path.")
        return decode(path.read_bytes(), reference)
    content = asked.declared.references.get(asked.model.name)
    if content is None:
        raise InputError(
            "the model has no reference to compare with", where=f"{asked.declared.name}.{asked.model.name}",
            found=f"no file models/{asked.model.name}{SUFFIX}", allowed=REFERENCE,
            cure="Name an earlier time with --reference FROM..TO, or train the model again.",
        )  # fmt: skip
    return decode(content, f"models/{asked.model.name}{SUFFIX}")


def told(asked: Watching, reference: Reference, seen: Any, recorded: dict[str, Any] | None) -> dict[str, Any]:
    """All of it as plain data, ready for JSON."""
    import msgspec

    watched: Watched = seen.watched
    made = {
        "pack": asked.declared.name,
        "model": asked.model.name,
        "weights": asked.model.hash,
        "reference": {"source": reference.source, "rows": reference.rows, "strength": reference.strength},
        "decisions": seen.rows,
        "other_versions": seen.other_versions,
        "as_of_ms": watched.now_ms,
        "observe_ms": watched.observe_ms,
        "findings": [msgspec.to_builtins(one) for one in watched.findings],
        "periods": [_plain(one) for one in watched.periods],
        "performance": [_plain(one) for one in watched.performance],
    }
    return made if recorded is None else {**made, "recorded": recorded}


def _plain(value: Any) -> Any:
    """Named tuples as tables, and what is not a number as null."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and isnan(value) else value


def _show(asked: Watching, reference: Reference, seen: Any, recorded: dict[str, Any] | None) -> None:
    watched: Watched = seen.watched
    print(f"{asked.declared.name}.{asked.model.name}: {seen.rows} decisions against {reference.rows} rows")
    print(f"  reference: {reference.source}; labels known to {format_time(watched.now_ms)[:16]}")
    if seen.other_versions:
        print(f"  left out: {seen.other_versions} decisions under other weights")
    late = sum(one.late for one in watched.performance)
    if late:
        span = f"{watched.observe_ms / DAY_MS:g}d"
        print(f"  not counted: {late} events behind the observation window of {span}; see `observe` in [monitoring]")
    for line in (*stability_lines(watched), *performance_lines(watched, reference), *finding_lines(watched)):
        print(line)
    if recorded is not None:
        print(f"recorded: {recorded['new']} new alarms, {recorded['repeated']} were recorded before")


def stability_lines(watched: Watched) -> list[str]:
    """A line a period: who came, and who was approved."""
    made = [
        "",
        f"{'period from':<12}{'decisions':>10}{'PSI':>9}{'worst CSI':>11}  {'input':<30}{'approved':>9}{'turned':>8}",
    ]
    for one in watched.periods:
        worst = max(one.inputs, key=lambda each: each.psi or 0.0, default=None)
        index, name = (worst.psi, worst.name) if worst is not None else (None, "")
        turned = "" if one.overrides is None else f"{one.overrides.share.value:.2%}"
        made.append(
            f"{format_time(one.start_ms)[:10]:<12}{one.rows:>10,}{_digits(one.score.psi):>9}{_digits(index):>11}  "
            f"{name:<30}{one.approval.share.value:>9.2%}{turned:>8}{'' if one.complete else '  not complete'}"
        )
    return made


def performance_lines(watched: Watched, reference: Reference) -> list[str]:
    """A line a cohort: power and calibration where all its labels are known, else how far they have come."""
    made = [
        "",
        f"{'cohort from':<12}{'rows':>10}{'events':>8}{'AUC':>8}  {'95 %':<17}{'KS':>7}{'obs/exp':>9}  {'slope':>6}",
    ]
    strength = reference.strength
    if strength is not None:
        head = f"{'reference':<12}{strength.rows:>10,}{strength.events:>8,}"
        made.append(f"{head}{strength.auc:>8.4f}  {'':<17}{strength.ks:>7.4f}")
    for one in watched.performance:
        head = f"{format_time(one.start_ms)[:10]:<12}{one.rows:>10,}{one.reported:>8,}"
        if not one.complete:
            made.append(f"{head}  right-censored: {one.censored:,} rows are younger than the observation window")
        elif one.separation is None:
            made.append(f"{head}  rows of one kind only")
        else:
            auc, found = one.separation.auc, one.calibration
            more = f"{found.ratio.value:>9.3f}  {found.slope.value:>6.3f}" if found is not None else ""
            made.append(f"{head}{auc.value:>8.4f}  {auc.low:.4f} to {auc.high:.4f} {one.separation.ks:>7.4f}{more}")
    return made


def finding_lines(watched: Watched) -> list[str]:
    """A line a finding, or that there is none."""
    if not watched.findings:
        return ["", "nothing is beyond its limits"]
    made = ["", f"{'finding':<10}{'period from':<13}{'measure':<18}{'of':<30}{'value':>9}{'limit':>8}"]
    for one in watched.findings:
        made.append(
            f"{one.level:<10}{format_time(one.start_ms)[:10]:<13}{one.measure:<18}{one.subject:<30}"
            f"{one.value:>9.4f}{one.limit:>8.3f}"
        )
    return made


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
