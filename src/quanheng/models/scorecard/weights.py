"""The weights file of a scorecard: JSON that people can read, one byte string for one scorecard."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.models.scorecard.points import Scaling
from quanheng.models.table import Column

FORMAT = "quanheng scorecard 1"


class ScoredBin(msgspec.Struct, frozen=True, kw_only=True):
    """A bin with what it is worth (see `binning.Bin` for what it holds).

    log_odds : what it adds to the log-odds of the event; points : the same as integer points
    lost : points lost against the reference; reason : code told where a row loses them
    """

    kind: str
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    special: float | None = None
    rows: int
    events: int
    woe: float
    log_odds: float
    points: int
    lost: int
    reason: str

    @property
    def label(self) -> str:
        """The bin in words of no language: `[25, 40)`, `rent | own`, `missing`."""
        if self.kind == "range":
            low = "−∞" if self.low is None else f"{self.low:g}"
            return f"{'(' if self.low is None else '['}{low}, {'∞' if self.high is None else f'{self.high:g}'})"
        if self.kind == "special":
            return f"= {self.special:g}"
        return " | ".join(self.values) if self.kind == "categories" else self.kind


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A characteristic of the scorecard.

    coefficient, error, p_value : of its weight of evidence in the fit
    information_value, trend : of its bins
    title : in English and Chinese
    """

    column: Column
    trend: str
    information_value: float
    coefficient: float
    error: float
    p_value: float
    bins: tuple[ScoredBin, ...]
    title: dict[str, str] = {}

    def at(self, kind: str) -> int:
        """Place of the bin of that kind; -1 = none."""
        return next((at for at, one in enumerate(self.bins) if one.kind == kind), -1)

    @property
    def categories(self) -> tuple[str, ...]:
        """All categories that have a bin, sorted."""
        return tuple(sorted(value for one in self.bins for value in one.values))


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the log-odds behind the fit.

    method : `none`; `platt` (intercept + slope · log-odds, already in the bins); `isotonic` (a table of scores)
    lows, probabilities : isotonic: probability of scores from `lows[k]` up to the next; falling
    """

    method: str = "none"
    intercept: float = 0.0
    slope: float = 1.0
    lows: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A scorecard as numbers.

    base, base_points : log-odds and points before any input says something
    rounding_max, rounding_mean : points by which integers move the scores of the training rows, at most and on average
    rows, events : it was fitted on
    left_out : column → why it did not enter
    """

    format: str = FORMAT
    characteristics: tuple[Scored, ...]
    base: float
    base_points: int
    scaling: Scaling
    calibration: Calibration
    rows: int
    events: int
    rounding_max: float
    rounding_mean: float
    seed: int
    left_out: dict[str, str]

    @property
    def reasons(self) -> tuple[str, ...]:
        """All reason codes, each once, in the order of the bins: what the look-up's numbers stand for."""
        return tuple(dict.fromkeys(bin.reason for one in self.characteristics for bin in one.bins))


_encoder = msgspec.json.Encoder(order="deterministic")


def write_weights(weights: Weights) -> bytes:
    """The file: the same scorecard gives the same bytes. Floats are written so that they read back bit for bit."""
    return msgspec.json.format(_encoder.encode(weights), indent=1) + b"\n"


def read_weights(content: bytes, where: str = "scorecard") -> Weights:
    """Read what `write_weights` wrote, and check that a look-up cannot leave its tables.

    Raises
    ------
    InputError : not this format, or bins that are no bins
    """
    try:
        weights = msgspec.json.decode(content, type=Weights)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InputError(
            "not the weights of a scorecard",
            where=where,
            found=str(error),
            allowed=FORMAT,
            cure="Put back the fitted file.",
        ) from None
    if weights.format != FORMAT:
        raise InputError("not the weights of a scorecard", where=where, found=weights.format, allowed=FORMAT)
    for one in weights.characteristics:
        _check_bins(one, where)
    if not weights.characteristics:
        raise InputError("the scorecard has no characteristic", where=where, allowed="one at least")
    return weights


def _check_bins(one: Scored, where: str) -> None:
    ranges = [bin for bin in one.bins if bin.kind == "range"]
    cuts = [bin.high for bin in ranges[:-1]]
    joined = [bin.low for bin in ranges[1:]] == cuts and None not in cuts
    rising = joined and all(a < b for a, b in pairwise(cuts))  # type: ignore[operator]
    open_ends = not ranges or (ranges[0].low is None and ranges[-1].high is None)
    needed = ("range", "missing") if one.column.kind == "number" else ("other", "missing")
    lacking = [kind for kind in needed if one.at(kind) < 0]
    twice = len(one.categories) != len(set(one.categories))
    if lacking or not rising or not open_ends or twice:
        found = f"no bin for {', '.join(lacking)}" if lacking else ", ".join(bin.label for bin in one.bins)
        raise InputError(
            "the bins of a characteristic do not cover every value once",
            where=f"{where}: {one.column.name}",
            found=found,
            allowed="ranges that join from below to above, each category once, a bin for what is missing",
            cure="Put back the fitted file.",
        )
