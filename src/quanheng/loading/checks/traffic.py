"""traffic.toml: the simulation's population, attackers and faults, and which fields of the pack's events they fill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from quanheng.events.schema import EventDeclaration
from quanheng.loading.checks.borrowing import check_borrowing
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.notes import Notes
from quanheng.loading.table import DOTTED_NAME, NAME, Table, kind_of
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration
from quanheng.loading.traffic.declaration import (
    Attack,
    Channel,
    EventRoles,
    Faults,
    Payers,
    Places,
    ReportRoles,
    TrafficDeclaration,
)

FILE = "traffic.toml"
KINDS = ("spending", "borrowing")
ATTACK_KINDS = ("amounts", "places", "payers", "devices")
COUNT_MAX = 200_000
AMOUNT_MAX = 10**9
RESERVED = frozenset({"id", "type", "arrive_ms", "attack", "fault"})
DAY_MS = 86_400_000


def check_traffic(
    values: dict[str, object], events: Mapping[str, EventDeclaration], notes: Notes
) -> TrafficDeclaration | BorrowingDeclaration | None:
    """Read traffic.toml against the pack's events. None when it has problems: half a simulation would mislead."""
    before = len(notes)
    top = Table(values, FILE, "", notes)
    kind = top.choice("kind", KINDS)
    seed = top.integer("seed", least=0, most=2**63 - 1)
    start_ms = top.time_ms("start")
    if start_ms is not None and start_ms % DAY_MS:
        top.problem(
            "start", "the simulation begins at midnight UTC", found=values["start"], known="a date such as 2026-01-05"
        )
    top.title(required=False)
    if kind == "borrowing":
        found = check_borrowing(top, seed, start_ms, events)
        return found if len(notes) == before else None
    event_table = top.table("event")
    event = _event(event_table, events)
    report = _report(top.table("report"), event, event_table.sound, events) if top.has("report") else None
    payers, places = _payers(top.table("payers")), _places(top.table("places"))
    channels = tuple(_channel(table) for table in top.tables("channel", required=True))
    hours, week = _weights(top, "hours", 24), _weights(top, "week", 7)
    attacks = tuple(_attack(table) for table in top.tables("attack"))
    faults = _faults(top.table("faults", required=False))
    top.done()
    _check_together(top, channels, attacks, events, event)
    if len(notes) > before or start_ms is None:
        return None
    return TrafficDeclaration(
        kind=kind,
        seed=seed,
        start_ms=start_ms,
        event=event,
        report=report,
        payers=payers,
        places=places,
        channels=channels,
        hours=hours,
        week=week,
        attacks=attacks,
        faults=faults,
    )


def _role(
    table: Table, key: str, event: EventDeclaration | None, kinds: tuple[str, ...], *, required: bool = True
) -> str:
    """A field of the event that plays a part."""
    name = table.text(key, required=required, pattern=NAME, wanted=f"a field of type {' or '.join(kinds)}")
    if name and event is not None:
        fitting = [field for field, one in event.fields.items() if one.kind in kinds]
        if name not in fitting:
            table.problem(
                key, f"{event.name} has no such field of type {' or '.join(kinds)}", found=name, known=fitting
            )
        elif name in RESERVED:
            table.problem(key, "a simulation cannot fill a field of this name", found=name, cure="Rename the field.")
    return name


def _event(table: Table, events: Mapping[str, EventDeclaration]) -> EventRoles:
    name = table.text("type", pattern=DOTTED_NAME, wanted="the name of an event")
    event = events.get(name)
    if name and event is None:
        table.problem("type", NO_SUCH_EVENT, found=name, known=list(events), of="event")
    roles = EventRoles(
        type=name,
        time=event.time if event else "time_ms",
        payer=_role(table, "payer", event, ("key",)),
        place=_role(table, "place", event, ("key",)),
        amount=_role(table, "amount", event, ("integer",)),
        device=_role(table, "device", event, ("key",), required=False),
        channel=_role(table, "channel", event, ("choice", "text"), required=False),
        country=_role(table, "country", event, ("text", "choice"), required=False),
        constant=dict(table.table("constant", required=False).values),
    )
    if table.done() and event is not None:
        filled = {
            roles.time,
            roles.payer,
            roles.place,
            roles.amount,
            roles.device,
            roles.channel,
            roles.country,
            *roles.constant,
        }
        missing = [field for field, one in event.fields.items() if not one.optional and field not in filled]
        if missing:
            table.problem(
                "constant",
                "required fields of the event are not filled",
                found=", ".join(missing),
                cure="Give each a part, or a constant.",
            )
        for field in roles.constant:
            if field not in event.fields:
                table.problem("constant", f"{name} has no such field", found=field, known=list(event.fields))
    return roles


