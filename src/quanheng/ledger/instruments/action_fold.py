"""What instruments of actions share: an action that was applied is remembered, so a repeat asks for the same again.

Refusals are closed lists: each code has its titles, and their order is the precedence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from quanheng.kernel.codec import canonical_json
from quanheng.ledger.entries import ALL, AMOUNT_MAX, ID_MAX, TIME_MAX_MS
from quanheng.ledger.instruments.instrument import Refusal, Step

CODE_MAX = 65_535


class RefusalCode(StrEnum):
    """Base of the closed lists: `NAME = "NAME", "title in English", "title in Chinese"`."""

    en: str
    zh: str

    def __new__(cls, code: str, en: str, zh: str) -> RefusalCode:
        one = str.__new__(cls, code)
        one._value_, one.en, one.zh = code, en, zh
        return one


class Party(msgspec.Struct, frozen=True):
    """Who acts, and the ledger account that the actor's value comes from or goes to.

    owner : pseudonym of 128 bits, as `Account.owner`. That the account is the owner's is for the rights of the caller
        to say: an instrument does not read the ledger.
    """

    owner: int
    account: int


Check = tuple[bool, Callable[[], Refusal]]


class ActionFold:
    """A deterministic fold of the actions that were applied, with what each of them asked of the ledger.

    A subclass gives `_refusal` (the first reason that applies, or None), `_step` and `_fold`; none of the first two
    changes anything. `done` keeps every applied action with its step, so memory grows with the actions.
    """

    ID_RANGE: RefusalCode
    ID_USED: RefusalCode

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, Step]] = {}

    def decide(self, action: Any, now_ms: int) -> Step | Refusal:
        """What the action asks of the ledger; changes nothing. A repeat asks for what it asked before."""
        if not is_id(action.id):
            return Refusal(self.ID_RANGE, "id", str(action.id), "1 .. 2**128 - 2")
        if (known := self.done.get(action.id)) is not None:
            was, step = known
            if plain(was) == plain(action):
                return step
            return Refusal(self.ID_USED, "id", named_differences(was, action), "the content of the first request")
        return self._refusal(action, now_ms) or self._step(action, now_ms)

    def apply(self, action: Any, now_ms: int) -> None:
        """Fold an action whose transfers were applied; a repeat changes nothing."""
        if action.id not in self.done:
            step = self._step(action, now_ms)
            self._fold(action, now_ms)
            self.done[action.id] = action, step

    def state(self) -> Mapping[str, Any]:
        """All that was folded, in a canonical form of texts, lists and mappings."""
        held = {name: plain(value) for name, value in sorted(vars(self).items()) if name in self._kept()}
        return {"done": plain({id: action for id, (action, _) in self.done.items()}), **held}

    def digest(self) -> str:
        """BLAKE2b-128 of the state: equal folds have equal digests."""
        return hashlib.blake2b(canonical_json(self.state()), digest_size=16).hexdigest()

    def _kept(self) -> Sequence[str]:
        """Names of what the subclass folds."""
        raise NotImplementedError

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        raise NotImplementedError

    def _step(self, action: Any, now_ms: int) -> Step:
        raise NotImplementedError

    def _fold(self, action: Any, now_ms: int) -> None:
        raise NotImplementedError


def first_refusal(checks: Iterable[tuple[bool, RefusalCode, str, object, str]]) -> Refusal | None:
    """The first of (applies, code, where, found, allowed) that applies."""
    for applies, code, where, found, allowed in checks:
        if applies:
            return Refusal(code, where, str(found), allowed)
    return None


def is_id(value: object) -> bool:
    """Whether a value can be an id of the ledger."""
    return type(value) is int and 0 < value < ID_MAX


def is_amount(value: object, or_all: bool = False) -> bool:
    """Whether a value is an amount in minor units, or ALL where that is allowed."""
    return type(value) is int and (0 < value <= AMOUNT_MAX or (or_all and value == ALL))


def is_code(value: object) -> bool:
    """Whether a value can say why value moves."""
    return type(value) is int and 0 < value <= CODE_MAX


def is_timeout(value: object, now_ms: int) -> bool:
    """Whether a hold can end so many ms from now; 0 is no time-out."""
    return type(value) is int and 0 < value <= TIME_MAX_MS - now_ms


def named_differences(was: msgspec.Struct, now: msgspec.Struct) -> str:
    """What differs between two contents of one id."""
    if type(was) is not type(now):
        return f"{type(now).__name__}, before {type(was).__name__}"
    names = [name for name in was.__struct_fields__ if plain(getattr(was, name)) != plain(getattr(now, name))]
    return "other " + ", ".join(names)


def number_text(value: int | Decimal) -> str:
    """A finite number in one way only: its digits without zeros at the end, and its exponent, as 25e-1; zero is 0e0."""
    sign, digits, exponent = Decimal(value).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    return f"{'-' if sign else ''}{kept}e{int(exponent) + len(text) - len(kept)}" if kept else "0e0"


def plain(value: Any) -> Any:
    """A value as texts, lists and mappings in a canonical order. Forms are equal where types and values are."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return format(int(value), "d")
    if isinstance(value, str):
        return f"'{value}"
    if isinstance(value, bytes):
        return f"x{value.hex()}"
    if isinstance(value, Decimal):
        return f"d{number_text(value)}"
    if isinstance(value, msgspec.Struct):
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"": type(value).__name__, **fields}
    if is_dataclass(value):  # A calendar.
        named = {one.name: plain(getattr(value, one.name)) for one in dataclass_fields(value)}
        return {"": type(value).__name__, **named}
    if isinstance(value, date):
        return f"t{value.isoformat()}"
    if isinstance(value, Mapping):
        return sorted([plain(key), plain(one)] for key, one in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    return [plain(one) for one in value]
