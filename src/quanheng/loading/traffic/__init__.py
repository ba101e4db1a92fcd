"""Simulated traffic with ground truth: people, places, attackers and faults from a declaration and a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quanheng.loading.traffic.declaration import TrafficDeclaration

if TYPE_CHECKING:
    from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration
    from quanheng.loading.traffic.borrowing.run import BorrowingTraffic
    from quanheng.loading.traffic.run import Traffic, TrafficEvent

__all__ = ["Traffic", "TrafficDeclaration", "TrafficEvent", "traffic_of"]


def traffic_of(
    declared: TrafficDeclaration | BorrowingDeclaration, seed: int | None = None
) -> Traffic | BorrowingTraffic:
    """The simulation of a declaration, whatever its kind: `frame(n)` and `events(n)`.

    seed : any integer from 0; the declaration's own by default
    """
    if isinstance(declared, TrafficDeclaration):
        from quanheng.loading.traffic.run import Traffic

        return Traffic(declared, seed)
    from quanheng.loading.traffic.borrowing.run import BorrowingTraffic

    return BorrowingTraffic(declared, seed)


def __getattr__(name: str) -> Any:
    # Every pack that is read knows the declaration; polars, which the traffic itself is drawn with, is for who runs it.
    if name not in ("Traffic", "TrafficEvent"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its names are: {', '.join(__all__)}")
    from quanheng.loading.traffic import run

    return getattr(run, name)
