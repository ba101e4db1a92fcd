"""calls.toml: requests to partners and notices, and the events that tell what became of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

import msgspec

from quanheng.events.schema import KEYS_MAX, NUMBER_KINDS, NUMBERS_MAX, EventDeclaration, EventType, FieldDeclaration
from quanheng.kernel.errors import EventRejected
from quanheng.loading.checks.events import qualified_entity, read_fields
from quanheng.loading.declared import Entity
from quanheng.loading.declared_calls import MESSAGE, OUTBOX, REASONS, CallDeclaration, CallsDeclaration
from quanheng.loading.notes import Notes, Words, describe
from quanheng.loading.table import NAME, Table

FILE = "calls.toml"
CALLS_MAX, VALUES_MAX = 1000, 100
DETAIL_LENGTH_MAX = 500
"""Characters of what is told of a try that failed."""
DAY_MS, YEAR_MS = 86_400_000, 366 * 86_400_000
CHANNELS: Mapping[str, tuple[str, ...]] = {"call": ("http",), "notice": ("webhook", "http", "smtp", "sms", "push")}
"""Kind of table → how such a message may go out. Only a JSON request is answered in its response."""
PARTS: Mapping[str, tuple[str, ...]] = {
    "smtp": ("to", "subject", "body"),
    "sms": ("to", "body"),
    "push": ("to", "subject", "body"),
}
"""Channel → texts that `send` must have. Mail has no others."""
OF_CALLS = ("answer", "fallback", "cache")
"""Settings that only a message has that is answered."""
RESERVED = ("time_ms", "message", "result", "reason", "detail", "tries")
"""Fields that every event of a call or a notice has."""
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Writes numbers with a point as they are, never as a float."""
_TRIES = {"call": 3, "notice": 10}
_PLAIN = (str, int, bool, Decimal)


def check_calls(
    values: Mapping[str, object], pack: str, entities: Mapping[str, Entity], events: Collection[str], notes: Notes
) -> tuple[CallsDeclaration, frozenset[str]]:
    """Read calls.toml (parsed). What `send` computes is checked later, when it is known which events ask for it.

    Parameters
    ----------
    pack : name of the pack, which qualifies its entities
    entities : those of the pack, of all that it requires and of the platform, by qualified name
    events : names of the pack's own events

    Returns
    -------
    The calls and notices; names of those that have problems, whose events can be spoken of and not yet read.
    """
    top = Table(values, FILE, "", notes)
    calls: dict[str, CallDeclaration] = {}
    unsound = set()
    for kind in ("call", "notice"):
        for name, table in top.named(kind, NAME, of="call"):
            if name in calls:
                message, cure = "a call and a notice have the same name", "Rename one: both are asked for by name."
                table.problem("", message, found=name, cure=cure)
                continue
            before = len(notes)
            calls[name] = _call(name, kind, table, pack, entities)
            if calls[name].event in events:
                message, cure = "its event is declared in events.toml", "Rename one: Quanheng declares this event."
                table.problem("", message, found=calls[name].event, cure=cure)
            if len(notes) > before:
                unsound.add(name)
    if len(calls) > CALLS_MAX:
        top.problem("", "there are too many calls and notices", found=len(calls), known=f"at most {CALLS_MAX}")
    top.done()
    return CallsDeclaration(calls=tuple(calls.values())), frozenset(unsound)


def call_events(calls: CallsDeclaration, entities: Mapping[str, Entity]) -> tuple[EventDeclaration, ...]:
    """The events that tell what became of the calls and notices: the pack has them without declaring them."""
    return tuple(call_event(one, entities) for one in calls.calls)


def call_event(call: CallDeclaration, entities: Mapping[str, Entity]) -> EventDeclaration:
    """`NAME.call.answered` or `NAME.notice.sent`. Whatever the partner says is optional in it: it may say nothing."""
    fields = {
        "time_ms": _field("time", "When the result was there", "结果时间"),
        "message": _field("key", "Id of the message", "消息编号", entity=MESSAGE),
    }
    for name, entity in call.keys.items():
        personal = entity in entities and entities[entity].personal
        optional = name != call.subject
        fields[name] = FieldDeclaration(
            kind="key", entity=entity, optional=optional, data_class="personal" if personal else ""
        )
    fields["result"] = _field("choice", "What became of it", "处理结果", choices=call.results)
    fields["reason"] = _field("choice", "Why it was not answered or taken", "失败原因", choices=REASONS, optional=True)
    detail_en, detail_zh = "What is known of the last try that failed", "最后一次失败的说明"
    fields["detail"] = _field("text", detail_en, detail_zh, length_max=DETAIL_LENGTH_MAX, optional=True)
    fields["tries"] = _field("integer", "How often it was tried", "尝试次数", min=0)
    for name, field in call.answer.items():
        fields[name] = msgspec.structs.replace(field, optional=True)
    told = ("Answer to: ", "答复：") if call.kind == "call" else ("Sent: ", "已发送：")
    title = {"en": f"{told[0]}{call.en}", "zh": f"{told[1]}{call.zh}"}
    return EventDeclaration(name=call.event, fields=fields, subject=call.subject, title=title, client=OUTBOX)


