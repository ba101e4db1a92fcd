"""What traffic.toml declares of people who borrow. Everything is a number of standard deviations, in thousandths.

Each person has hidden traits, standard normal: *ability* (means to pay), *honesty* (will to pay, and to tell the
truth) and *health* (of a business). Nothing told names them. A `Drive` weighs them; whatever is observed is a `Measure`
of such a sum, and whether a loan goes bad is another sum compared with a threshold:

    z   = ability * a + honesty * h + health * b - shock * s + person * p + noise * e

with p standard normal, one for each person and measure, and e standard normal, new for each row;

    bad = z of the declared default < -threshold
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from quanheng.loading.traffic.declaration import EventRoles

Shape = Literal["level", "linear", "flag", "choice", "date"]


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """Weights of the hidden traits, of the shocks of the time, and of noise, thousandths.

    person : noise that is the same in all rows of a person: what stays unknown however long somebody is watched
    """

    ability: int = 0
    honesty: int = 0
    health: int = 0
    shock: int = 0
    person: int = 0
    noise: int = 1000


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """How one field follows from z (in standard deviations) of its drive.

    level  : base * exp(slope * z), whole; `of_income`: base is a share of the person's true monthly income
    linear : base + slope * z, cut to [least, most], rounded down to the field's scale
    flag   : base + slope * z > 0
    choice : one of `weights`, whatever the traits
    date   : base + slope * z whole days before the event, as YYYY-MM-DD, cut as linear
    step   : a level is rounded down to a multiple of it, at least one
    """

    field: str
    shape: Shape
    drive: Drive = Drive()
    base: Decimal = Decimal(0)
    slope: Decimal = Decimal(0)
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(10**12)
    step: int = 1
    of_income: bool = False
    weights: Mapping[str, int] = {}
    number: str = ""
    scale: int = 0


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Events told about a person: `rows` of them, one each `every_ms` before the application, told when they apply.

    share : of the people of its segments (empty = all) that this source knows
    subject : field with the person's key; keys : field → own | phone | device | employer
    """

    type: str
    time: str
    subject: str
    rows: int = 1
    every_ms: int = 86_400_000
    share: Decimal = Decimal(1)
    segments: tuple[str, ...] = ()
    keys: Mapping[str, str] = {}
    constant: Mapping[str, object] = {}
    measures: tuple[Measure, ...] = ()


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of applicant: constants of the application (product, employment) and how often."""

    name: str
    weight: int
    constant: Mapping[str, object] = {}


class Shock(msgspec.Struct, frozen=True, kw_only=True):
    """From `start_ms` for `days`, people with `value` in `field` (empty = all) are `size` worse off.

    field : a choice of the application
    """

    name: str
    start_ms: int
    days: int
    size: int
    field: str = ""
    value: str = ""


class Rings(msgspec.Struct, frozen=True, kw_only=True):
    """`per_month` rings of `members` who share `devices` devices, and one phone and employer each; they never pay."""

    per_month: int = 0
    members: int = 1
    devices: int = 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The event that tells, `delay_ms` after the application, whether it went bad; fields of the same meaning."""

    type: str
    applied: str
    told: str
    bad: str
    delay_ms: int
    fields: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The plain policy that a demo compares decisions with, and how money is counted.

    granted : outcomes of the pack that lend; asked : outcomes that ask a person
    income, multiple : it lends at most so many times the declared income (a measure of the application)
    source, field, least : and only where this field of what this event told is at least so much
    rate, funds_rate : of a year, the same for all; recovered : share of the principal that comes back after a default
    """

    granted: tuple[str, ...]
    asked: tuple[str, ...]
    income: str
    multiple: Decimal
    source: str
    field: str
    least: int
    rate: Decimal
    funds_rate: Decimal
    recovered: Decimal


class BorrowingDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A whole traffic.toml of kind "borrowing", checked.

    event : roles of the application: `payer` is the applicant; application : its key
    per_month : applicants of 30 days; season : weight of each twelfth of 360 days, 100 = ordinary
    income : the true monthly income, a level that `of_income` measures refer to
    default, threshold : see the module
    """

    kind: str
    seed: int
    start_ms: int
    event: EventRoles
    application: Source
    number: str
    outcome: Outcome
    per_month: int
    season: tuple[int, ...]
    income: Measure
    default: Drive
    threshold: int
    segments: tuple[Segment, ...]
    sources: tuple[Source, ...]
    rule: Rule
    shocks: tuple[Shock, ...] = ()
    rings: Rings = Rings()
    report: None = None
