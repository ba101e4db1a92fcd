"""`quanheng features`: what a pack declares, where it comes from, and training sets made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cyclopts

from quanheng.cli import features_report
from quanheng.cli.common import HERE, Flag, Json, Place, by_stage, console, progress_bar, reader, show_json
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray
    from rich.tree import Tree

    from quanheng.loading.declared import Declared
    from quanheng.loading.lineage import Node
    from quanheng.offline.events import EventSource

Way = Literal["made_of", "used_by"]

app = cyclopts.App(
    name="features",
    help="Features of a pack: list, lineage, pages, SQL, training sets.\n\nExample: quanheng features list my_pack",
)

app.command(features_report.report)


@app.command(name="list")
def list_(pack: str, /, *, json: Json = False, place: Place = HERE) -> int:
    """Every fold and formula of a pack, with its data class and who uses it.

    For example:
      quanheng features list my_pack

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    json : bool
        One line of JSON.
    """
    from rich.console import Console
    from rich.table import Table

    from quanheng.loading.lineage import lineage

    kinds = ("fold", "balance", "formula", "source")
    nodes = [one for one in lineage(_declared(pack, place)).values() if one.kind in kinds]
    if json:
        show_json(nodes)
        return 0
    table = Table("feature", "kind", "class", "what it is", "used by", box=None)
    for node in nodes:
        table.add_row(node.name, node.kind, node.data_class or "-", node.text, "\n".join(node.used_by) or "-")
    Console(highlight=False).print(table)
    return 0


@app.command
def lineage(name: str, /, *, pack: str = "", json: Json = False, place: Place = HERE) -> int:
    """Where a feature comes from and who uses it, as a tree: fields, events, folds, formulas, models, decisions.

    For example:
      quanheng features lineage customer_mean_1d --pack my_pack

    Parameters
    ----------
    name : str
        A feature, event, field (event.field), model or decision (policy.decision).
    pack : str
        Name of the pack, or its folder (default: the first of packs.load).
    json : bool
        One line of JSON: the nodes on the way, both directions.
    """
    from rich.console import Console
    from rich.tree import Tree

    from quanheng.loading.lineage import find
    from quanheng.loading.lineage import lineage as lineage_of

    nodes = lineage_of(_declared(pack or _first(place), place))
    node = find(nodes, name)
    if json:
        on_the_way = {one.name: one for way in ("made_of", "used_by") for one in _reach(nodes, node, way)}
        show_json({"name": name, "nodes": [*on_the_way.values()]})
        return 0
    tree = Tree(_label(node))
    ways: tuple[Way, ...] = ("made_of", "used_by")
    for way in ways:
        told = way.replace("_", " ")
        _grow(tree.add(told if getattr(node, way) else f"{told} nothing in this pack"), nodes, node, way)
    Console(highlight=False).print(tree)
    return 0


@app.command
def docs(
    pack: str, /, *, out: Path, events: Path | None = None, map: str = "", event: str = "", place: Place = HERE
) -> int:
    """Write a page in Markdown for every feature: what it is, window, unit, class, lineage, statistics of a history.

    For example:
      quanheng features docs my_pack --out pages
      quanheng features docs my_pack --out pages --events payments.parquet

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    out : Path
        Folder for the pages.
    events : Path
        A history for the statistics: a .csv, .parquet or .jsonl file.
    map : str
        Mapping of the pack for --events (default: its only one).
    event : str
        Event type whose vectors are counted (default: the one that is decided).
    """
    from quanheng.loading.feature_pages import feature_pages

    declared = _declared(pack, place)
    values = _values(declared, events, map, event) if events is not None else None
    pages = feature_pages(declared, values)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (out / name).write_text(text, encoding="utf-8")
    print(f"written: {len(pages)} pages in {out}")
    return 0


@app.command
def sql(
    pack: str,
    /,
    *features: str,
    dialect: Literal["duckdb", "spark"] = "duckdb",
    in_order: Flag = False,
    place: Place = HERE,
) -> int:
    """Show folds as SQL (extra `offline`). Without names: all that SQL can say, and of the others why it cannot.

    For example:
      quanheng features sql my_pack customer_count_1d --dialect spark

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    features : str
        Names of folds (default: all that SQL can say).
    dialect : str
        SQL of which engine.
    in_order : bool
        With RANGE windows: right for histories in order of time. Without it the SQL is right for late events too.
    """
    from quanheng.features.fold import Fold
    from quanheng.features.sql.reasons import reason
    from quanheng.features.sql.run import TABLES, sql_text
    from quanheng.models.history import layouts
    from quanheng.models.vectors import LATENESS_MS
    from quanheng.offline.by_sql import ENGINES

    declared = _declared(pack, place)
    folds = {one.name: Fold.of_pack(one, one.name) for one in declared.folds}
    if unknown := [name for name in features if name not in folds]:
        raise InputError(
            "no such fold", where=f"pack {declared.name}", found=", ".join(unknown), allowed=", ".join(folds),
            cure="Name folds of features.toml; formulas are computed from them.",
        )  # fmt: skip
    chosen = [folds[name] for name in features]
    events, calendars = layouts(declared.events), declared.calendars
    for name, fold in () if features else folds.items():
        if why := reason(fold, ENGINES[dialect], {one.name: one for one in events}):
            console().print(f"{name}: SQL cannot say it: {why}")
        else:
            chosen.append(fold)
    print(TABLES)
    for text in sql_text(events, chosen, ENGINES[dialect], LATENESS_MS, in_order, calendars):
        print(text + ";\n")
    return 0


@app.command
def build(
    pack: str,
    /,
    *,
    spine: Path,
    out: Path,
    events: Path | None = None,
    map: str = "",
    event: str = "",
    features: str = "",
    time: str = "",
    known: str = "",
    offset: str = "",
    engine: Literal["kernel", "duckdb", "spark"] = "kernel",
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Build a training set: for each row of a spine what a live decision would have known at its moment.

    Events come from the log of the data folder, or from a file. A build that was interrupted goes on where it was.

    For example:
      quanheng features build my_pack --spine labels.parquet --out train.parquet --events payments.parquet
      quanheng features build my_pack --spine labels.parquet --out train.parquet --offset offset

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    spine : Path
        A .parquet, .csv or .jsonl file: key fields by name, and the moment of each row. Other columns are passed on.
    out : Path
        The .parquet file to write: the spine with a column for each feature.
    events : Path
        A .csv, .parquet or .jsonl file of events; without it the log is read.
    map : str
        Mapping of the pack for --events (default: its only one).
    event : str
        Event type that is decided (default: the only one).
    features : str
        Names of folds and formulas, with commas between (default: all that the event has).
    time : str
        Column of the moment (default: the time field of the event).
    known : str
        Column that says until when events must have become known (default: the moment).
    offset : str
        Column with the offset of the decided event itself: the row is then its very vector.
    engine : str
        What computes the folds. DuckDB and Spark need the extras `offline` and `spark`.
    json : bool
        One line of JSON.
    """
    from quanheng.offline.build import Build
    from quanheng.offline.by_sql import ENGINES, SqlBuild
    from quanheng.offline.spine import SpineColumns

    if out.suffix != ".parquet":
        raise InputError("the training set is a .parquet file", where="--out", found=str(out), cure="Name it so.")
    declared = _declared(pack, place)
    names = [one.strip() for one in features.split(",") if one.strip()]
    columns = SpineColumns(time, known, offset)
    with _source(declared, events, map, place) as source, progress_bar() as progress:
        settings: dict[str, Any] = {"event": event, "features": names}
        made = (
            SqlBuild(declared, source, spine, columns, out, engine=engine, **settings)
            if engine in ENGINES
            else Build(declared, source, spine, columns, out, **settings)
        )
        found = made.run(by_stage(progress))
    if not names:
        _tell_left_out(declared)
    told = found._asdict() | {"features": len(made.wanted.names), "out": str(out)}
    if json:
        show_json(told)
    else:
        print(", ".join(f"{key} {value}" for key, value in told.items()))
        if found.overflows:
            console().print(f"{found.overflows} cells are null: a sum does not fit 64 bits")
    return 0