def _field(kind: str, en: str, zh: str, **rest: object) -> FieldDeclaration:
    return FieldDeclaration(kind=kind, data_class="internal", title={"en": en, "zh": zh}, **rest)  # type: ignore[arg-type]


def answer_type(call: CallDeclaration) -> EventType:
    """Reads answers by their declared fields: `decode`, then `check`, of an object that has no others."""
    return EventType(EventDeclaration(name=call.name, fields=call.answer, time=""), 0)


def _call(name: str, kind: str, table: Table, pack: str, entities: Mapping[str, Entity]) -> CallDeclaration:
    """One `[call.NAME]` or `[notice.NAME]`."""
    title = table.title()
    channels = CHANNELS[kind]
    channel = table.choice("channel", channels, default=channels[0])
    address = table.text("address", pattern=NAME, wanted="the name of an address of the configuration")
    keys = _keys(table, pack, entities)
    subject = table.text("subject", required=False, wanted="a key of this table")
    if subject and subject not in keys:
        table.problem("subject", "the subject is not one of the keys", found=subject, known=list(keys))
        subject = ""
    send = _send(table, channel)
    answer, fallback, cache_ms = {}, None, 0
    if kind == "call":
        before = len(table.notes)
        answer = _answer(table, keys, pack, entities)
        fallback = _fallback(name, table, answer, len(table.notes) == before)
        cache_ms = table.duration_ms("cache", least_ms=1, most_ms=YEAR_MS) or 0
    else:
        _check_absent(table)
    tries = table.integer("tries", required=False, default=_TRIES[kind], least=1, most=1000)
    times = _times(table)
    failures, open_ms = _breaker(table)
    table.done()
    return CallDeclaration(
        name=name, kind="call" if kind == "call" else "notify", channel=channel, address=address, keys=keys,
        subject=subject, send=send, answer=answer, fallback=fallback, tries=tries, **times,
        breaker_failures=failures, breaker_ms=open_ms, cache_ms=cache_ms, en=title.en, zh=title.zh,
    )  # fmt: skip


def _keys(table: Table, pack: str, entities: Mapping[str, Entity]) -> dict[str, str]:
    """Key field → entity, of those that the answer carries."""
    inner = table.table("keys", required=False)
    found = {}
    for name in inner.values:
        _check_name(inner, name)
        written = inner.text(name, wanted='an entity such as "customer" of this pack or "party.customer"')
        if written:
            found[name] = qualified_entity(inner, name, written, pack, entities)
    inner.done()
    return found


def _check_name(table: Table, name: str) -> None:
    """A name that the event of the call can have."""
    if name in RESERVED:
        message, cure = "every event of a call has this field", "Give it another name."
        table.problem(name, message, found=name, cure=cure)
    elif not NAME.fullmatch(name):
        cure = "Names have small letters, digits and _ and begin with a letter."
        table.problem(name, "the name is not a plain name", found=name, known='a name such as "score"', cure=cure)


_SENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def _send(table: Table, channel: str) -> dict[str, str]:
    """Name in the body → FEEL text. Names are the partner's: they may have capital letters."""
    inner = table.table("send")
    found = {}
    for name in inner.values:
        text = inner.text(name, wanted="a FEEL expression")
        if not _SENT_NAME.fullmatch(name):
            cure = "Names have letters, digits, _, - and . and begin with a letter."
            inner.problem(name, "the name is not a plain name", found=name, known='a name such as "amount"', cure=cure)
        elif text:
            found[name] = text
    parts = PARTS.get(channel, ())
    for name in parts:
        if name not in inner.values and table.has("send"):
            inner.problem(name, f"the channel {channel} needs this text; the key is missing", known="a FEEL expression")
    if channel == "smtp":
        for name in [one for one in inner.values if one not in parts]:
            inner.problem(name, "a mail has no such part", found=name, known=list(parts))
    if table.has("send") and not inner.values and not parts:
        cure = 'Say what goes into the body: NAME = "FEEL".'
        table.problem("send", "nothing is sent", known="a table with at least one entry", cure=cure)
    elif len(inner.values) > VALUES_MAX:
        table.problem("send", "the body has too many entries", found=len(inner.values), known=f"at most {VALUES_MAX}")
    inner.done()
    return found


