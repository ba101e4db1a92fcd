"""`quanheng models report`: a fitted model on one page, for those who must approve it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quanheng.cli.common import Json, console, progress_bar, show_json

if TYPE_CHECKING:
    from quanheng.models.model_report.gathering import Gathered


def report(
    folder: Path,
    file: Path | None = None,
    /,
    *,
    out: Path = Path("report.html"),
    group: Sequence[str] = (),
    approve: float = 0.7,
    seed: int = 1,
    lang: Literal["", "en", "zh"] = "",
    json: Json = False,
) -> int:
    """Write a model's report: ROC, KS, gain, lift, calibration, importances, stability, fairness, card, limits.

    Without FILE the out-of-fold scores of the fit are shown. With FILE its rows are scored and measured, compared with
    the reference of the fit (PSI, CSI), and by group. Attributes of groups are read for measurement only.

    For example:
      quanheng models report german
      quanheng models report loans later_loans.csv --group sex --group age=25,60 --out report.html --lang zh

    Parameters
    ----------
    folder : Path
        The folder that `quanheng models fit --out` wrote.
    file : Path
        A table with outcomes, read as in training.
    out : Path
        File to write the page to; it needs no network and prints.
    group : str
        Column by which fairness is measured, COLUMN or COLUMN=25,60 for a number; may be given again.
    approve : float
        Share of the rows that are approved, for fairness: those of lowest score, by one cut-off for all.
    seed : int
        Of what is shuffled to see what inputs contribute.
    lang : str
        Language that is shown first: en or zh (default: that of the reader's browser).
    json : bool
        Last line is one line of JSON: the figures.
    """
    from quanheng.models.model_report.gathering import Asked, gather
    from quanheng.models.model_report.page import page

    with progress_bar() as progress:
        task = progress.add_task("measuring", total=1)
        found = gather(Asked(folder, file, tuple(group), approve, seed))
        progress.update(task, completed=1)
    out.write_text(page(found, lang), encoding="utf-8")
    console().print(f"written: {out}")
    told = figures(found)
    if json:
        show_json({**told, "report": str(out)})
        return 0
    print(f"{found.kept.name} ({found.kept.estimator}) on {found.measured_on[0]}")
    print(f"  AUC {told['auc']:.4f}  KS {told['ks']:.4f}  observed/expected {told['observed_to_expected']:.3f}")
    for name, one in told["fairness"].items():
        print(f"  {name}: disparate impact ratio {_text(one['ratio'])}, equal opportunity {_text(one['opportunity'])}")
    return 0


def figures(found: Gathered) -> dict[str, Any]:
    """The main figures as plain data."""
    return {
        "model": found.kept.name,
        "hash": found.kept.hash,
        "rows": found.separation.rows,
        "events": found.separation.events,
        "auc": found.separation.auc.value,
        "auc_interval": [found.separation.auc.low, found.separation.auc.high],
        "ks": found.separation.ks,
        "brier": found.calibration.brier,
        "observed_to_expected": found.calibration.ratio.value,
        "calibration_slope": _known(found.calibration.slope.value),
        "psi": None if found.score_shift is None else found.score_shift.psi,
        "csi": {one.name: one.psi for one in found.shifts},
        "importances": {one.name: one.contribution for one in found.importances},
        "fairness": {
            one.impacts.attribute: {
                "ratio": _known(one.impacts.lowest),
                "reference": one.impacts.reference,
                "adverse": [each.group for each in one.impacts.groups if each.adverse],
                "opportunity": _known(one.errors.opportunity),
                "odds": _known(one.errors.odds),
            }
            for one in found.fairness
        },
    }


def _known(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124  (NaN: not measured)


def _text(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
