"""Counts and histograms of one process, and the Prometheus text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
EVENTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Counts per bucket (upper bounds inclusive), with sum and count.

    Parameters
    ----------
    bounds : rising upper bounds; one bucket above the last is added
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count `value`, `times` times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def quantile(self, share: float) -> float:
        """Upper bound of the bucket that holds the quantile `share` (0..1); 0 if nothing was counted."""
        count = sum(self.counts)
        wanted, seen = share * count, 0
        for bound, number in zip((*self.bounds, self.bounds[-1]), self.counts, strict=True):
            seen += number
            if count and seen >= wanted:
                return bound
        return 0.0


class Metrics:
    """Counters, gauges and histograms by name and labels."""

    def __init__(self) -> None:
        self.counters: Counter[tuple[str, Labels]] = Counter()
        self.gauges: dict[tuple[str, Labels], float] = {}
        self.histograms: dict[str, Histogram] = {}
        self.help: dict[str, str] = {}

    def histogram(self, name: str, bounds: Iterable[float], about: str) -> Histogram:
        """A new histogram of that name."""
        self.help[name] = about
        self.histograms[name] = Histogram(bounds)
        return self.histograms[name]

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Raise a counter."""
        self.counters[name, tuple(sorted(labels.items()))] += value

    def text(self) -> str:
        """All of it in the Prometheus text format, version 0.0.4."""
        lines: list[str] = []
        for kind, values in (("counter", self.counters), ("gauge", self.gauges)):
            last = ""
            for (name, labels), value in sorted(values.items()):
                if name != last:
                    # Edges and readers of streams count for themselves; here their counts arrive as they stand.
                    lines += self._head(name, "counter" if name.endswith("_total") else kind)
                    last = name
                lines.append(f"{name}{_labels(labels)} {_number(value)}")
        for name, histogram in sorted(self.histograms.items()):
            lines += self._head(name, "histogram")
            seen = 0
            for bound, number in zip((*map(_number, histogram.bounds), "+Inf"), histogram.counts, strict=True):
                seen += number
                lines.append(f'{name}_bucket{{le="{bound}"}} {seen}')
            lines += [f"{name}_sum {_number(histogram.total)}", f"{name}_count {seen}"]
        return "\n".join(lines) + "\n"

    def _head(self, name: str, kind: str) -> list[str]:
        about = self.help.get(name)
        return ([f"# HELP {name} {about}"] if about else []) + [f"# TYPE {name} {kind}"]


def flatten(prefix: str, values: Mapping[str, object]) -> dict[tuple[str, Labels], float]:
    """Numbers of a mapping as gauges: {"late": {"a": 1}} gives prefix_late{key="a"} 1; anything else is left out."""
    gauges: dict[tuple[str, Labels], float] = {}
    for key, value in values.items():
        name = f"{prefix}_{_word(key)}"
        if isinstance(value, bool | int | float):
            gauges[name, ()] = float(value)
        elif isinstance(value, Mapping):
            for inner, number in value.items():
                if isinstance(number, bool | int | float):
                    gauges[name, (("key", str(inner)),)] = float(number)
    return gauges


def counted_as(key: str) -> tuple[str, Labels]:
    """Name and labels of what another process counted: "name|reason", or "name|label=value,label=value"."""
    name, _, rest = key.partition("|")
    if "=" not in rest:
        return name, (("reason", rest),)
    pairs = (pair.partition("=") for pair in rest.split(","))
    return name, tuple(sorted((label, value) for label, _, value in pairs))


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    parts = (f'{key}="{_escape(value)}"' for key, value in labels)
    return "{" + ",".join(parts) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _word(text: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in text)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
