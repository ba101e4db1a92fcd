"""Simulated traffic of a pack, and what the decisions on it were worth, since the truth is known."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from quanheng.kernel.errors import NotFound
from quanheng.kernel.money import EXPONENTS

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

CHUNK = 2_000
CHUNKS_AHEAD = 10


class Sent(NamedTuple):
    """One simulated event, ready to send.

    id, type, data : what is sent; data as JSON bytes
    value_minor : amount at stake, minor units; 0 for events that are not decided
    fraud : part of an attack
    decided : its type is one that is decided
    fault : duplicate | late | malformed; None when it comes as it should
    """

    id: str
    type: str
    data: bytes
    value_minor: int
    fraud: bool
    decided: bool
    fault: str | None = None


class Simulation(NamedTuple):
    """A pack's traffic and what is needed to judge decisions on it.

    pack : its name
    outcomes : in rising severity; the first lets the payment pass
    declared : traffic.toml, checked
    """

    pack: str
    outcomes: tuple[str, ...]
    declared: Any

    @property
    def currency(self) -> str:
        """The one ISO 4217 currency of all simulated amounts, or nothing where the pack names none."""
        found = self.declared.event.constant.get("currency")
        return found if isinstance(found, str) and found in EXPONENTS else ""

    def events(self, count: int, seed: int | None = None) -> Iterator[Sent]:
        """The first `count` arrivals. Ids carry the seed, so that runs with other seeds are other requests."""
        from quanheng.loading.traffic import traffic_of

        traffic = traffic_of(self.declared, seed)
        roles, report = self.declared.event, self.declared.report
        prefix = f"s{traffic.seed}-"
        encode = msgspec.json.Encoder(decimal_format="number").encode
        for one in traffic.events(count):
            decided, data = one.type == roles.type, one.data
            if report is not None and report.payment and report.payment in data:
                data[report.payment] = f"{prefix}{data[report.payment]}"
            amount = data.get(roles.amount)
            value = amount if decided and isinstance(amount, int) and amount > 0 else 0
            yield Sent(prefix + one.id, one.type, encode(data), value, one.attack is not None, decided, one.fault)


def simulation_of(declared: Sequence[Declared], pack: str) -> Simulation:
    """The simulation that a pack declares.

    Raises
    ------
    NotFound : the pack declares no traffic
    """
    chosen = next(one for one in declared if one.name == pack)
    if chosen.traffic is None:
        having = [one.name for one in declared if one.traffic is not None]
        raise NotFound(
            "the pack declares no traffic",
            where=f"pack {pack}",
            allowed=", ".join(having) or "a pack with traffic.toml",
            cure="Add traffic.toml to the pack, or choose another pack.",
        )
    return Simulation(pack, chosen.outcomes, chosen.traffic)


class Ahead:
    """Makes events in a thread of its own, some chunks ahead, so that making them does not hold up sending them."""

    def __init__(self, events: Iterator[Sent]) -> None:
        self._events = events
        self._chunks: queue.Queue[list[Sent]] = queue.Queue(CHUNKS_AHEAD)
        self._stop = threading.Event()
        self.full = threading.Event()
        self._thread = threading.Thread(target=self._make, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Sent]:
        while chunk := self._chunks.get():
            yield from chunk

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._chunks.get(timeout=0.05)
            except queue.Empty:
                continue

    def _make(self) -> None:
        chunk: list[Sent] = []
        for one in self._events:
            chunk.append(one)
            if len(chunk) == CHUNK:
                self._put(chunk)
                chunk = []
            if self._stop.is_set():
                break
        if chunk:
            self._put(chunk)
        self._put([])
        self.full.set()

    def _put(self, chunk: list[Sent]) -> None:
        if self._chunks.full():
            self.full.set()
        while not self._stop.is_set():
            try:
                self._chunks.put(chunk, timeout=0.1)
                return
            except queue.Full:
                self.full.set()


class Score:
    """Counts what became of each event. A payment counts once: a repeated delivery changes nothing.

    Attributes
    ----------
    statuses : replies by status
    outcomes : first decisions by outcome
    currency : of the values, ISO 4217; nothing where it is not known
    fraud_minor, stopped_minor : value of fraudulent payments decided; of those not let pass
    honest, honest_stopped : honest payments decided; of those not let pass
    latencies_ms : one a reply
    """

    def __init__(self, outcomes: Sequence[str], currency: str = "") -> None:
        self.currency = currency
        self.statuses: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter(dict.fromkeys(outcomes, 0))
        self._passing = outcomes[0] if outcomes else ""
        self.fraud_minor = self.stopped_minor = self.honest = self.honest_stopped = self.frauds = 0
        self.latencies_ms: list[float] = []

    @property
    def decided(self) -> int:
        """First decisions."""
        return sum(self.outcomes.values())

    def add(self, sent: Sent, status: str, outcome: str, latency_ms: float) -> None:
        """Count the reply to one event."""
        self.statuses[status] += 1
        self.latencies_ms.append(latency_ms)
        if status not in ("decided", "failed") or not sent.decided:
            return
        self.outcomes[outcome] += 1
        stopped = outcome != self._passing
        if sent.fraud:
            self.frauds += 1
            self.fraud_minor += sent.value_minor
            self.stopped_minor += sent.value_minor if stopped else 0
        else:
            self.honest += 1
            self.honest_stopped += stopped

    def quantile_ms(self, share: float, newest: int = 0) -> float:
        """A quantile of the latencies, of all or of the newest."""
        values = sorted(self.latencies_ms[-newest:] if newest else self.latencies_ms)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    def result(self, seconds: float) -> dict[str, Any]:
        """All figures by name, in the order of the table."""
        rate = self.decided / seconds if seconds else 0.0
        return {
            "decided": self.decided,
            **{outcome: count for outcome, count in self.outcomes.items() if outcome},
            "frauds": self.frauds,
            "currency": self.currency,
            "fraud_value_minor": self.fraud_minor,
            "fraud_value_stopped_minor": self.stopped_minor,
            "fraud_value_stopped": round(self.stopped_minor / self.fraud_minor, 4) if self.fraud_minor else None,
            "false_positive_rate": round(self.honest_stopped / self.honest, 5) if self.honest else None,
            "decisions_per_s": round(rate, 1),
            "p50_ms": round(self.quantile_ms(0.50), 3),
            "p99_ms": round(self.quantile_ms(0.99), 3),
            "recorded": self.statuses["recorded"],
            "repeated": self.statuses["repeated"],
            "rejected": self.statuses["rejected"],
            "failed": self.statuses["failed"],
            "seconds": round(seconds, 2),
        }
