"""Windows that are kept elsewhere than in this process: what `State` asks of them, and what stands in for them.

`FeatureState` keeps the windows of one process. Where entities are spread over machines, an object with these methods
takes its place; it is told where a group stands in the log, because what it keeps may be ahead of or behind a caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState


class Windows(Protocol):
    """Windows of every key, wherever they are. One caller at a time; the same bits as `FeatureState`."""

    def metrics(self) -> dict[str, int | dict[str, int]]:
        """Figures for a metrics page, as `FeatureState.metrics`."""
        ...

    def run_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray, read: bool = True
    ) -> np.ndarray:
        """`FeatureState.run` of the group that begins at the log's offset `first`."""
        ...

    def peek_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray
    ) -> np.ndarray:
        """`FeatureState.peek`, of a group that would begin there."""
        ...

    def follow(self, upto: int) -> None:
        """Fold the committed log up to the offset `upto`, where that is not done yet."""
        ...

    def digest(self) -> str:
        """What the windows mean, in hexadecimal."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...


MakeWindows = Callable[[Plan], "FeatureState | Windows"]
"""Windows for a plan, with nothing folded yet."""


class Unfolded:
    """Stands in for windows that recover by themselves, while everything else is folded from the log."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def run_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray, read: bool = True
    ) -> np.ndarray:
        """Nothing is folded and nothing known."""
        return np.empty((0, len(self.plan.columns)), np.int64)

    def peek_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray
    ) -> np.ndarray:
        """Nothing is known."""
        return self.run_at(first, types, times, keys, numbers)

    def metrics(self) -> dict[str, int | dict[str, int]]:
        """Nothing is folded."""
        return {"late_events": 0, "feature_keys": {}, "feature_memory_bytes": 0}

    def follow(self, upto: int) -> None:
        """Nothing is folded."""

    def digest(self) -> str:
        """Of nothing."""
        return ""

    def close(self) -> None:
        """There is nothing to let go of."""
