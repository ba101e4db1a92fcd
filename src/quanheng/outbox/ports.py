"""Ports: what carries a message out. HTTP, webhooks and mail are ours; others come by entry point.

A port tries once. What is tried again, when, and what becomes of a message is the sender's to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import NamedTuple, Protocol, runtime_checkable

from quanheng.kernel.errors import ConfigurationError, QuanhengError
from quanheng.outbox.addresses import AddressSettings, secrets_of

PORTS = "quanheng.outbox_ports"
"""Entry point group: a name to a callable that takes (name of the address, `AddressSettings`, environment) and gives a
`Port`."""
OURS = {
    "http": "quanheng.outbox.http_port:HttpPort",
    "webhook": "quanheng.outbox.http_port:HttpPort",
    "smtp": "quanheng.outbox.smtp_port:SmtpPort",
}
ANSWER_BYTES_MAX = 64 * 1024
"""A longer answer is not read to its end."""


class Parcel(NamedTuple):
    """What a port is given.

    id : of the message, 32 hexadecimal digits, the same in every try
    name : of the call or notice, "pack.call"
    body : JSON object
    time_s : of the try, seconds since 1970
    timeout_s : how long the try may take; the sender ends it then
    """

    id: str
    name: str
    body: bytes
    time_s: int
    timeout_s: float


class TryFailed(QuanhengError):
    """A try failed.

    reason : one of `declared_calls.REASONS`
    final : no other try will do better
    pause_ms : how long the other side asks to be left alone
    """

    def __init__(self, what: str, reason: str, *, final: bool = False, pause_ms: int = 0, found: str = "") -> None:
        super().__init__(what, found=found)
        self.reason, self.final, self.pause_ms = reason, final, pause_ms


@runtime_checkable
class Port(Protocol):
    """Carries messages to one address. Used by one loop, by several tries at once."""

    async def send(self, parcel: Parcel) -> bytes:
        """Try once. On return the other side has taken the message: its answer, nothing where it gives none.

        Raises
        ------
        TryFailed : it has not, or nobody knows
        """

    async def close(self) -> None:
        """Give connections back; may be called twice."""


PortMaker = Callable[[str, AddressSettings, Mapping[str, str]], Port]


def make_port(name: str, settings: AddressSettings, environment: Mapping[str, str] = os.environ) -> Port:
    """The port of one address.

    Raises
    ------
    ConfigurationError : an environment variable is not set, or no such adapter is installed
    MissingExtra : the package of the channel is not installed
    """
    ours = OURS.get(settings.channel)
    if ours is not None:
        from importlib import import_module

        module, _, attribute = ours.partition(":")
        maker: PortMaker = getattr(import_module(module), attribute)
        return maker(name, settings, environment)
    found = {point.name: point for point in entry_points(group=PORTS)}
    if settings.adapter not in found:
        raise ConfigurationError(
            "no installed package brings this adapter",
            where=f"outbox.addresses.{name}.adapter",
            found=settings.adapter,
            allowed=", ".join(sorted(found)) or "none is installed",
            cure=f"Install one: a package with an entry point of the group {PORTS}.",
        )
    made: Port = found[settings.adapter].load()(name, settings, environment)
    return made


def options_of(name: str, settings: AddressSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """Options of an adapter, with those whose values are in the environment.

    Raises
    ------
    ConfigurationError : an environment variable is not set
    """
    hidden = {key: secrets_of(name, variable, environment)[0].decode() for key, variable in settings.option_env.items()}
    return {**settings.options, **hidden}
