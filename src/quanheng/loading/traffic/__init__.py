"""Simulated traffic with ground truth: people, places, attackers and faults from a declaration and a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quanheng.loading.traffic.declaration import TrafficDeclaration

if TYPE_CHECKING:
    from quanheng.loading.traffic.run import Traffic, TrafficEvent

__all__ = ["Traffic", "TrafficDeclaration", "TrafficEvent"]


def __getattr__(name: str) -> Any:
    # Every pack that is read knows the declaration; polars, which the traffic itself is drawn with, is for who runs it.
    if name not in ("Traffic", "TrafficEvent"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its names are: {', '.join(__all__)}")
    from quanheng.loading.traffic import run

    return getattr(run, name)
