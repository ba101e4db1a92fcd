"""Conformance kit: does a port keep the laws of `quanheng.outbox.ports`? For users who write one, for SMS or push.

from quanheng.testing.port_kit import check_port
assert asyncio.run(check_port(make, receive, refuse)) == []
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from quanheng.loading.declared_calls import REASONS
from quanheng.outbox.ports import Parcel, Port, TryFailed

TIME_S = 1_768_471_200
TOGETHER = 5


def parcel_of(number: int, body: Mapping[str, object], timeout_s: float = 10.0) -> Parcel:
    """A message as the sender gives it to a port."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return Parcel(f"{number:032x}", "kit.message", text.encode(), TIME_S, timeout_s)


async def check_port(
    make: Callable[[], Port],
    body: Mapping[str, object],
    receive: Callable[[], list[str]],
    refuse: Callable[[str], None],
) -> list[str]:
    """Broken laws, one sentence each; empty if the port conforms.

    Parameters
    ----------
    make : gives a port to a receiver of the test's, each time the same
    body : the JSON body of a message that the channel can carry
    receive : ids of the messages that the receiver has got so far, in order; a repeat is there again
    refuse : what the receiver does from now on: "" takes everything, "now" cannot take it now, "never" will not take
        it, "silent" does not answer within two seconds
    """
    port = make()
    if not isinstance(port, Port):
        return ["it lacks a method of the protocol Port"]
    broken: list[str] = []
    refuse("")
    try:
        broken += await _takes(port, body, receive)
        for how, final in (("now", False), ("never", True)):
            refuse(how)
            error = await _try(port, parcel_of(90, body))
            broken += _failed(how, error, final)
        refuse("silent")
        error = await _try(port, parcel_of(91, body, timeout_s=0.5), wait_s=0.5)
        if not isinstance(error, TryFailed | TimeoutError):
            broken.append("a receiver that does not answer in time was said to have taken the message")
        elif isinstance(error, TryFailed) and error.final:
            broken.append("a receiver that does not answer in time was said to refuse for good")
        refuse("")
        if await _try(port, parcel_of(92, body)) is not None:
            broken.append("after a try that failed the port does not send any more")
    finally:
        refuse("")
        await port.close()
        await port.close()
    return broken


async def _takes(port: Port, body: Mapping[str, object], receive: Callable[[], list[str]]) -> list[str]:
    parcels = [parcel_of(number, body) for number in range(1, TOGETHER + 1)]
    before = len(receive())
    answers = await asyncio.gather(*(_try(port, one) for one in parcels))
    broken = [f"a message was not taken: {error}" for error in answers if error is not None]
    got = receive()[before:]
    if sorted(got) != sorted(one.id for one in parcels):
        broken.append(f"of messages sent side by side arrived {len(got)}, with other ids than they were sent with")
    again = await _try(port, parcels[0])
    if again is not None or receive()[-1:] != [parcels[0].id]:
        broken.append("a message that is sent again does not arrive under the same id")
    return broken


async def _try(port: Port, parcel: Parcel, wait_s: float = 20.0) -> Exception | None:
    """Why a try failed; None = it did not."""
    try:
        answer = await asyncio.wait_for(port.send(parcel), wait_s)
    # The declared boundary: a port that is tested may do anything.
    except Exception as error:
        return error
    return None if isinstance(answer, bytes) else TypeError("the answer is not bytes")


def _failed(how: str, error: Exception | None, final: bool) -> list[str]:
    if not isinstance(error, TryFailed):
        return [f"a receiver that refuses ({how}) must be told as TryFailed, was {type(error).__name__}"]
    broken = []
    if error.reason not in REASONS:
        broken.append(f"the reason {error.reason!r} is not one of {', '.join(REASONS)}")
    if error.final != final:
        broken.append(f"a receiver that refuses ({how}) was told as {'final' if error.final else 'not final'}")
    return broken
