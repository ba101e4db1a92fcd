"""Simulated traffic with ground truth: people, places, attackers and faults from a declaration and a seed."""

from quanheng.loading.traffic.declaration import TrafficDeclaration
from quanheng.loading.traffic.run import Traffic, TrafficEvent

__all__ = ["Traffic", "TrafficDeclaration", "TrafficEvent"]
