"""What is asked of a carbon registry, and why it is refused."""

from __future__ import annotations

import msgspec

from quanheng.ledger.instruments.action_fold import RefusalCode
from quanheng.ledger.instruments.carbon.serials import Range

RANGES_MAX = 1_000
TEXT_MAX = 500


class CarbonRefusal(RefusalCode):
    """Why an action of a carbon registry is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    OWNER_IS_OUT_OF_RANGE = "OWNER_IS_OUT_OF_RANGE", "The new owner is out of range", "新持有人编号超出范围"
    TEXT_IS_WRONG = "TEXT_IS_WRONG", "A text is missing or too long", "文字缺失或过长"
    RANGES_ARE_WRONG = "RANGES_ARE_WRONG", "The serial ranges are wrong", "序列号区间有误"
    QUANTITY_IS_OUT_OF_RANGE = "QUANTITY_IS_OUT_OF_RANGE", "The quantity is out of range", "数量超出范围"
    PERIOD_IS_WRONG = "PERIOD_IS_WRONG", "The monitoring period is wrong", "监测期有误"
    PERIOD_IS_ISSUED = "PERIOD_IS_ISSUED", "Units were issued for these days of the project", "该项目的这段监测期已签发"
    SERIALS_ARE_USED_UP = "SERIALS_ARE_USED_UP", "There are not enough serial numbers left", "剩余序列号不足"
    REGISTRY_IS_LINKED = "REGISTRY_IS_LINKED", "The registry is linked", "登记机构已互联"
    REGISTRY_IS_NOT_LINKED = "REGISTRY_IS_NOT_LINKED", "The registry is not linked", "登记机构未互联"
    EXPORT_WAS_TAKEN_IN = "EXPORT_WAS_TAKEN_IN", "This export was taken in before", "该笔转出已被接收"
    SERIAL_NOT_FOUND = "SERIAL_NOT_FOUND", "There is no such serial number here", "找不到该序列号"
    SERIAL_IS_RETIRED = "SERIAL_IS_RETIRED", "A unit is retired", "单位已注销（使用）"
    SERIAL_IS_CANCELLED = "SERIAL_IS_CANCELLED", "A unit is cancelled", "单位已取消"
    SERIAL_IS_EXPORTED = "SERIAL_IS_EXPORTED", "A unit went to another registry", "单位已转出至其他登记机构"
    SERIAL_IS_HELD = "SERIAL_IS_HELD", "A unit that is to come in is held here", "拟转入的单位已在此持有"
    SERIAL_HAS_OTHER_HOLDER = "SERIAL_HAS_OTHER_HOLDER", "A unit is held by another owner", "单位由其他人持有"


class Issue(msgspec.Struct, frozen=True):
    """The administrator issues units for verified reductions of a project in a monitoring period.

    vintage : year of the reductions, one that the period touches
    first_day, last_day : days since 1970-01-01, both included; no day of a project is issued for twice
    quantity : units of one tonne of CO2 equivalent; they have the next serial numbers of this registry
    """

    id: int
    by: int
    project: str
    vintage: int
    first_day: int
    last_day: int
    quantity: int
    to: int


class Assign(msgspec.Struct, frozen=True):
    """A holder transfers units to another owner. Part of a block splits it."""

    id: int
    by: int
    ranges: tuple[Range, ...]
    to: int


class Retire(msgspec.Struct, frozen=True):
    """A holder uses units, for good: on whose behalf, and for what claim."""

    id: int
    by: int
    ranges: tuple[Range, ...]
    beneficiary: str
    purpose: str


class CancelUnits(msgspec.Struct, frozen=True):
    """A holder, or the administrator, takes units out without use, for good."""

    id: int
    by: int
    ranges: tuple[Range, ...]
    reason: str


class Link(msgspec.Struct, frozen=True):
    """The administrator links another registry, by its code, or ends the link. What is there then stays there."""

    id: int
    by: int
    registry: str
    linked: bool = True


class Export(msgspec.Struct, frozen=True):
    """A holder sends units to an owner at a linked registry."""

    id: int
    by: int
    ranges: tuple[Range, ...]
    registry: str
    to: int


class Import(msgspec.Struct, frozen=True):
    """The administrator takes in what a linked registry has sent: its own units, or ours that went there.

    export : id of the Export there; each is taken in once, so a message that is delivered twice counts once
    project, vintage : of units that were never here
    """

    id: int
    by: int
    ranges: tuple[Range, ...]
    registry: str
    export: int
    to: int
    project: str
    vintage: int
