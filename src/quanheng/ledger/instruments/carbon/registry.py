"""A carbon registry: every unit has a serial number, and every serial number is in one place.

A unit stands for one tonne of CO2 equivalent. Its quantity is value in ledger accounts that the registry opens: one for
each holder, one for what is retired, one for what is cancelled, one for each linked registry. Which serial numbers are
in which account is the registry's own state; by law an account's balance is the count of its serial numbers. Nothing
leaves the accounts of retired and cancelled units: they are opened with debits frozen, so the ledger refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, BATCH_MAX, Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import ActionFold, RefusalCode, first_refusal, is_id
from quanheng.ledger.instruments.carbon.actions import (
    RANGES_MAX,
    TEXT_MAX,
    Assign,
    CancelUnits,
    CarbonRefusal,
    Export,
    Import,
    Issue,
    Link,
    Retire,
)
from quanheng.ledger.instruments.carbon.serials import (
    SERIAL_MAX,
    Block,
    Place,
    Range,
    SerialMap,
    Status,
    merged,
    ranges_are_wrong,
)
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of

part_id = parts_of("carbon")

R = CarbonRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]
_GONE = {
    Status.RETIRED: R.SERIAL_IS_RETIRED,
    Status.CANCELLED: R.SERIAL_IS_CANCELLED,
    Status.EXPORTED: R.SERIAL_IS_EXPORTED,
}
_DAY_ZERO, _DAY_MAX = date(1970, 1, 1), (date.max - date(1970, 1, 1)).days
_BOUND, _FOR_GOOD = int(AccountFlag.DEBITS_BOUND), int(AccountFlag.DEBITS_BOUND | AccountFlag.DEBITS_FROZEN)


class Issuance(msgspec.Struct, frozen=True):
    """What a block stands for. Units of another registry have no days here, but the registry they first came from."""

    project: str
    vintage: int
    first_day: int = 0
    last_day: int = 0
    imported_from: str = ""


class Certificate(msgspec.Struct, frozen=True):
    """A retirement, as it is shown to others."""

    owner: int
    ranges: tuple[Range, ...]
    beneficiary: str
    purpose: str
    at_ms: int

    @property
    def quantity(self) -> int:
        """How many tonnes of CO2 equivalent."""
        return sum(one.quantity for one in self.ranges)


class CarbonRegistry(ActionFold):
    """A fold of Issue, Assign, Retire, CancelUnits, Link, Export and Import.

    registry : its code, the origin of the serial numbers it issues
    administrator : owner that issues, links and takes in
    asset, code : of the ledger accounts that it opens; code also says why value moves
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, registry: str, administrator: int, asset: int, code: int) -> None:
        super().__init__()
        self.registry, self.administrator, self.asset, self.code = registry, administrator, asset, code
        self.serials: dict[str, SerialMap] = {}
        self.issuances: dict[int, Issuance] = {}
        self.certificates: dict[int, Certificate] = {}
        self.exports: dict[int, str] = {}
        self.taken_in: set[tuple[str, int]] = set()
        self.linked: set[str] = set()
        self.serial_next = 1

    def blocks(self, origin: str, first: int = 1, last: int = SERIAL_MAX) -> list[Block]:
        """Where the serial numbers of a range are; those that are unknown here have no block."""
        return self.serials[origin].pieces(first, last) if origin in self.serials else []

    def holdings(self, owner: int) -> list[Range]:
        """Serial numbers that an owner holds, joined where they are consecutive. O(blocks)."""
        found: list[Range] = []
        for origin in sorted(self.serials):
            for one in self.serials[origin]:
                if one.place != Place(Status.HELD, owner):
                    continue
                if found and found[-1].origin == origin and found[-1].last + 1 == one.first:
                    found[-1] = replace(found[-1], last=one.last)
                else:
                    found.append(Range(origin, one.first, one.last))
        return found

    def account_of(self, name: int | str) -> int:
        """Id of the ledger account of an owner, of "issued", "retired" or "cancelled", or of "linked CODE"."""
        return part_id(self.administrator, f"{self.registry} {self.asset} {name}")

    def _kept(self) -> Sequence[str]:
        return (
            "registry", "administrator", "asset", "code", "serials", "issuances", "certificates", "exports", "taken_in",
            "linked", "serial_next",
        )  # fmt: skip

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        return first_refusal(self._wrong(action))

    def _wrong(self, one: Any) -> Checks:
        only = isinstance(one, (Issue, Link, Import)) and one.by != self.administrator
        yield only, R.ACTOR_MAY_NOT, "by", one.by, "the administrator"
        yield not is_id(getattr(one, "to", 1)), R.OWNER_IS_OUT_OF_RANGE, "to", getattr(one, "to", 1), "1 .. 2**128 - 2"
        for name in ("project", "beneficiary", "purpose", "reason", "registry"):
            length = len(getattr(one, name, "-").strip())
            yield not 0 < length <= TEXT_MAX, R.TEXT_IS_WRONG, name, f"{length} characters", f"1 .. {TEXT_MAX}"
        if isinstance(one, Issue):
            yield from self._wrong_in_issue(one)
            return
        if isinstance(one, Link):
            done = one.linked == (one.registry in self.linked) or one.registry == self.registry
            reason = R.REGISTRY_IS_LINKED if one.linked else R.REGISTRY_IS_NOT_LINKED
            yield done, reason, "registry", one.registry, "a change"
            return
        allowed = f"1 .. {RANGES_MAX} ranges of 1 .. {SERIAL_MAX} that do not overlap"
        yield ranges_are_wrong(one.ranges, RANGES_MAX), R.RANGES_ARE_WRONG, "ranges", len(one.ranges), allowed
        pieces = sum(len(self.blocks(part.origin, part.first, part.last)) for part in one.ranges)
        yield pieces > BATCH_MAX, R.RANGES_ARE_WRONG, "ranges", f"{pieces} blocks", f"at most {BATCH_MAX} blocks"
        whole = sum(part.quantity for part in one.ranges)
        yield whole > AMOUNT_MAX, R.QUANTITY_IS_OUT_OF_RANGE, "ranges", whole, f"1 .. {AMOUNT_MAX}"
        if isinstance(one, (Export, Import)):
            linked = one.registry in self.linked
            yield not linked, R.REGISTRY_IS_NOT_LINKED, "registry", one.registry, str(sorted(self.linked))
        if isinstance(one, Import):
            again = (one.registry, one.export) in self.taken_in
            yield again, R.EXPORT_WAS_TAKEN_IN, "export", one.export, "an export that was not taken in"
        yield from self._wrong_in_import(one) if isinstance(one, Import) else self._wrong_in_ranges(one)

    def _wrong_in_issue(self, one: Issue) -> Checks:
        quantity = type(one.quantity) is int and 0 < one.quantity <= AMOUNT_MAX
        yield not quantity, R.QUANTITY_IS_OUT_OF_RANGE, "quantity", one.quantity, f"1 .. {AMOUNT_MAX}"
        days = f"{one.first_day} .. {one.last_day}"
        in_order = 0 <= one.first_day <= one.last_day <= _DAY_MAX
        right = in_order and _year(one.first_day) <= one.vintage <= _year(one.last_day)
        yield not right, R.PERIOD_IS_WRONG, "first_day", days, f"first day, last day, with one in {one.vintage}"
        for was in self.issuances.values():
            apart = was.project != one.project or was.last_day < one.first_day or one.last_day < was.first_day
            yield (
                not (apart or was.imported_from),
                R.PERIOD_IS_ISSUED,
                "first_day",
                days,
                "days that were not issued for",
            )
        left = SERIAL_MAX - self.serial_next + 1
        yield one.quantity > left, R.SERIALS_ARE_USED_UP, "quantity", one.quantity, f"at most {left}"

    def _wrong_in_ranges(self, one: Any) -> Checks:
        pieces = []
        for part in one.ranges:
            found = self.blocks(part.origin, part.first, part.last)
            known = sum(piece.quantity for piece in found)
            yield known < part.quantity, R.SERIAL_NOT_FOUND, "ranges", part, f"serial numbers here, as {known} of them"
            pieces += found
        for status, reason in _GONE.items():
            gone = [f"{piece.first}-{piece.last}" for piece in pieces if piece.place.status == status]
            yield bool(gone), reason, "ranges", ", ".join(gone[:1]), "units that are held"
        free = isinstance(one, CancelUnits) and one.by == self.administrator
        others = [f"{piece.first}-{piece.last}" for piece in pieces if piece.place.of != one.by and not free]
        yield bool(others), R.SERIAL_HAS_OTHER_HOLDER, "ranges", ", ".join(others[:1]), "units of the actor's own"

    def _wrong_in_import(self, one: Import) -> Checks:
        pieces = []
        for part in one.ranges:
            found = self.blocks(part.origin, part.first, part.last)
            absent = part.origin == self.registry and sum(piece.quantity for piece in found) < part.quantity
            yield absent, R.SERIAL_NOT_FOUND, "ranges", part, "serial numbers that were issued here"
            pieces += found
        for status, reason in {**_GONE, Status.HELD: R.SERIAL_IS_HELD}.items():
            here = [
                f"{piece.first}-{piece.last}"
                for piece in pieces
                if piece.place.status == status and self.exports.get(piece.place.of) != one.registry
            ]
            yield bool(here), reason, "ranges", ", ".join(here[:1]), f"units that went to {one.registry}"

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, Link):
            return Step()
        moves = self._moves(action)
        names = {name for _, source, target in moves for name in (source, target)}
        transfers = [
            Transfer(
                part_id(action.id, f"{self.registry} {self.asset} {place}"), self.account_of(source),
                self.account_of(target), part.quantity, self.code,
                user_data=part.first << 64 | part.last,
            )
            for place, (part, source, target) in enumerate(moves)
            if source != target
        ]  # fmt: skip
        return Step(transfers, [self._account(name) for name in sorted(names, key=str)])

    def _moves(self, action: Any) -> list[tuple[Range, int | str, int | str]]:
        """(serial numbers, account they leave, account they enter) of an action that is not refused."""
        if isinstance(action, Issue):
            issued = Range(self.registry, self.serial_next, self.serial_next + action.quantity - 1)
            return [(issued, "issued", action.to)]
        if isinstance(action, Import):
            return [(part, f"linked {action.registry}", action.to) for part in action.ranges]
        fixed: Mapping[type, str] = {Retire: "retired", CancelUnits: "cancelled"}
        target: int | str = fixed.get(type(action), "")
        target = target or (f"linked {action.registry}" if isinstance(action, Export) else action.to)
        return [
            (Range(part.origin, one.first, one.last), one.place.of, target)
            for part in action.ranges
            for one in merged([replace(piece, issuance=0) for piece in self.blocks(part.origin, part.first, part.last)])
        ]

    def _account(self, name: int | str) -> Account:
        free = isinstance(name, str) and (name == "issued" or name.startswith("linked "))
        flags = 0 if free else _FOR_GOOD if isinstance(name, str) else _BOUND
        owner = self.administrator if isinstance(name, str) else name
        return Account(self.account_of(name), self.asset, self.code, flags, owner)

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Link):
            self.linked = self.linked | {action.registry} if action.linked else self.linked - {action.registry}
            return
        self._note(action, now_ms)
        place = _place_after(action)
        if isinstance(action, Issue):
            first, last = self.serial_next, self.serial_next + action.quantity - 1
            self.serial_next = last + 1
            self._map(self.registry).put([Block(first, last, action.id, place)])
            return
        for part in action.ranges:
            known = self.blocks(part.origin, part.first, part.last)
            if isinstance(action, Import):
                self._map(part.origin).put([Block(part.first, part.last, action.id, place)])
            self._map(part.origin).put([replace(one, place=place) for one in known])

    def _note(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Issue):
            of = Issuance(action.project, action.vintage, action.first_day, action.last_day)
            self.issuances[action.id] = of
        elif isinstance(action, Import):
            self.issuances[action.id] = Issuance(action.project, action.vintage, imported_from=action.registry)
            self.taken_in = self.taken_in | {(action.registry, action.export)}
        elif isinstance(action, Export):
            self.exports[action.id] = action.registry
        elif isinstance(action, Retire):
            self.certificates[action.id] = Certificate(
                action.by, action.ranges, action.beneficiary, action.purpose, now_ms
            )

    def _map(self, origin: str) -> SerialMap:
        return self.serials.setdefault(origin, SerialMap())


def _year(day: int) -> int:
    return (_DAY_ZERO + timedelta(days=day)).year


def _place_after(action: Any) -> Place:
    statuses: Mapping[type, Status] = {
        Retire: Status.RETIRED, CancelUnits: Status.CANCELLED, Export: Status.EXPORTED,
    }  # fmt: skip
    status = statuses.get(type(action), Status.HELD)
    return Place(status, action.to if isinstance(action, (Issue, Assign, Import)) else action.id)