def _tell_left_out(declared: Declared) -> None:
    """Which features a training set does not hold."""
    from quanheng.offline.sources import sourced

    if left := [f"{name} ({source})" for name, source in sourced(declared).items()]:
        told = "left out, since a training set holds no answers of sources with state: "
        console().print(told + ", ".join(left))


def _source(declared: Declared, events: Path | None, name: str, place: Place) -> AbstractContextManager[EventSource]:
    """The file, or the log of the data folder."""
    from contextlib import contextmanager, nullcontext

    from quanheng.offline.events import FileEvents, LogEvents

    if events is not None:
        return nullcontext(FileEvents(events, _mapping(declared, name), declared.events))

    @contextmanager
    def of_log() -> Any:
        from quanheng.past.window import activations_of

        with reader(place.read()) as log:
            activations = activations_of(log)
            yield LogEvents(log, declared.events, activations[-1].codes if activations else {})

    return of_log()


def _mapping(declared: Declared, name: str) -> Any:
    from quanheng.cli.ingest import mapping_of

    return mapping_of([declared], declared.name, name)


def _values(declared: Declared, events: Path, name: str, event: str) -> dict[str, NDArray[np.float64]]:
    """Vectors of a whole history, feature by feature."""
    import numpy as np

    from quanheng.models.history import history, read_file
    from quanheng.models.vectors import vectors
    from quanheng.offline.build import wanted

    frame = read_file(events, _mapping(declared, name), {one.name: one for one in declared.events})
    past = history(frame, declared.events)
    chosen = wanted(declared, past.layouts, event, ())
    rows = np.zeros(len(past.types), bool)
    rows[past.rows_of(chosen.event)] = True
    with progress_bar() as progress:
        matrix = vectors(declared, past, chosen.event, chosen.names, rows, by_stage(progress))
    return {one: matrix[:, place] for place, one in enumerate(chosen.names)}


def _declared(pack: str, place: Place) -> Declared:
    from quanheng.cli.models import pack_of

    return pack_of(pack, place)[0]


def _first(place: Place) -> str:
    named = place.read().packs.load
    if not named:
        raise InputError("no pack is named", where="--pack", found="nothing", cure="Give --pack NAME.")
    return str(named[0])


def _label(node: Node) -> str:
    about = ", ".join(one for one in (node.kind, node.data_class) if one)
    return f"{node.name} ({about})" + (f": {node.text}" if node.text else "")


def _grow(tree: Tree, nodes: dict[str, Node], node: Node, way: Way) -> None:
    for name in getattr(node, way):
        if name in nodes:
            _grow(tree.add(_label(nodes[name])), nodes, nodes[name], way)


def _reach(nodes: dict[str, Node], node: Node, way: str) -> list[Node]:
    """The node and everything behind it in one direction."""
    found, todo = {node.name: node}, [node]
    while todo:
        for name in getattr(todo.pop(), way):
            if name in nodes and name not in found:
                found[name] = nodes[name]
                todo.append(nodes[name])
    return list(found.values())
