"""An engine whose windows and decisions are spread over a Ray cluster: its start, what goes on beside it, its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from quanheng.cluster.deciding import Asked, Decided, Deciders
from quanheng.cluster.field import Lost
from quanheng.cluster.partition import Spec
from quanheng.cluster.ray_field import CALL_S_MAX, RayField, answer, join, leave
from quanheng.cluster.spread import SpreadWindows
from quanheng.features.elsewhere import MakeWindows
from quanheng.features.plan import Plan
from quanheng.kernel.errors import LogError
from quanheng.kernel.log.log import Log

if TYPE_CHECKING:
    from quanheng.engine import Engine

LOOK_S = 2.0
"""How often machines and partitions are looked at beside decisions."""


class Settings(NamedTuple):
    """How an engine uses a cluster.

    address : `HOST:PORT` of a Ray cluster, or `local`
    store : `sqlite:PATH` or a PostgreSQL connection string, as every machine can open it
    snapshots : folder of the partitions' snapshots, as every machine can open it
    partitions : into how many ranges the entities are dealt; another number folds the log anew
    deciders : actors that judge; 0 = the sequencer judges
    decide_rows_min : fewest decisions that are sent away at once
    snapshot_records : a snapshot of every partition each time the log has grown by so many records; 0 = never
    """

    address: str
    store: str
    snapshots: str
    partitions: int = 4
    deciders: int = 2
    decide_rows_min: int = 1_000
    snapshot_records: int = 2_000_000


class Cluster:
    """The cluster as one engine uses it. Make it before the engine is opened, `attach` it after, and `close` it last.

    Raises
    ------
    MissingExtra, ConfigurationError : Ray is not installed, or there is no cluster
    """

    def __init__(
        self,
        settings: Settings,
        note: Callable[[str, dict[str, Any]], None] | None = None,
        seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.settings, self._note, self._seconds = settings, note or (lambda event, told: None), seconds
        join(settings.address)
        self.field = RayField()
        self.deciders: Deciders | None = None
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None
        self.bench: RayBench | None = None
        self._nodes = 0

    def far(self, log: Log) -> MakeWindows:
        """Makes windows over this cluster (`Engine.open(far=...)`)."""

        def make(plan: Plan) -> SpreadWindows:
            settings = self.settings
            spec = Spec.of(plan, settings.partitions, settings.store, settings.snapshots, log.epoch)
            return SpreadWindows(plan, spec, self.field, lambda: log.head, self._note, self._seconds)

        return make

    def attach(self, engine: Engine) -> None:
        """Let deciders judge for the engine, and look after its partitions from here on; its `close` ends both."""
        if self.settings.deciders:
            self.bench = RayBench(self.field, self.settings.deciders)
            files = PackFilesInForce(engine)
            self.deciders = Deciders(self.bench, files, self.settings.decide_rows_min, self.settings.deciders)
            engine.writer.judge = self.deciders
            activation = engine.state.program.activation
            if activation >= 0:
                activated, packs = files(activation)
                self.bench.ready(packs, activated, activation)
        engine.on_close.append(self.close)
        engine.more_metrics = lambda: self.metrics(engine)
        self._nodes = len(self.field.nodes())
        self._watch = threading.Thread(target=self._look, args=(engine,), name="quanheng-cluster", daemon=True)
        self._watch.start()

    def _look(self, engine: Engine) -> None:
        kept = engine.log.head
        while not self._stop.wait(LOOK_S):
            windows = engine.state.features
            if not isinstance(windows, SpreadWindows):
                continue
            try:
                self._nodes = len(self.field.nodes())
                windows.heal()
                windows.rebalance()
                step = self.settings.snapshot_records
                if step and engine.log.head - kept >= step:
                    kept = engine.log.head
                    windows.snapshot()
            except LogError as error:  # The next group stops the process; until then reads go on.
                self._note("cluster_lost", {"message": str(error)})

    def metrics(self, engine: Engine) -> dict[str, Any]:
        """What the metrics page shows beside the engine's own counts, asked of no machine."""
        windows, deciders = engine.state.features, self.deciders
        told: dict[str, Any] = {"cluster_nodes": self._nodes}
        if isinstance(windows, SpreadWindows):
            told["cluster_partitions"] = len(windows.slots)
            told["cluster_partitions_recovered"] = len(windows.recoveries)
            told["cluster_partitions_moved"] = len(windows.moves)
        if deciders is not None:
            told["cluster_parts_sent"] = deciders.sent
            told["cluster_parts_lost"] = deciders.lost
            told["cluster_parts_unanswered"] = deciders.unanswered
        return told

    def close(self) -> None:
        """Stop looking, end partitions and deciders, leave the cluster."""
        self._stop.set()
        if self._watch is not None:
            self._watch.join()
        leave()


