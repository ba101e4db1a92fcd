"""Keys that a body says twice. Readers of JSON differ in which of the two they take, so a body that has any is refused.

Decoding keeps one of the two. That there were more is seen by counting: outside of texts a colon stands only behind a
key, so where a body has as many colons as its objects have keys, no key is there twice. Only a body with more (a colon
in a text, or a key too many) is read again, slowly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.server import wire
from quanheng.server.answers import error_body
from quanheng.server.intake import Refused


def check_keys(body: bytes, where: str) -> None:
    """No object of a body says a key twice. The body was decoded before: it is JSON, and not deep.

    Raises
    ------
    Refused : one does; the answer names the key and its place
    """
    colons, decoded = body.count(b":"), msgspec.json.decode(body)
    if colons == _keys_of_rows(decoded) or colons == _keys(decoded):
        return
    place = next(_twice(json.loads(body, object_pairs_hook=_Object), ""), None)
    if place is not None:
        error = InputError(
            "a key is said twice in one object, and which was meant cannot be known",
            where=f"{where}, {place}",
            found="two values",
            allowed="each key once",
            cure="Leave one of them out.",
        )
        raise Refused(wire.Answer(422, error_body(error)), "malformed")


class _Object(dict[str, Any]):
    """An object of JSON, and the first key that it said again."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.again = next((key for place, key in enumerate(keys) if key in keys[:place]), None)


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list):
        return sum(map(_keys, value))
    return 0


def _keys_of_rows(value: Any) -> int:
    """Keys of an array of objects, those of objects within them left out; -1 for anything else."""
    if not isinstance(value, list) or not all(type(one) is dict for one in value):
        return -1
    return sum(map(len, value))


def _twice(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, _Object):
        if value.again is not None:
            yield f"{place}.{value.again}".removeprefix(".")
        for key, one in value.items():
            yield from _twice(one, f"{place}.{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _twice(one, f"{place}[{number}]")
