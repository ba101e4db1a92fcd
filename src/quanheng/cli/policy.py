"""`quanheng policy`: policies on trial. `backtest` asks the past what another version would have decided."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from quanheng.cli.common import HERE, Flag, Json, Place, by_stage, console, progress_bar, reader, show_json
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    from quanheng.past.backtest import Band, Settings

app = cyclopts.App(
    name="policy",
    help="Policies on trial.\n\nExample: quanheng policy backtest my_pack --policy my_pack_changed --against recorded",
)


@Parameter(name="*")
@dataclass(frozen=True)
class Question:
    """Of which recorded decisions, and what is wanted of them."""

    from_: Annotated[str, Parameter(name="--from")] = ""
    "Events from this moment on, by their own time: 2026-01-31 or 2026-01-31T10:00:00Z (default: all)."
    to: str = ""
    "Events before this moment (default: all)."
    event: str = ""
    "Event type, where the pack decides several."
    by: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    "Split by a name the policy may ask for; a number with bounds: amount_minor=1000,5000. May be given again."
    money: str = ""
    "Integer field in minor units that says what a decision is worth (default: the first with that unit)."
    score: str = ""
    "Score for the chart of scores and outcomes (default: that of the pack's first model)."
    label: str = ""
    "EVENT:FIELD, the event that says a decided one was bad, and its field with that one's id (default: as the pack's \
model is trained)."
    labels_until: str = ""
    "Only labels received by this moment (default: all in the log)."
    label_delay: str = ""
    "How old a decision must be before no label means good, such as 7d (default: as the pack's model is trained)."
    as_of: str = ""
    "`today` or a date: the parameters of that moment for both versions (default: those of each event's own)."
    rebuilt: Flag = False
    "Fold the log again under each version, instead of taking the features as they were served."
    rows: Flag = False
    "Judge one decision after another by the compiled policy, instead of whole columns. The answers are the same."
    sample: int = 10
    "Changed decisions shown for each change of outcome."

    def settings(self, pack: str, policy: str, against: str) -> Settings:
        """What a backtest of two versions of a pack is told.

        Raises
        ------
        InputError : a version, moment, duration or bound cannot be read
        """
        from quanheng.kernel.time import parse_duration_ms, parse_time_ms
        from quanheng.past.backtest import Settings
        from quanheng.past.versions import read_asked
        from quanheng.past.window import TIME_MAX_MS, TIME_MIN_MS

        now_ms = time.time_ns() // 1_000_000
        return Settings(
            pack,
            read_asked(policy, now_ms, self.as_of),
            read_asked(against, now_ms, self.as_of),
            self.event,
            parse_time_ms(self.from_) if self.from_ else TIME_MIN_MS,
            parse_time_ms(self.to) if self.to else TIME_MAX_MS,
            tuple(map(read_band, self.by)),
            self.money,
            self.score,
            self.label,
            parse_time_ms(self.labels_until) if self.labels_until else TIME_MAX_MS,
            parse_duration_ms(self.label_delay) if self.label_delay else None,
            rebuilt=self.rebuilt,
            columns=not self.rows,
            sample_max=self.sample,
        )


ALL = Question()


@app.command
def backtest(
    pack: str,
    /,
    *,
    policy: str,
    against: str = "recorded",
    question: Question = ALL,
    html: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Judge the recorded decisions of a time by two versions of a policy, and report what changes, why, and its value.

    A version is a folder of the pack, the first digits of a recorded content hash, `active`, or `recorded` (what was
    decided then). `active@today` and `FOLDER@2026-01-31` take the parameters of that day.

    For example:
      quanheng policy backtest my_pack --policy changed/my_pack --against recorded --html report.html
      quanheng policy backtest my_pack --policy active@today --against active --from 2026-01-01 --to 2026-02-01

    Parameters
    ----------
    pack : str
        Name of a pack that decided in this data folder.
    policy : str
        The candidate version.
    against : str
        The baseline version.
    html : Path
        File to write the report to, as one self-contained page in English and Chinese.
    json : bool
        One line of JSON: the whole report.
    """
    from quanheng.engine import steady_memory
    from quanheng.past.backtest import backtest as run
    from quanheng.server.opening import available_packs

    settings, config = question.settings(pack, policy, against), place.read()
    started_s = time.perf_counter()
    steady_memory()
    with reader(config) as log, progress_bar() as progress:
        found = run(log, available_packs(config.packs.folders), settings, by_stage(progress))
    seconds = time.perf_counter() - started_s
    if html is not None:
        from quanheng.decisions.backtest.page import page

        html.write_text(page(found), encoding="utf-8")
        console().print(f"written: {html}")
    if json:
        show_json(found)
        return 0
    for line in lines(found):
        print(line)
    console().print(f"{seconds:.1f} s, {found['decisions'] / seconds:,.0f} decisions/s with start and compilation")
    return 0