def _report(
    table: Table, payment: EventRoles, payment_sound: bool, events: Mapping[str, EventDeclaration]
) -> ReportRoles:
    name = table.text("type", pattern=DOTTED_NAME, wanted="the name of an event")
    event = events.get(name)
    if name and event is None:
        table.problem("type", NO_SUCH_EVENT, found=name, known=list(events), of="event")
    paid_at = _role(table, "paid_at", event, ("time",))
    reported_at = _role(table, "reported_at", event, ("time",), required=False)
    of_payment = _role(table, "payment", event, ("text",), required=False)
    roles = ReportRoles(
        type=name,
        paid_at=paid_at,
        reported_at=reported_at,
        payment=of_payment,
        fields=tuple(
            field
            for field in (
                payment.payer,
                payment.place,
                payment.device,
                payment.amount,
                payment.channel,
                payment.country,
            )
            if field and event is not None and field in event.fields
        ),
        delay_ms=table.duration_ms("delay", required=True) or 0,
        jitter_ms=table.duration_ms("jitter") or 0,
        share=_share(table, "share", Decimal(1)),
    )
    if table.done() and event is not None and payment_sound:
        filled = {*roles.fields, paid_at, reported_at, of_payment}
        missing = [field for field, one in event.fields.items() if not one.optional and field not in filled]
        if missing:
            table.problem(
                "",
                "required fields of the report are not filled",
                found=", ".join(missing),
                cure="Name them as in the payment event, or give them a part.",
            )
    return roles


def _share(table: Table, key: str, default: Decimal | None = None) -> Decimal:
    return table.number(key, required=default is None, default=default, least=0, most=1) or Decimal(0)


def _pair(table: Table, key: str, kinds: tuple[type, ...], least: int, most: int) -> tuple[Decimal, Decimal]:
    """[lower, upper] within bounds; both the least when it does not fit."""
    value = table.any(key)
    items = value if isinstance(value, list) else []
    numbers = [Decimal(one) for one in items if isinstance(one, (int, Decimal)) and type(one) in kinds]
    if len(numbers) == len(items) == 2 and least <= numbers[0] <= numbers[1] <= most:
        return numbers[0], numbers[1]
    if value is not None:
        words = "integers" if kinds == (int,) else "numbers"
        shown = f"[{', '.join(str(one) for one in value)}]" if isinstance(value, list) else kind_of(value)
        known = f"[lower, upper], {words} from {least} to {most}"
        table.problem(key, "the value is not a lower and an upper end", found=shown, known=known)
    return Decimal(least), Decimal(least)


def _ends(table: Table, key: str, least: int, most: int) -> tuple[int, int]:
    low, high = _pair(table, key, (int,), least, most)
    return int(low), int(high)


def _rates(table: Table, key: str, most: int) -> tuple[Decimal, Decimal]:
    return _pair(table, key, (int, Decimal), 0, most)


def _payers(table: Table) -> Payers:
    payers = Payers(
        count=table.integer("count", least=1, most=COUNT_MAX),
        prefix=table.text("prefix", required=False, default="c", most=8),
        mean_minor=_ends(table, "mean_minor", 1, AMOUNT_MAX),
        spread=table.number("spread", least=0, most=10) or Decimal(0),
        per_day=_rates(table, "per_day", 50),
        devices=_ends(table, "devices", 1, 16) if table.has("devices") else (1, 1),
        device_prefix=table.text("device_prefix", required=False, default="d", most=8),
    )
    table.done()
    return payers


