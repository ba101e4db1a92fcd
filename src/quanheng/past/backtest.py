"""A backtest over the log: two versions of a policy on the same recorded decisions, streamed and compared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from quanheng.decisions.backtest.compare import Comparison
from quanheng.decisions.backtest.labels import label_figures
from quanheng.decisions.backtest.report import Books, report
from quanheng.decisions.backtest.rows import Rows, Shapes
from quanheng.decisions.backtest.rules import RuleBook
from quanheng.flows import PLATFORM_REASONS
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import DAY_MS
from quanheng.loading.declared import Declared
from quanheng.loading.files import PackFiles
from quanheng.past.events import EventReader, EventRows
from quanheng.past.known import Asker, Known, Served, served
from quanheng.past.lists import PastLists
from quanheng.past.side import JudgedSide, RecordedSide, Side
from quanheng.past.versions import Asked, Version, Versions, book_of, flow_on
from quanheng.past.window import (
    TIME_MAX_MS,
    TIME_MIN_MS,
    LabelSource,
    PastReader,
    PastRows,
    Progress,
    Survey,
    Window,
    activations_of,
    digest_of,
    survey,
)
from quanheng.program import Program
from quanheng.reading import Reader

UNKNOWN_TEXT = "(none)"


class Band(NamedTuple):
    """A segment: a name that the deciding version knows, cut at `bounds` where it is a number."""

    name: str
    bounds: tuple[Decimal, ...] = ()

    def labels(self) -> list[str]:
        """The bands of a number in rising order; none where the name is no number."""
        middles = [f"{low} .. {high}" for low, high in pairwise(self.bounds)]
        return [f"< {self.bounds[0]}", *middles, f">= {self.bounds[-1]}"] if self.bounds else []

    def of(self, value: object) -> str:
        """The band a value lies in; bands are half-open, [low, high)."""
        if value is None:
            return UNKNOWN_TEXT
        if not self.bounds:
            return str(value).lower() if isinstance(value, bool) else str(value)
        assert isinstance(value, int | Decimal)
        return self.labels()[bisect_right(self.bounds, value)]


class Settings(NamedTuple):
    """What to compare.

    candidate, baseline : versions of `pack`
    event : event type, "" = the only one the pack decides
    from_ms, to_ms : events whose own time lies in [from_ms, to_ms)
    segments : by which names to split
    money : integer field in minor units; "" = the first one that is declared so
    score : column of a model, "" = that of the first model
    label : "event:field"; "" = as the pack's model is trained
    labels_until_ms : labels received by then; label_delay_ms : None = as the model's training says
    rebuilt : fold the log again under the versions
    columns : judge whole chunks over columns where the policy allows; False = one decision after another
    """

    pack: str
    candidate: Asked
    baseline: Asked
    event: str = ""
    from_ms: int = TIME_MIN_MS
    to_ms: int = TIME_MAX_MS
    segments: tuple[Band, ...] = ()
    money: str = ""
    score: str = ""
    label: str = ""
    labels_until_ms: int = TIME_MAX_MS
    label_delay_ms: int | None = None
    rebuilt: bool = False
    columns: bool = True
    sample_max: int = 10


def backtest(
    reader: Reader, available: Mapping[str, PackFiles], settings: Settings, progress: Progress | None = None
) -> dict[str, Any]:
    """Compare two versions over a window of the log.

    Parameters
    ----------
    reader : the log with its content store and key ring; nothing is changed
    available : installed packs, for what the versions require

    Returns
    -------
    The report (`decisions.backtest.report`) with what was compared, how, and what was left out.

    Raises
    ------
    NotFound : the pack was never in force, a version does not exist, no decision lies in the window
    InputError : a name is unknown, or a version reads what was not recorded
    """
    versions = Versions(settings.pack, activations_of(reader), reader.content, available)
    found = versions.find(settings.candidate), versions.find(settings.baseline)
    active = versions.find(Asked("active", None))
    assert active.program is not None
    return _Backtest(reader, settings, found, active.program).run(progress)


class _Backtest:
    def __init__(self, reader: Reader, settings: Settings, found: tuple[Version, Version], active: Program) -> None:
        self.reader, self.settings, self.active = reader, settings, active
        pack = active.packs[settings.pack]
        named = next((one.program.packs[settings.pack] for one in found if one.program is not None), pack)
        self.flow = flow_on(named, settings.event)
        self.window = Window(self.flow.when, settings.from_ms, settings.to_ms)
        self.label = _label_source(named, settings, self.flow.when)
        self.candidate, self.baseline = (self._side(one) for one in found)
        self.shapes = Shapes()
        self.counted = Comparison(self.shapes, [one.name for one in settings.segments], settings.sample_max)
        self.events = EventReader(self._names())
        self.left_out = {"erased": 0, "not_readable": 0}
        self._recorded: dict[tuple[int, str], Asker] = {}

    def _side(self, version: Version) -> Side:
        if version.program is None:
            return RecordedSide(version, self.settings.pack)
        if self.flow.when not in version.program.types or not any(
            flow.when == self.flow.when for flow in version.program.packs[self.settings.pack].flows
        ):
            raise InputError(
                "the version does not decide this event",
                where=version.name,
                found=self.flow.when,
                allowed=", ".join(flow.when for flow in version.program.packs[self.settings.pack].flows),
            )
        asked = self.settings
        event, rebuilt, columns = self.flow.when, asked.rebuilt, asked.columns
        return JudgedSide(self._lists, version, asked.pack, event, rebuilt=rebuilt, columns=columns)

    def _lists(self) -> PastLists:
        return PastLists(self.reader, self.found.lists)

    def _judged(self) -> list[JudgedSide]:
        return [one for one in (self.candidate, self.baseline) if isinstance(one, JudgedSide)]

    def _names(self) -> set[str]:
        """Fields of the event that are read, whatever their names mean to a version."""
        names = {one.name for one in self.settings.segments} | {"currency"}
        return names.union(*({one.name for one in side.asker.flow.policy.inputs} for side in self._judged()))

    def run(self, progress: Progress | None) -> dict[str, Any]:
        found = survey(self.reader, self.window, self.label, progress)
        if not found.decisions:
            raise NotFound(
                "no decision lies in the window",
                where="--from, --to",
                found=f"{self.flow.when}, {found.head} records in the log",
                cure="Widen the window; it is about the time of the events.",
            )
        self.found = found
        self.good_until_ms = self._good_until(found)
        past = PastReader(self.reader, self.window, found)
        folding = [one for one in self._judged() if one.rebuilt]

        def see(first: int, columns: Any, wanted: Any) -> None:
            for side in folding:
                side.see(first, columns, wanted)

        for rows in past.chunks(progress, see if folding else None):
            self._add(rows)
        self.left_out["erased"] = past.erased
        return self._told(found)

    def _add(self, rows: PastRows) -> None:
        record = served(self.reader, self.flow.when, rows)
        was = self.baseline.judge(rows, record, self.events, self.shapes)
        now = self.candidate.judge(rows, record, self.events, self.shapes)
        facts = self._facts(rows, record)
        columns: dict[str, Sequence[Any]] = {
            "ids": rows.decisions,
            "times": rows.times_ms,
            "was": was,
            "now": now,
            **facts,
        }
        if None in was or None in now:
            kept = [at for at in range(len(rows)) if was[at] is not None and now[at] is not None]
            self.left_out["not_readable"] += len(rows) - len(kept)
            columns = {name: [column[at] for at in kept] for name, column in columns.items()}
        segments = {band.name: columns[f"by {band.name}"] for band in self.settings.segments}
        first: Any = (columns[name] for name in ("ids", "times", "was", "now", "money", "currency"))
        made: Any = (*first, segments, columns["score"], columns["label"])
        self.counted.add(Rows(*made))

    # -- what is known of each row beside the verdicts

    def _facts(self, rows: PastRows, record: Served) -> dict[str, Sequence[Any]]:
        asker = self._asker(record.program)
        known = asker.known(rows, record, self.events.read(asker.event_type, rows, record.event_type))
        facts: dict[str, Sequence[Any]] = {"label": self._labels(rows), "score": [None] * len(rows)}
        money, currency = self.fields(asker)
        facts["money"] = known.events.column(money) if money else [None] * len(rows)
        texts = known.events.column(currency) if currency else [""] * len(rows)
        facts["currency"] = [text if text.__class__ is str else "" for text in texts]
        columns = (column for source in asker.scope.sources for column in source.columns)
        score = self.settings.score or next((one.name for one in columns if not one.is_text), "")
        if score:
            facts["score"] = [None if one is None else one.__float__() for one in known.column(score)]  # type: ignore[attr-defined]
        for band in self.settings.segments:
            facts[f"by {band.name}"] = list(map(band.of, self._segment(band, known, known.events)))
        return facts

    def _asker(self, program: Program) -> Asker:
        """The deciding version, as the one that names segments, money and score."""
        key = program.activation, program.arm
        if key not in self._recorded:
            self._recorded[key] = Asker(program, self.settings.pack, self.flow.when)
        return self._recorded[key]

    def fields(self, asker: Asker) -> tuple[str, str]:
        """The field of money and that of its currency, "" where there is none."""
        fields = asker.event_type.declaration.fields
        minor = [name for name, one in fields.items() if one.kind == "integer" and one.unit == "minor"]
        if self.settings.money and self.settings.money not in minor:
            raise InputError(
                "the field is not money",
                where="--money",
                found=self.settings.money,
                allowed=", ".join(minor) or "no integer field has the unit minor",
                cure='Declare it as an integer with unit = "minor".',
            )
        money = self.settings.money or (minor[0] if minor else "")
        return money, "currency" if "currency" in fields and money else ""

    def _segment(self, band: Band, known: Known, events: EventRows) -> Sequence[object]:
        column = known.column(band.name)
        number = any(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in column)
        if bool(band.bounds) is not number and any(value is not None for value in column):
            raise InputError(
                "a number is split by bounds, and only a number",
                where="--by",
                found=f"{band.name}={','.join(map(str, band.bounds))}" if band.bounds else band.name,
                allowed="channel, or amount=1000,5000 for a number",
                cure="Give the bounds behind the name, in rising order.",
            )
        return column

    # -- labels

    def _good_until(self, found: Survey) -> int:
        if self.label is None:
            return TIME_MIN_MS
        return min(found.newest_ms, self.label.until_ms) - self.label.delay_ms

    def _labels(self, rows: PastRows) -> list[bool | None]:
        """True = reported; False = not reported and old enough; None = too young to tell, or the pack has no labels."""
        if self.label is None:
            return [None] * len(rows)
        labelled, until_ms = self.found.labelled, self.good_until_ms
        return [
            None if time_ms > until_ms else digest_of(asked.id) in labelled
            for asked, time_ms in zip(rows.asked, rows.times_ms, strict=True)
        ]

    # -- the report

    def _told(self, found: Survey) -> dict[str, Any]:
        counted, pack = self.counted, self.settings.pack
        candidate, baseline = (self._declared(side) for side in (self.candidate, self.baseline))
        books = Books(
            self._book(baseline),
            self._book(candidate),
            names_in(candidate),
            {**PLATFORM_REASONS, **_reasons(baseline), **_reasons(candidate)},
            list(dict.fromkeys([*baseline.outcomes, *candidate.outcomes])),
        )
        made = report(counted, books, {band.name: band.labels() for band in self.settings.segments})
        money, _ = self.fields(self._asker(self.active)) if counted.count else ("", "")
        labels = None
        if self.label is not None:
            source = {"event": self.label.event, "field": self.label.field, "delay_ms": self.label.delay_ms}
            known = {"known_until_ms": self.good_until_ms}
            figures = label_figures(counted.labels, counted.values["labels"], made["outcomes"])
            labels = {**source, **known, **figures}
        return {
            "pack": pack,
            "event": self.flow.when,
            "decision": self.flow.decide,
            "as_of": found.head,
            "window": {"from_ms": _bound(self.window.from_ms), "to_ms": _bound(self.window.to_ms)},
            "vectors": "rebuilt" if self.settings.rebuilt else "as served",
            "candidate": {**self.candidate.version.told(pack), "engine": self.candidate.engine},
            "baseline": {**self.baseline.version.told(pack), "engine": self.baseline.engine},
            "left_out": {**self.left_out, "coarse": self.shapes.coarse},
            "money": money,
            **made,
            "labels": labels,
        }

    def _declared(self, side: Side) -> Declared:
        """The pack of a side; for what was decided then, that of the newest activation."""
        program = side.version.program or self.active
        return program.packs[self.settings.pack]

    def _book(self, declared: Declared) -> RuleBook:
        return book_of(declared, flow_on(declared, self.flow.when))


def _bound(time_ms: int) -> int | None:
    return None if abs(time_ms) >= TIME_MAX_MS else time_ms


def names_in(declared: Declared) -> dict[str, Mapping[str, str]]:
    """What inputs are called, where the pack says so."""
    names: dict[str, Mapping[str, str]] = {}
    titles = {
        **{one.name: one.title for one in declared.parameters},
        **{one.name: one.title for one in declared.folds},
        **{one.name: one.title for one in declared.formulas},
    }
    names.update({name: {"en": title.en, "zh": title.zh} for name, title in titles.items() if title.en})
    for event in declared.events:
        names.update({name: dict(field.title) for name, field in event.fields.items() if field.title.get("en")})
    return names


def _reasons(declared: Declared) -> dict[str, dict[str, str]]:
    return {one.code: {"en": one.en, "zh": one.zh} for one in declared.reasons}


def _label_source(declared: Declared, settings: Settings, event: str) -> LabelSource | None:
    """Where labels come from: as asked for, else as a model of the pack on this event is trained."""
    training: Mapping[str, Any] = next(
        (
            table
            for model in declared.models
            if isinstance(table := model.settings.get("training"), Mapping) and table.get("event") == event
        ),
        {},
    )
    named, _, field = settings.label.partition(":")
    named, field = named or training.get("label_event", ""), field or training.get("label_field", "")
    if not named or not field:
        return None
    known = {one.name: one for one in declared.events}
    if named not in known or field not in known[named].fields:
        raise InputError(
            "the label cannot be read",
            where="--label",
            found=f"{named}:{field}",
            allowed="EVENT:FIELD, a text field of an event that holds the id of the decided one",
            cure="Correct the names; events.toml has them.",
        )
    delay_ms = settings.label_delay_ms
    if delay_ms is None:
        delay_ms = int(training.get("delay_days", 0)) * DAY_MS
    return LabelSource(named, field, settings.labels_until_ms, delay_ms)
