"""Reads one TOML table key by key: asks, notes what does not fit, and at the end reports what nobody asked for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from quanheng.kernel.errors import QuanhengError
from quanheng.kernel.time import parse_duration_ms, parse_time_ms
from quanheng.loading.declared import Title
from quanheng.loading.notes import Notes, Words, describe, nearest
from quanheng.loading.toml import INTEGER_MAX, entry_keys, join_key

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
DOTTED_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,3}")
ASSET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
TEXT_LENGTH_MAX = 4000

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "an integer"),
    (Decimal, "a number with a point"),
    (str, "a text"),
    (dict, "a table"),
    (list, "a list"),
    (dt.datetime, "a date with time"),
    (dt.date, "a date"),
    (dt.time, "a time of day"),
)


def kind_of(value: object) -> Words:
    """What a TOML value is, in words."""
    return Words(next((words for kind, words in _KINDS if isinstance(value, kind)), type(value).__name__))


class Table:
    """One table of a TOML file while it is being read.

    Every reading method notes a problem and returns its default when the key is absent or does not fit, so a
    checker goes on to the end of the file. Call `done()` last: keys that were never asked for are problems.
    """

    def __init__(self, values: Mapping[str, object], file: str, key: str, notes: Notes) -> None:
        self.values, self.file, self.key, self.notes = values, file, key, notes
        self._asked: dict[str, None] = {}
        self.sound = True

    def path(self, name: str) -> str:
        """The key as messages show it."""
        return join_key(self.key, name)

    def problem(
        self,
        name: str,
        message: str,
        *,
        found: object = "",
        known: Collection[str] | str = "",
        cure: str = "",
        of: str = "",
    ) -> None:
        """Note a problem of key `name` ("" = of the table itself) and remember that the table is not sound."""
        self.sound = False
        key = self.path(name) if name else self.key
        self.notes.add(self.file, key, message, found=found, known=known, cure=cure, of=of)

    def _take(self, name: str, kinds: type | tuple[type, ...], wanted: str, required: bool) -> object:
        self._asked[name] = None
        if name not in self.values:
            if required:
                self.problem(name, "the key is missing", known=wanted)
            return None
        value = self.values[name]
        if not isinstance(value, kinds) or (
            isinstance(value, bool) and kinds is not bool and bool not in _as_tuple(kinds)
        ):
            self.problem(
                name,
                "the value is of the wrong kind",
                found=kind_of(value)
                if isinstance(value, (dict, list))
                else Words(f"{kind_of(value)}, {describe(value)}"),
                known=wanted,
                cure=_kind_cure(value, kinds),
            )
            return None
        return value

    def has(self, name: str) -> bool:
        """Whether the key is there, without asking for it."""
        return name in self.values

    def text(
        self,
        name: str,
        *,
        required: bool = True,
        default: str = "",
        pattern: re.Pattern[str] | None = None,
        wanted: str = "a text",
        most: int = TEXT_LENGTH_MAX,
    ) -> str:
        """A text, not blank, at most `most` characters, matching `pattern` as a whole where one is given."""
        value = self._take(name, str, wanted, required)
        if not isinstance(value, str):
            return default
        if not value.strip():
            self.problem(name, "the text is empty", known=wanted)
            return default
        if len(value) > most:
            self.problem(name, "the text is too long", found=Words(f"{len(value)} characters"), known=f"at most {most}")
            return default
        if pattern is not None and not pattern.fullmatch(value):
            self.problem(name, "the text does not have the form that is asked for", found=value, known=wanted)
            return default
        return value

    def choice(
        self, name: str, options: Collection[str], *, default: str = "", required: bool = True, of: str = ""
    ) -> Any:
        """One of a closed list: a text, typed Any so that it fits the caller's Literal."""
        value = self._take(name, str, ", ".join(options), required)
        if value is None:
            return default
        if value not in options:
            self.problem(
                name,
                "the value is not one of the list",
                found=value,
                known=", ".join(options),
                cure=_did_you_mean(str(value), options),
                of=of,
            )
            return default
        return str(value)

    def integer(
        self, name: str, *, required: bool = True, default: int = 0, least: int | None = None, most: int | None = None
    ) -> int:
        """An integer within bounds."""
        value = self._take(name, int, "an integer", required)
        if not isinstance(value, int):
            return default
        if abs(value) > INTEGER_MAX:  # Noted when the file was read.
            self.sound = False
            return default
        if (least is not None and value < least) or (most is not None and value > most):
            self.problem(
                name,
                "the integer is out of bounds",
                found=value,
                known=f"{least} to {most}" if most is not None else f"at least {least}",
            )
            return default
        return value

    def number(
        self,
        name: str,
        *,
        required: bool = True,
        default: Decimal | None = None,
        least: Decimal | int | None = None,
        most: Decimal | int | None = None,
    ) -> Decimal | None:
        """A number, exact, within bounds."""
        value = self._take(name, (int, Decimal), "a number", required)
        if not isinstance(value, (int, Decimal)):
            return default
        number = Decimal(value)
        if not number.is_finite():
            self.sound = False
            return default
        if (least is not None and number < least) or (most is not None and number > most):
            self.problem(
                name,
                "the number is out of bounds",
                found=value,
                known=f"{least} to {most}" if most is not None else f"at least {least}",
            )
            return default
        return number

    def boolean(self, name: str, *, required: bool = False, default: bool = False) -> bool:
        """true or false."""
        value = self._take(name, bool, "true or false", required)
        return value if isinstance(value, bool) else default

    def texts(self, name: str, *, required: bool = True, least: int = 0) -> tuple[str, ...]:
        """A list of texts, each once."""
        value = self._take(name, list, "a list of texts", required)
        if not isinstance(value, list):
            return ()
        for position, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                self.problem(
                    f"{name}", f"entry {position + 1} of the list is not a text", found=item, known="a text in quotes"
                )
            elif item in value[:position]:
                self.problem(name, "an entry stands in the list twice", found=item, cure="Keep one of the two.")
        texts = tuple(item for item in value if isinstance(item, str))
        if len(texts) < least:
            self.problem(name, "the list is too short", found=Words(f"{len(texts)} entries"), known=f"at least {least}")
        return texts

    def title(self, name: str = "title", *, required: bool = True) -> Title:
        """A text in English and Chinese: `{en = "…", zh = "…"}`, both there."""
        if required and name not in self.values:
            self._asked[name] = None
            self.problem(name, "the key is missing", known='{en = "…", zh = "…"}')
            return Title()
        inner = self.table(name, required=False)
        if name not in self.values or not isinstance(self.values[name], dict):
            return Title()
        found = Title(inner.text("en", wanted="the English text"), inner.text("zh", wanted="the Chinese text"))
        inner.done()
        return found

    def table(self, name: str, *, required: bool = True) -> Table:
        """The table under a key; an empty one when it is absent."""
        value = self._take(name, dict, "a table", required)
        return Table(value if isinstance(value, dict) else {}, self.file, self.path(name), self.notes)

    def inside(self, name: str) -> Table:
        """The table under a key that was read before, for problems that are found later; an empty one where absent."""
        value = self.values.get(name)
        return Table(value if isinstance(value, dict) else {}, self.file, self.path(name), self.notes)

    def tables(self, name: str, *, required: bool = False) -> Iterator[Table]:
        """The tables of a list `[[name]]`."""
        value = self._take(name, list, f"[[{name}]] tables", required)
        items = value if isinstance(value, list) else []
        for place, (key, item) in enumerate(zip(entry_keys(self.path(name), items), items, strict=True), 1):
            if isinstance(item, dict):
                yield Table(item, self.file, key, self.notes)
            else:
                self.problem(name, f"entry {place} of the list is not a table", found=item, known="a table")

    def named(
        self, name: str, pattern: re.Pattern[str] = NAME, *, required: bool = False, of: str = ""
    ) -> Iterator[tuple[str, Table]]:
        """The tables `[name.X]` with their X. Where one cannot be read, names `of` this kind are in doubt."""
        outer = self.table(name, required=required)
        for inner, value in outer.values.items():
            if not pattern.fullmatch(inner):
                letters = "letters" if pattern is ASSET_NAME else "small letters"
                cure = f"Names have {letters}, digits and _ and begin with a letter."
                outer.problem(inner, "the name is not a plain name", found=inner, known=_name_words(pattern), cure=cure)
            elif not isinstance(value, dict):
                outer.problem(inner, "the value is of the wrong kind", found=kind_of(value), known="a table")
            elif pattern is DOTTED_NAME and _parts_of_a_name(value):
                dotted = f"{inner}.{next(iter(value))}"
                message, cure = "a name that holds a dot stands without quotes", f'Write [{outer.key}."{dotted}"].'
                outer.problem(inner, message, found=Words(f"[{outer.key}.{dotted}]"), cure=cure)
                self.notes.doubt("decided", "feature", "source")
            else:
                yield inner, Table(value, self.file, join_key(outer.key, inner), self.notes)
        if not outer.sound and of:
            self.notes.doubt(of)

    def duration_ms(
        self, name: str, *, required: bool = False, least_ms: int = 0, most_ms: int = 20 * 366 * 86_400_000
    ) -> int | None:
        """A duration such as "7d" in milliseconds."""
        wanted = 'a duration such as "7d", "36h", "30s"'
        value = self._take(name, str, wanted, required)
        if not isinstance(value, str):
            return None
        try:
            found = parse_duration_ms(value)
        except QuanhengError:
            self.problem(name, "the duration cannot be read", found=value, known=wanted)
            return None
        if not least_ms <= found <= most_ms:
            self.problem(
                name,
                "the duration is out of bounds",
                found=value,
                known=f"{least_ms} ms to {most_ms // 86_400_000} days",
            )
            return None
        return found

    def time_ms(self, name: str, *, required: bool = True) -> int | None:
        """A moment: a TOML date or date with time and zone, or the same as text; in milliseconds UTC."""
        value = self._take(
            name, (str, dt.date, dt.datetime), "a date such as 2026-01-31 or 2026-01-31T10:00:00Z", required
        )
        if value is None:
            return None
        found = moment_ms(value)
        if isinstance(found, str):
            self.problem(name, found, found=str(value), known="2026-01-31 or 2026-01-31T10:00:00Z")
            return None
        return found

    def any(self, name: str, *, required: bool = True) -> object:
        """The value as it stands, whatever it is."""
        self._asked[name] = None
        if required and name not in self.values:
            self.problem(name, "the key is missing")
        return self.values.get(name)

    def strays(self) -> list[str]:
        """Keys that nobody asked for so far; they may belong to another table, whose heading is missing."""
        return [name for name in self.values if name not in self._asked]

    def done(self) -> bool:
        """Report the keys that nobody asked for. True when the table is sound."""
        for name in self.strays():
            self.problem(name, "the key is not known here", found=name, known=list(self._asked))
        return self.sound


