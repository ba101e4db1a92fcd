"""A compiled set of folds: op tables for the kernel, names of the columns, and how raw integers become numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Context, Decimal

import numpy as np

from quanheng.features.calendars import calendar_words
from quanheng.features.flags import Flag
from quanheng.features.fold import EventLayout, Fold, check_folds
from quanheng.features.formulas import rounded
from quanheng.features.kernel.floats import COUNTS, IS_FLOAT, IS_MEAN, IS_QUOTIENT, floats
from quanheng.features.kernel.words import FORMAT, NULL, TIME_MAX, UNKNOWN
from quanheng.features.kinds import KINDS, Kind
from quanheng.features.tables import Column, Encoder, Table, collect
from quanheng.features.zones import zone_words
from quanheng.feel.limits import LIMITS
from quanheng.kernel.calendars import Calendars
from quanheng.kernel.errors import DeclarationError, Problem

SCALE_MAX = 18  # Decimal places of a field: 10^18 fits a word.
_EXACT = Context(prec=34)  # IEEE 754 decimal128, as FEEL.


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Folds compiled for the kernel. Equal declarations give equal digests; a dump belongs to one digest.

    layouts, folds, decide, lateness_ms : as given to `compile`
    columns : raw columns in order (name, number of the fold, part of a mean)
    names : names of the folds, in order: the columns of `floats`
    tables : what shares a ring
    words : the op tables (kernel/words.py)
    state_words : words of the arena header
    digest : SHA-256 of the declaration and the kernel format, hex
    scales : decimal places of the raw columns of each fold
    float_plan : how raw columns become floats (kernel/floats.py)
    flags : what only FEEL can say of conditions, each with the offset of its clock in `words`; 0 where it asks none
    calendars : as given to `compile`
    whole : names of `last` folds over a key, whose whole keys `FeatureState.run` gives too: two raw columns each,
        behind all others, which say something only where the fold's own column is neither NULL nor UNKNOWN
    """

    layouts: tuple[EventLayout, ...]
    folds: tuple[Fold, ...]
    decide: tuple[str, ...]
    lateness_ms: int
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    tables: tuple[Table, ...]
    words: np.ndarray
    state_words: int
    digest: str
    scales: tuple[int, ...]
    _first: tuple[int, ...]
    float_plan: np.ndarray
    calendars: Calendars
    flags: tuple[tuple[Flag, int], ...]
    whole: tuple[str, ...]

    @staticmethod
    def compile(
        layouts: Sequence[EventLayout],
        folds: Sequence[Fold],
        decide: Sequence[str],
        lateness_ms: int,
        *,
        calendars: Calendars | None = None,
        file: str = "features.toml",
        whole: Sequence[str] = (),
    ) -> Plan:
        """Compile folds.

        Parameters
        ----------
        layouts : every event type that a fold reads or that is decided
        folds : in the order of their columns
        decide : names of the event types that are decided: each gets a vector at its own moment
        lateness_ms : how far behind the newest event of its key an event is still put in its place
        calendars : days off, by the names that folds use
        file : named in problems
        whole : folds whose whole keys are wanted beside their 53 bits

        Raises
        ------
        DeclarationError : with every problem found
        """
        by_name = {layout.name: layout for layout in layouts}
        calendars = calendars or {}
        problems = check_folds(by_name, folds, decide, file, calendars) + _check_layouts(layouts, lateness_ms, file)
        if problems:
            raise DeclarationError("the folds cannot be compiled", problems)
        encoder = Encoder(by_name, folds, calendars, whole)
        tables = collect(folds, by_name)
        words = encoder.encode(tables, decide, lateness_ms)
        owners = [column.fold for column in encoder.columns]
        first = tuple(owners.index(number) for number in range(len(folds)))
        scales = tuple(_scale(by_name[fold.of], fold) for fold in folds)
        return Plan(
            layouts=tuple(layouts), folds=tuple(folds), decide=tuple(decide), lateness_ms=lateness_ms,
            columns=encoder.columns, names=tuple(fold.name for fold in folds), tables=tuple(tables), words=words,
            state_words=encoder.state_words,
            digest=_digest(layouts, folds, decide, lateness_ms, calendars, bool(encoder.flags)),
            scales=scales, _first=first, float_plan=_float_plan(folds, first, scales), calendars=calendars,
            flags=tuple(encoder.flags.items()), whole=tuple(whole),
        )  # fmt: skip

    def floats(self, raw: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """One float64 column per fold: scaled, mean divided, `empty` put in, NaN for null and for "not known".

        Parameters
        ----------
        raw : i8[n, columns] as `FeatureState.run` gives, C-contiguous
        out : f8[n, folds] to write to; made if not given
        """
        if out is None:
            out = np.empty((raw.shape[0], len(self.folds)), dtype=np.float64)
        floats(self.float_plan, raw, out)
        return out

    def exact(self, raw_row: np.ndarray, fold: int) -> int | Decimal | None:
        """Value of one fold in one raw row without rounding, for policies.

        int for counts, times and unscaled fields, Decimal for scaled fields, quotients (divided with 34 digits) and
        floats (rounded to their declared decimals), None for null and for "not known".
        """
        value = int(raw_row[self._first[fold]])
        declared = self.folds[fold]
        if value == UNKNOWN:
            return None
        kind = KINDS[declared.fold]
        if value == NULL or (value == 0 and counts_events(kind)):
            return declared.empty_value
        scale = self.scales[fold]
        if kind.answers == "float":
            return rounded(float(raw_row[self._first[fold]].view(np.float64)), declared.decimals)
        if kind.answers == "quotient":
            under = int(raw_row[self._first[fold] + 1])
            if under in {0, NULL, UNKNOWN}:
                return None if under == UNKNOWN else declared.empty_value
            return _EXACT.divide(Decimal(value).scaleb(-scale, _EXACT), Decimal(under))
        return Decimal(value).scaleb(-scale) if scale else value


def counts_events(kind: Kind) -> bool:
    """Whether a 0 of this kind says that the window holds nothing, so that `empty` stands for it."""
    return kind.answers in {"count", "flag"} and kind.zero


def _scale(layout: EventLayout, fold: Fold) -> int:
    if fold.value not in layout.numbers or KINDS[fold.fold].answers not in {"value", "key", "quotient"}:
        return 0
    scale = layout.scale(fold.value)
    if fold.fold == "ratio":
        return scale - layout.scale(fold.other or "")
    return scale if fold.fold not in {"change", "top_share"} else 0


def _check_layouts(layouts: Sequence[EventLayout], lateness_ms: int, file: str) -> list[Problem]:
    problems = []
    if not 0 <= lateness_ms <= TIME_MAX // 2:
        problems.append(Problem(file, "lateness_ms", "out of range", str(lateness_ms), f"0 to {TIME_MAX // 2} ms"))
    codes: dict[int, str] = {}
    for layout in layouts:
        other = codes.setdefault(layout.code, layout.name)
        if other != layout.name:
            problems.append(Problem(file, layout.name, "another event type has the same code", str(layout.code), other))
        if not 0 <= layout.code < 2**16:
            problems.append(Problem(file, layout.name, "the type code is out of range", str(layout.code), "0 to 65535"))
        if layout.scales and len(layout.scales) != len(layout.numbers):
            problems.append(
                Problem(file, layout.name, "one scale per number", str(len(layout.scales)), str(len(layout.numbers)))
            )
        if any(not 0 <= scale <= SCALE_MAX for scale in layout.scales):
            found = ", ".join(str(scale) for scale in layout.scales)
            problems.append(Problem(file, layout.name, "a scale is out of range", found, f"0 to {SCALE_MAX}"))
    return problems


def _digest(
    layouts: Sequence[EventLayout], folds: Sequence[Fold], decide: Sequence[str], lateness_ms: int,
    calendars: Calendars, feel: bool,
) -> str:  # fmt: skip
    used = sorted({fold.calendar for fold in folds if fold.calendar})
    declaration = {
        "format": FORMAT,
        "layouts": [asdict(layout) for layout in layouts],
        "folds": [asdict(fold) for fold in folds],
        "decide": list(decide),
        "lateness_ms": lateness_ms,
        "zones": {fold.zone: zone_words(fold.zone) for fold in folds},  # Their rules change.
        "calendars": [[name, calendars[name].weekend, calendar_words(calendars[name])] for name in used],
    }
    if feel:  # An evaluation beyond the limits of FEEL is null.
        declaration["limits"] = asdict(LIMITS)
    text = json.dumps(declaration, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _float_plan(folds: Sequence[Fold], first: Sequence[int], scales: Sequence[int]) -> np.ndarray:
    """f8[folds, 4]: first raw column, kind (kernel/floats.py), divisor (below zero: factor), value for empty."""
    rows = []
    for fold, column, scale in zip(folds, first, scales, strict=True):
        kind = KINDS[fold.fold]
        shape = {"quotient": IS_QUOTIENT, "float": IS_FLOAT}.get(kind.answers, COUNTS if counts_events(kind) else 0)
        if fold.fold == "mean":  # Its number is zero only where its sum is null.
            shape = IS_MEAN
        empty = fold.empty_value
        divisor = float(10**scale) if scale >= 0 else -float(10**-scale)
        rows.append((column, shape, divisor, float("nan") if empty is None else float(empty)))
    return np.array(rows, dtype=np.float64).reshape(len(folds), 4)
