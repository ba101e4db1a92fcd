"""How the cells of a column are spelled, and what they mean: missing, numbers, yes and no, dates, categories.

A form is found once, on the table that a model is fitted on, and kept with the model: another table is read by it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import polars as pl

Style = Literal["plain", "grouped", "european", "percent", "european_percent"]
"""`grouped` 1,234.5; `european` 1.234,5; a percent keeps its number (12.5% = 12.5)."""

MISSING = frozenset((
    "", "?", "-", "--", "---", ".", "..", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "nan", "null", "(null)", "nil",
    "\\n", "<na>", "nat", "missing", "(missing)", "#value!", "#div/0!", "缺失", "空", "空值", "不详", "未填",
))  # fmt: skip
"""Spellings of a missing value, in lower case. `none` and `unknown` are not: they may be categories."""
MISSING_AMONG_NUMBERS = frozenset(("none", "unknown", "not available", "无", "未知"))

PAIRS = (
    ("yes", "no"),
    ("true", "false"),
    ("y", "n"),
    ("t", "f"),
    ("ja", "nein"),
    ("oui", "non"),
    ("sí", "no"),
    ("si", "no"),
    ("是", "否"),
    ("有", "无"),
)
"""(means 1, means 0)."""

DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d%b%Y", "%b %d, %Y", "%b-%Y", "%b-%y", "%Y-%m",
)  # fmt: skip
TIMES = ("", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M:%S%.fZ")
COMPACT = "%Y%m%d"
_CURRENCY = r"^\s*(?:[$€£¥￥]|USD|EUR|GBP|CNY|RMB)\s*|\s*(?:[$€£¥￥]|元|USD|EUR|GBP|CNY|RMB)\s*$"
_PLAIN = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_GROUPED = r"^[-+]?\d{1,3}(,\d{3})+(\.\d*)?$"
_EUROPEAN = r"^[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"
_ODD_SHARE_MAX = 0.05
_KEY_DIGITS = 4
"""Zeros in front of this many digits make a key (a postcode); of fewer, a number written with two or three digits."""
_ODD_KINDS_MAX = 3


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How the cells of one column are read.

    kind : `number`, `boolean` (1 and 0), `date` (days) or `category`
    style : of numbers
    yes : the spelling, in lower case, that is 1
    no : the spelling that is 0
    date : format of dates, as polars has it; "" where the file has dates of its own type
    missing : spellings beyond `MISSING` that are missing in this column
    """

    kind: Literal["number", "boolean", "date", "category"]
    style: Style = "plain"
    yes: str = ""
    no: str = ""
    date: str = ""
    missing: tuple[str, ...] = ()


class Guess(NamedTuple):
    """A form with what was noticed: (kind of finding, found, done), each to be told."""

    form: Form
    notes: tuple[tuple[str, str, str], ...] = ()


def blank_missing(cells: pl.Series, more: tuple[str, ...] = ()) -> pl.Series:
    """Null for every spelling of missing."""
    spellings = sorted(MISSING.union(more))
    lower = cells.str.strip_chars().str.to_lowercase()
    return cells.set(lower.is_in(spellings).fill_null(True), None)


def guess(cells: pl.Series, style: Style | None = None) -> Guess:
    """The form of a column of text.

    cells : String, as in the file
    style : what other columns of the file say about a comma (`grouped` or `european`), else None
    """
    known = blank_missing(cells).drop_nulls().str.strip_chars()
    if known.is_empty():
        return Guess(Form(kind="category"))
    distinct = known.unique()
    words = set(distinct.str.to_lowercase()) if len(distinct) <= 6 else set()
    for yes, no in PAIRS:
        if words == {yes, no}:
            found = f"the words {yes} and {no}"
            return Guess(Form(kind="boolean", yes=yes, no=no), (("boolean", found, f"{yes} is 1, {no} is 0"),))
    if compact_dates(distinct):
        return Guess(Form(kind="date", date=COMPACT))
    zeros = distinct.str.contains(r"^0\d+$").any() and distinct.str.contains(r"^\d+$").all()
    if zeros and distinct.str.contains(rf"^\d{{{_KEY_DIGITS}}}").any():
        note = ("zeros", "digits with zeros in front, which no quantity has", "read as categories")
        return Guess(Form(kind="category"), (note,))
    return _number(known, style) or _date(distinct) or Guess(Form(kind="category"))