def read_band(text: str) -> Band:
    """`channel`, or `amount_minor=1000,5000`.

    Raises
    ------
    InputError : a bound is no number, or the bounds do not rise
    """
    from quanheng.past.backtest import Band

    name, sign, rest = text.partition("=")
    try:
        bounds = tuple(Decimal(part) for part in rest.split(",")) if sign else ()
    except InvalidOperation:
        bounds = ()
    if (sign and not bounds) or any(not one.is_finite() for one in bounds) or list(bounds) != sorted(set(bounds)):
        raise InputError(
            "the bounds cannot be read", where="--by", found=text, allowed="numbers that rise, as in amount=1000,5000"
        )
    return Band(name, bounds)


# -- the report for a terminal


def lines(report: dict[str, Any]) -> list[str]:
    """The report in plain text: matrix, changes with their rules, labels, rules that never fired."""
    from quanheng.decisions.backtest.money import amounts

    outcomes = report["outcomes"]
    wide = max(map(len, outcomes)) + 2
    against = f"{report['candidate']['name']} against {report['baseline']['name']}"
    about = f"{report['pack']}: {report['decisions']:,} decisions on {report['event']}"
    told = [
        f"{about}, {report['changed']:,} change ({against})",
        "",
        " " * wide + "".join(one.rjust(max(len(one), 9) + 2) for one in outcomes),
    ]
    for one, row in zip(outcomes, report["matrix"], strict=True):
        cells = "".join(f"{n:,}".rjust(max(len(other), 9) + 2) for other, n in zip(outcomes, row, strict=True))
        told.append(one.ljust(wide) + cells)
    for change in report["changes"]:
        value = amounts(change["value"]).replace("<br>", ", ")
        told += ["", f"{change['from']} -> {change['to']}: {change['count']:,}, worth {value}"]
        told += [f"  - {one['table']} rule {one['rule']}: {one['words']['en']}" for one in change["rules_lost"]]
        told += [f"  + {one['table']} rule {one['rule']}: {one['words']['en']}" for one in change["rules_gained"]]
        told += ["  no table differs: an expression decides otherwise"] if change["by_expression"] else []
        if change["examples"]:
            told.append(f"  for example {', '.join(map(str, change['examples']))}")
    return [*told, *_segment_lines(report), *_label_lines(report), *_rest_lines(report)]


def _segment_lines(report: dict[str, Any]) -> list[str]:
    told = []
    for segment in report["segments"]:
        told += ["", f"by {segment['by']}:"]
        for row in segment["rows"]:
            told.append(f"  {row['value']}: {row['decisions']:,} decisions, {row['changed']:,} change")
    return told


def _label_lines(report: dict[str, Any]) -> list[str]:
    labels = report["labels"]
    if not labels:
        return []
    told = ["", f"{labels['positives']:,} of {labels['labelled']:,} decisions old enough to tell were reported:"]
    for row in labels["rows"]:
        shares = ", ".join(
            f"{words} {'-' if row[key] is None else format(row[key], '.2%')}"
            for key, words in (
                ("precision", "precision"),
                ("recall", "recall"),
                ("false_positive_rate", "false positives"),
            )
        )
        told.append(f"  {row['side']} stopping from {row['flagged_from']}: {shares}")
    return told


def _rest_lines(report: dict[str, Any]) -> list[str]:
    silent = [f"{one['table']} rule {one['rule']}" for one in report["never_fired"]["candidate"]]
    told = ["", f"rules that never fired: {', '.join(silent) or 'none'}"]
    if any(report["left_out"].values()):
        told.append(f"left out: {', '.join(f'{name} {n:,}' for name, n in report['left_out'].items() if n)}")
    for side in ("candidate", "baseline"):
        engine = report[side]["engine"]
        told.append(f"{side}: by {engine['mode']} ({engine['why']})")
    return told
