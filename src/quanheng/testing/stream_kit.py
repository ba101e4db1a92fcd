"""Conformance kit: does an adapter of a broker keep the laws of `quanheng.events.stream`? For users who write one.

from quanheng.testing.stream_kit import check_stream
assert asyncio.run(check_stream(make, publish)) == []
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from quanheng.events.stream import Message, Stream

Publish = Callable[[Sequence[tuple[bytes, Mapping[str, str]]]], Awaitable[None]]
COUNT = 23
WAIT_S = 0.5


async def check_stream(make: Callable[[], Stream], publish: Publish, patience_s: float = 20.0) -> list[str]:
    """Broken laws, one sentence each; empty if the stream conforms.

    Parameters
    ----------
    make : gives a stream that is not open, each time of the same group and the same, at first empty, source
    publish : stores messages (data, headers) in the source, in order; on return the broker has them
    patience_s : how long messages that are there may take to come
    """
    stream = make()
    if not isinstance(stream, Stream):
        return ["it lacks a method of the protocol Stream"]
    sent: list[tuple[bytes, Mapping[str, str]]] = [
        (f'{{"n":{number}}}\n'.encode() + bytes([number]), {"Sent-As": f"m{number}"}) for number in range(COUNT)
    ]
    await stream.open()
    try:
        broken = [] if await stream.fetch(5, WAIT_S) == [] else ["an empty source gives messages"]
        await publish(sent)
        first = await _all(stream, COUNT, patience_s)
        broken += _content(first, sent)
        if broken:
            return broken
        broken += await _lag(stream, COUNT, "before anything is acknowledged")
        await stream.nak(first)
        again = await _all(stream, COUNT, patience_s)
        broken += _again(first, again, "after nak")
        await stream.hold(again)
        await stream.ack(again[: COUNT // 2])
        rest = again[COUNT // 2 :]
        broken += await _lag(stream, len(rest), "after half is acknowledged")
    finally:
        await stream.close()
        await stream.close()
    return broken + await _reopened(make, rest, patience_s)


async def _reopened(make: Callable[[], Stream], rest: list[Message], patience_s: float) -> list[str]:
    """What was not acknowledged comes again, first to last; what was does not."""
    stream = make()
    await stream.open()
    try:
        again = await _all(stream, len(rest), patience_s)
        broken = _again(rest, again, "after it was closed and opened")
        await stream.ack(again)
        broken += await _lag(stream, 0, "after all is acknowledged")
    finally:
        await stream.close()
    last = make()
    await last.open()
    try:
        if await last.fetch(COUNT, 2 * WAIT_S):
            broken.append("messages come again that were acknowledged")
    finally:
        await last.close()
    return broken


async def _all(stream: Stream, count: int, patience_s: float) -> list[Message]:
    """Messages until there are `count`, a few at a time."""
    loop, found = asyncio.get_running_loop(), list[Message]()
    until_s = loop.time() + patience_s
    while len(found) < count and loop.time() < until_s:
        found += await stream.fetch(min(7, count - len(found)), WAIT_S)
    return found


def _content(found: list[Message], sent: Sequence[tuple[bytes, Mapping[str, str]]]) -> list[str]:
    broken = []
    if sorted(one.data for one in found) != sorted(data for data, _ in sent):
        return [f"{len(found)} of {len(sent)} messages came, or their bytes were changed"]
    order = {data: number for number, (data, _) in enumerate(sent)}
    for one in found:
        if dict(sent[order[one.data]][1]).items() - dict(one.headers).items():
            broken.append(f"the message at {one.partition}/{one.offset} lost a header")
    for partition in {one.partition for one in found}:
        part = [one for one in found if one.partition == partition]
        if [one.offset for one in part] != sorted({one.offset for one in part}):
            broken.append(f"offsets of partition {partition} do not rise")
        if [order[one.data] for one in part] != sorted(order[one.data] for one in part):
            broken.append(f"partition {partition} is not in the order in which it was published")
    return broken


def _again(before: list[Message], found: list[Message], when: str) -> list[str]:
    """The same messages, in the same order per partition."""
    for partition in {one.partition for one in before} | {one.partition for one in found}:
        old, new = ([one.offset for one in some if one.partition == partition] for some in (before, found))
        if old != new:
            return [f"{when} partition {partition} gave the offsets {new}, allowed: {old}"]
    return []


async def _lag(stream: Stream, pending: int, when: str) -> list[str]:
    found = sum(row.pending for row in await stream.lag())
    return [] if found == pending else [f"the lag {when} was {found}, allowed: {pending}"]