def _number(known: pl.Series, style: Style | None) -> Guess | None:
    """A form of numbers, if all cells but a few words are numbers."""
    bare = _bare(known)
    signs = bare.str.ends_with("%")
    if signs.any():
        if not signs.all():
            return None
        bare = bare.str.strip_chars_end("%").str.strip_chars()
    plain = bare.str.contains(_PLAIN)
    grouped, european = bare.str.contains(_GROUPED), bare.str.contains(_EUROPEAN)
    comma = bare.str.contains(",", literal=True)
    if not comma.any():
        dots = european & ~plain  # 1.234.567 has no other reading.
        chosen: Style = "european" if dots.any() and (european | ~plain).all() else "plain"
        fits = european if chosen == "european" else plain
    else:
        chosen_or_none = _comma(bare, comma, grouped, european, style)
        if chosen_or_none is None:
            return None if not (plain | grouped | european).all() else Guess(Form(kind="category"), (_AMBIGUOUS,))
        chosen = chosen_or_none
        fits = plain | grouped if chosen == "grouped" else european
    odd = known.filter(~fits).str.to_lowercase().unique().sort().to_list()
    if odd and (len(odd) > _ODD_KINDS_MAX or (~fits).sum() > _odd_max(known, odd)):
        return None
    notes = []
    percent = bool(signs.any())
    if percent or chosen != "plain" or (bare.len() and (bare != known).any()):
        notes.append(("number", f"spelled like {known.filter(fits)[0]!r}", f"read as {_told(chosen, percent)}"))
    if odd:
        words = ", ".join(repr(one) for one in odd)
        notes.append(("number", f"{(~fits).sum():,} cells are words among numbers: {words}", "read as missing"))
    styled: Style = chosen
    if percent:
        styled = "european_percent" if chosen == "european" else "percent"
    return Guess(Form(kind="number", style=styled, missing=tuple(odd)), tuple(notes))


_AMBIGUOUS = (
    "ambiguous",
    "a comma before three digits may group thousands or begin the decimals",
    "read as categories: say with --decimal which it is",
)


def _odd_max(known: pl.Series, odd: list[str]) -> float:
    """How many words among numbers are let pass: more of those that mean `missing`."""
    share = 0.9 if set(odd) <= MISSING_AMONG_NUMBERS else _ODD_SHARE_MAX
    return share * len(known)


def _comma(
    bare: pl.Series, comma: pl.Series, grouped: pl.Series, european: pl.Series, style: Style | None
) -> Style | None:
    """What a comma means in this column, if anything in it or in the file says so."""
    two_groups = bare.str.contains(r"\d,\d{3}(,\d{3})+|\d,\d{3}\.\d")
    decimals = bare.str.contains(r",(\d{1,2}|\d{4,})$|^[-+]?0,|\.\d{3},\d") & european
    if two_groups.any() and not decimals.any():
        return "grouped"
    if decimals.any() and not two_groups.any():
        return "european"
    if two_groups.any() or not comma.any():
        return None
    return style


def _told(style: Style, percent: bool) -> str:
    words = {"grouped": "numbers with grouped thousands", "european": "numbers with a decimal comma"}
    return words.get(style, "numbers") + (" of percent" if percent else "")


def _bare(known: pl.Series) -> pl.Series:
    """Without signs of currency; (12) is -12."""
    stripped = known.str.replace_all(_CURRENCY, "").str.strip_chars()
    negative = stripped.str.contains(r"^\(.*\d.*\)$")
    if not negative.any():
        return stripped
    return stripped.str.replace(r"^\((.*)\)$", "-${1}")


def compact_dates(distinct: pl.Series) -> bool:
    """Eight digits that are days between 1900 and 2099, all of them: of numbers that begin so, 4 % would be days."""
    if len(distinct) < 2 or not distinct.str.contains(r"^(19|20)\d{6}$").all():
        return False
    return distinct.str.to_date(COMPACT, strict=False).null_count() == 0


def _date(distinct: pl.Series) -> Guess | None:
    """A form of dates, if all cells are dates of one format and no other format reads them too."""
    if not distinct.str.contains(r"\d").all():
        return None
    fitting = [date for date in _formats() if to_days(distinct, date).null_count() == 0]
    if not fitting:
        return None
    if len(fitting) > 1 and not to_days(distinct, fitting[0]).equals(to_days(distinct, fitting[1])):
        found = f"dates that {fitting[0]} and {fitting[1]} read otherwise"
        return Guess(Form(kind="category"), (("ambiguous", found, "read as categories"),))
    return Guess(Form(kind="date", date=fitting[0]))


def _formats() -> list[str]:
    return [date + time for date in DATES for time in TIMES]


def to_days(cells: pl.Series, date: str) -> pl.Series:
    """Float64: days since 1970-01-01, with the time of day as a fraction; null where the format does not fit."""
    return to_ms(cells, date).cast(pl.Float64) / 86_400_000.0


def to_ms(cells: pl.Series, date: str) -> pl.Series:
    """Int64: milliseconds UTC; null where the format does not fit."""
    if cells.dtype == pl.String:
        if not any(part in date for part in ("%d", "%j")):  # Months: their first day.
            cells, date = "01 " + cells, "%d " + date
        if "%H" in date:
            return cells.str.to_datetime(date, strict=False, time_unit="ms").cast(pl.Int64)
        cells = cells.str.to_date(date, strict=False)
    return cells.cast(pl.Datetime("ms")).cast(pl.Int64)


def to_number(cells: pl.Series, style: Style) -> pl.Series:
    """Float64; null where a cell is no finite number in that style. Values of a file with types are cast."""
    if cells.dtype != pl.String:
        numbers = cells.cast(pl.Float64, strict=False)
    else:
        bare = cells if style == "plain" and _all_plain(cells) else _bare(cells)
        if style.endswith("percent"):
            bare = bare.str.strip_chars_end("%").str.strip_chars()
        if style == "grouped":
            bare = bare.str.replace_all(",", "", literal=True)
        if style.startswith("european"):
            bare = bare.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        numbers = bare.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite().fill_null(True), None)


def _all_plain(cells: pl.Series) -> bool:
    return bool(cells.drop_nulls().str.contains(_PLAIN).all())