def _answer(
    table: Table, keys: Collection[str], pack: str, entities: Mapping[str, Entity]
) -> dict[str, FieldDeclaration]:
    """The fields of the partner's answer, declared as those of an event."""
    outer = table.table("answer", required=False)
    fields = read_fields(outer, pack, entities)
    for name in outer.values:
        if name in RESERVED:
            _check_name(outer, name)
        elif name in keys:
            cure = "Give it another name, or take the key out of `keys`."
            outer.problem(name, "the answer carries a key of this name already", found=name, cure=cure)
    key_fields = 1 + len(keys) + sum(field.kind == "key" for field in fields.values())
    numbers = 4 + sum(field.kind in NUMBER_KINDS or field.kind == "choice" for field in fields.values())
    for what, count, most in (("key", key_fields, KEYS_MAX), ("number and choice", numbers, NUMBERS_MAX)):
        if count > most:
            message = f"the event of the answer has too many {what} fields, with those that every such event has"
            outer.problem("", message, found=count, known=f"at most {most}")
    return fields


def _fallback(name: str, table: Table, answer: Mapping[str, FieldDeclaration], sound: bool) -> dict[str, object] | None:
    """What stands for an answer that does not come: an answer itself, so its values fit the fields, if these are
    sound."""
    if not table.has("fallback"):
        message = "a partner may never answer, so the values that stand for an answer must be said; the key is missing"
        cure = "Write fallback = {FIELD = VALUE}, or fallback = {} where the answer has no field that must be there."
        table.problem("fallback", message, known="a table of values of the answer's fields", cure=cure)
    inner = table.table("fallback", required=False)
    if not (sound and isinstance(table.values.get("fallback"), dict)):
        return None
    for key in inner.values:
        value = inner.any(key)
        if key not in answer:
            inner.problem(key, "the answer has no such field", found=key, known=list(answer))
        elif not isinstance(value, _PLAIN):
            message, found = "the value is of the wrong kind", Words(describe(value))
            inner.problem(key, message, found=found, known="a text, a number, true or false")
    for key, field in answer.items():
        if key not in inner.values and not field.optional:
            known, cure = f"a value of type {field.kind}", f"Say it, or write optional = true for {key} in the answer."
            inner.problem(key, "every answer has this field; the key is missing", known=known, cure=cure)
    if inner.sound:
        _check_values(name, inner, inner.values, answer)
    return dict(inner.values)


def _check_values(
    name: str, table: Table, values: Mapping[str, object], answer: Mapping[str, FieldDeclaration]
) -> None:
    """Each value against its field, by what reads answers."""
    for key, value in values.items():
        field = {key: answer[key]}
        one = EventType(EventDeclaration(name=name, fields=field, time=""), 0)
        try:
            one.check(one.decode(ENCODER.encode({key: value})))
        except EventRejected as error:
            table.problem(key, error.what, found=value, known=error.allowed)


def _check_absent(table: Table) -> None:
    for key in OF_CALLS:
        if table.has(key):
            table.any(key)
            cure = f"Remove `{key}`, or declare it as [call.NAME], which is answered."
            table.problem(key, "a notice is not answered", found=Words(f"`{key}`"), cure=cure)


def _times(table: Table) -> dict[str, int]:
    """Time-outs and pauses."""
    timeout_ms = table.duration_ms("timeout", least_ms=1, most_ms=600_000)
    backoff_ms = table.duration_ms("backoff", least_ms=1, most_ms=DAY_MS)
    backoff_max_ms = table.duration_ms("backoff_max", least_ms=1, most_ms=7 * DAY_MS)
    give_up_ms = table.duration_ms("give_up", least_ms=1, most_ms=YEAR_MS)
    found = {
        "timeout_ms": 2_000 if timeout_ms is None else timeout_ms,
        "backoff_ms": 500 if backoff_ms is None else backoff_ms,
        "give_up_ms": -1 if give_up_ms is None else give_up_ms,
    }
    found["backoff_max_ms"] = max(60_000, found["backoff_ms"]) if backoff_max_ms is None else backoff_max_ms
    if found["backoff_max_ms"] < found["backoff_ms"]:
        message, known = "the longest pause is shorter than the first", f"at least {found['backoff_ms']} ms"
        table.problem("backoff_max", message, found=table.values["backoff_max"], known=known)
    if -1 < found["give_up_ms"] < found["timeout_ms"]:
        message, known = "it is given up before one try can end", f"at least {found['timeout_ms']} ms, the time-out"
        table.problem("give_up", message, found=table.values["give_up"], known=known)
    return found


def _breaker(table: Table) -> tuple[int, int]:
    """Failures in a row that open the circuit, and for how long; 0 = it never opens."""
    if not table.has("breaker"):
        table.table("breaker", required=False)
        return 0, 30_000
    inner = table.table("breaker")
    failures = inner.integer("failures", default=1, least=1, most=10_000)
    open_ms = inner.duration_ms("open", least_ms=1, most_ms=DAY_MS)
    inner.done()
    return failures, 30_000 if open_ms is None else open_ms