class PackFilesInForce:
    """What deciders need of an activation; that of the newest is kept."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: tuple[int, tuple[bytes, dict[str, dict[str, bytes]]]] = (-1, (b"", {}))

    def __call__(self, activation: int) -> tuple[bytes, dict[str, dict[str, bytes]]]:
        """Its payload in the log, and the files of its packs by hash."""
        if self._known[0] != activation:
            engine = self._engine
            activated = engine.reader.activated(activation)
            hashes = {*activated.packs.values(), *(trial.hash for trial in activated.trials)}
            files = {hash: engine.content.get_folder(hash) for hash in sorted(hashes)}
            self._known = activation, (engine.log.record(activation).payload, files)
        return self._known[1]


class Seat:
    """A deciding actor: what it was told to get ready for, and since when it is."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.ticket: Any = None
        self.told = self.ready = -1


class RayBench:
    """Deciding actors, spread over the nodes. One that is lost is replaced, and asked again once it is ready."""

    def __init__(self, field: RayField, count: int) -> None:
        self._field, self._placed = field, 0
        self.seats = [Seat(self._actor()) for _ in range(count)]
        self._sent: tuple[Any, Any] = (None, None)

    def ready(self, files: dict[str, dict[str, bytes]], activated: bytes, activation: int) -> int:
        """How many have compiled what that activation put in force."""
        import ray

        for seat in self.seats:
            if seat.told != activation:
                seat.told = activation
                seat.ticket = seat.actor.prepare.remote(self._reference(files), activated, activation)
            if seat.ready != activation and ray.wait([seat.ticket], timeout=0)[0]:
                seat.ready = self._prepared(seat)
        return sum(seat.ready == activation for seat in self.seats)

    def _prepared(self, seat: Seat) -> int:
        found = answer(seat.ticket, CALL_S_MAX)
        if isinstance(found, Lost):
            seat.actor, seat.told = self._actor(), -1
            return -1
        return int(found)

    def ask(self, files: dict[str, dict[str, bytes]], asked: Sequence[Asked]) -> list[Decided | Lost]:
        """Judge each of `asked` by an actor of its own that is ready."""
        able = [seat for seat in self.seats if seat.ready == asked[0].activation]
        pairs = list(zip(able, asked, strict=False))
        tickets = [seat.actor.judge.remote(self._reference(files), one) for seat, one in pairs]
        answers: list[Decided | Lost] = [answer(ticket, CALL_S_MAX) for ticket in tickets]
        for (seat, _), one in zip(pairs, answers, strict=True):
            if isinstance(one, Lost):
                seat.actor, seat.told, seat.ready = self._actor(), -1, -1
        return answers

    def _reference(self, files: dict[str, dict[str, bytes]]) -> Any:
        """Packs as they stand in the cluster's own memory; sent once."""
        import ray

        if self._sent[0] is not files:
            self._sent = files, ray.put(files)
        return self._sent[1]

    def _actor(self) -> Any:
        from quanheng.cluster.ray_actors import decider_actor

        nodes = self._field.nodes()
        self._placed += 1
        return decider_actor(nodes[self._placed % len(nodes)] if nodes else "")


def store_of(store: str, data: str) -> str:
    """The configured store as every partition is told: a file by its absolute path."""
    return f"sqlite:{(Path(data) / 'log.db').absolute()}" if store == "sqlite" else store