def moment_ms(value: object) -> int | str:
    """A TOML or text date in milliseconds UTC, or what is wrong with it. A date alone is its midnight UTC."""
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            return "the date with time has no zone; add Z for UTC"
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days * 86_400_000
    try:
        return parse_time_ms(str(value))
    except QuanhengError:
        return "the date cannot be read"


def _parts_of_a_name(value: Mapping[str, object]) -> bool:
    """Whether a table holds tables only, none of which an event or its mapping has: a dot without quotes made them."""
    return bool(value) and "fields" not in value and all(isinstance(inner, dict) for inner in value.values())


def _shown(value: object) -> Words:
    return kind_of(value) if isinstance(value, (dict, list)) else Words(f"{kind_of(value)}, {describe(value)}")


def _as_tuple(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _did_you_mean(found: str, options: Collection[str]) -> str:
    near = nearest(found, options)
    return f"Did you mean {near[0]!r}?" if near else ""


def _kind_cure(value: object, kinds: type | tuple[type, ...]) -> str:
    if isinstance(value, str) and kinds is not str:
        if kinds is bool or kinds == (int, Decimal) or kinds is int:
            return "Remove the quotes."
        if kinds is list:
            return f'Write a list, ["{value}"].'
    if kinds is str and not isinstance(value, (dict, list)):
        return f'Write it in quotes, "{value}".'
    if kinds is list and isinstance(value, dict):
        return "Write [[name]] with two brackets: each entry of the list is a table."
    if kinds is dict and isinstance(value, list):
        return "Write [name] with one bracket: there is only one such table."
    return ""


def _name_words(pattern: re.Pattern[str]) -> str:
    examples = {DOTTED_NAME: "card.payment", ASSET_NAME: "EUR"}
    return f'a name such as "{examples.get(pattern, "customer_count")}"'