def _places(table: Table) -> Places:
    countries = table.table("countries", required=False)
    weights = {name: countries.integer(name, least=1, most=10**6) for name in countries.values}
    places = Places(
        count=table.integer("count", least=1, most=COUNT_MAX),
        prefix=table.text("prefix", required=False, default="t", most=8),
        area=table.integer("area", least=1, most=100_000),
        reach=table.integer("reach", least=1, most=100_000),
        remote=_share(table, "remote", Decimal(0)),
        countries=weights,
    )
    table.done()
    return places


def _channel(table: Table) -> Channel:
    channel = Channel(
        value=table.text("value"),
        weight=table.integer("weight", least=1, most=10**6),
        remote=table.boolean("remote"),
        device=_share(table, "device", Decimal(0)),
    )
    table.done()
    return channel


def _weights(table: Table, key: str, count: int) -> tuple[int, ...]:
    value = table.any(key)
    if value is None:
        return (1,) * count
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(one, int) and 0 <= one <= 10**6 for one in value)
        or not sum(value)
    ):
        table.problem(
            key,
            f"the value is not a list of {count} weights",
            found=kind_of(value) + (f" of {len(value)}" if isinstance(value, list) else ""),
            known=f"{count} integers from 0, not all 0",
        )
        return (1,) * count
    return tuple(value)


def _attack(table: Table) -> Attack:
    kind = table.choice("kind", ATTACK_KINDS, default="amounts")
    name = table.text("name", pattern=NAME, wanted='a name such as "stolen_card"')
    share = _share(table, "share") if kind != "devices" else Decimal(0)
    per_day, days, times, devices, payers = Decimal(0), 0, 1, 0, 0
    amount_minor, payments = (0, 0), (1, 1)
    if kind != "amounts":
        per_day = table.number("per_day", least=0, most=1000) or Decimal(0)
        days = (table.duration_ms("lasts", required=True, least_ms=DAY_MS, most_ms=365 * DAY_MS) or DAY_MS) // DAY_MS
    if kind == "payers":
        times = table.integer("times", least=1, most=1000)
    if kind in {"amounts", "devices"}:
        amount_minor = _ends(table, "amount_minor", 1, AMOUNT_MAX)
    if kind == "devices":
        devices = table.integer("devices", least=1, most=1000)
        payers = table.integer("payers", least=1, most=10_000)
        payments = _ends(table, "payments", 1, 1000)
    table.done()
    return Attack(
        name=name,
        kind=kind,
        share=share,
        per_day=per_day,
        days=days,
        times=times,
        amount_minor=amount_minor,
        devices=devices,
        payers=payers,
        payments=payments,
    )


def _faults(table: Table) -> Faults:
    late_ms = (0, 0)
    if table.has("late_by"):
        inner = table.table("late_by")
        low, high = (
            inner.duration_ms("least", required=True) or 0,
            inner.duration_ms("most", required=True, most_ms=30 * DAY_MS) or 0,
        )
        inner.done()
        late_ms = (low, high)
        if low > high:
            table.problem(
                "late_by",
                "least is longer than most",
                found=str(inner.values.get("least")),
                known=f"at most {inner.values.get('most')}",
            )
    faults = Faults(
        duplicate=_share(table, "duplicate", Decimal(0)),
        late=_share(table, "late", Decimal(0)),
        late_ms=late_ms,
        malformed=_share(table, "malformed", Decimal(0)),
    )
    table.done()
    return faults


def _check_together(
    top: Table,
    channels: tuple[Channel, ...],
    attacks: tuple[Attack, ...],
    events: Mapping[str, EventDeclaration],
    event: EventRoles,
) -> None:
    names = [attack.name for attack in attacks]
    for name in {name for name in names if names.count(name) > 1}:
        top.problem("attack", "two attacks have one name", found=name)
    declared = events.get(event.type)
    field = declared.fields.get(event.channel) if declared and event.channel else None
    for channel in channels:
        if field is not None and field.kind == "choice" and channel.value not in field.choices:
            top.problem(
                "channel",
                "the channel is not one of the choices of its field",
                found=channel.value,
                known=field.choices,
            )
