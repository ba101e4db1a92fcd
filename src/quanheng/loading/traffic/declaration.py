"""What traffic.toml declares: a population, its habits, attackers and faults. Amounts are minor units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

AttackKind = Literal["amounts", "places", "payers", "devices"]


class EventRoles(msgspec.Struct, frozen=True, kw_only=True):
    """Which fields of the payment event play which part. Empty = the event has no such field."""

    type: str
    time: str
    payer: str
    place: str
    amount: str
    device: str = ""
    channel: str = ""
    country: str = ""
    constant: Mapping[str, object] = {}


class ReportRoles(msgspec.Struct, frozen=True, kw_only=True):
    """The event that says, `delay_ms` to `delay_ms + jitter_ms` after a payment, that it was fraud.

    `share` of frauds are reported. Payer, place, device and amount have the same names as in the payment event.
    """

    type: str
    paid_at: str
    reported_at: str = ""
    payment: str = ""
    fields: tuple[str, ...] = ()
    delay_ms: int
    jitter_ms: int = 0
    share: Decimal = Decimal(1)


class Payers(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays. Each payer has a mean amount and a number of payments per day of their own, drawn between two ends.

    spread : standard deviation of amounts as a share of the payer's own mean
    """

    count: int
    prefix: str
    mean_minor: tuple[int, int]
    spread: Decimal
    per_day: tuple[Decimal, Decimal]
    devices: tuple[int, int] = (1, 1)
    device_prefix: str = "d"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where payments are made: a square of side `area`; payers use places within `reach` of their home.

    remote : share of places that have no location and are reached from anywhere
    countries : weight of each country, empty = none given
    """

    count: int
    prefix: str
    area: int
    reach: int
    remote: Decimal = Decimal(0)
    countries: Mapping[str, int] = {}


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One way to pay: its weight, whether it reaches remote places, and the share of payments that tell the device."""

    value: str
    weight: int
    remote: bool = False
    device: Decimal = Decimal(0)


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fraud.

    amounts : `share` of all payments get an amount between the two of `amount_minor`
    places  : `per_day` places are compromised for `days`; `share` of the payments there are fraud
    payers  : `per_day` payers' cards are stolen for `days`; `share` of their payments are fraud, `times` as large
    devices : `per_day` rings of `devices` devices work for `days`; each day they use `payers` cards not theirs,
              `payments` payments each, amounts between the two of `amount_minor`, at remote places
    """

    name: str
    kind: AttackKind
    share: Decimal = Decimal(0)
    per_day: Decimal = Decimal(0)
    days: int = 0
    times: int = 1
    amount_minor: tuple[int, int] = (0, 0)
    devices: int = 0
    payers: int = 0
    payments: tuple[int, int] = (1, 1)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong on the way: shares of payments delivered twice, late, or not as the schema asks."""

    duplicate: Decimal = Decimal(0)
    late: Decimal = Decimal(0)
    late_ms: tuple[int, int] = (0, 0)
    malformed: Decimal = Decimal(0)


class TrafficDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A whole traffic.toml, checked.

    hours : weight of each hour of the day (UTC); week : weight of Monday to Sunday, 100 = ordinary
    """

    kind: str
    seed: int
    start_ms: int
    event: EventRoles
    report: ReportRoles | None
    payers: Payers
    places: Places
    channels: tuple[Channel, ...]
    hours: tuple[int, ...]
    week: tuple[int, ...]
    attacks: tuple[Attack, ...]
    faults: Faults
