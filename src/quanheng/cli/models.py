"""`quanheng train`, `quanheng evaluate`: models of a pack, trained and measured on what was known at the time."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quanheng.cli.common import HERE, Json, Place, by_stage, console, progress_bar, show_json
from quanheng.kernel.errors import DeclarationError, InputError, NotFound

if TYPE_CHECKING:
    import polars as pl

    from quanheng.loading.declared import Declared
    from quanheng.loading.files import PackFiles

EVENTS = 300_000


def train(
    pack: str,
    /,
    *,
    data: Path | None = None,
    map: str = "",
    events: int = EVENTS,
    seed: int | None = None,
    model: str = "",
    out: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Train a model of a pack on point-in-time vectors, and write weights, hash and card into the pack's folder.

    With --data on a file of your own history, else on the pack's own seeded traffic. The same input, seed and versions
    give the same hash.

    For example:
      quanheng train my_pack --events 300000
      quanheng train my_pack --data payments.parquet --map my_columns

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    data : Path
        A .csv or .parquet file; without it the pack's traffic.toml is played.
    map : str
        Mapping of the pack for --data (default: its only one).
    events : int
        How many simulated events.
    seed : int
        Seed of the traffic (default: that of the pack).
    model : str
        Which model (default: the only one).
    out : Path
        Pack folder to write to (default: the folder of the pack).
    json : bool
        Last line is one line of JSON: the card.
    """
    from quanheng.models.settings import choose_model
    from quanheng.models.train import train as train_trees
    from quanheng.models.train_scorecard import train_scorecard

    declared, files, folder = pack_of(pack, place)
    target = out or folder
    if target is None:
        raise InputError(
            "the pack is not in a folder that can be written", where=pack, cure="Give a copy of its folder with --out."
        )
    chosen = choose_model(declared, model)  # Before the data is read, which takes its time.
    train_model = train_scorecard if chosen.estimator == "scorecard" else train_trees
    frame, told, population = _training_data(declared, data, map, events, seed)
    with progress_bar() as progress:
        trained = train_model(
            declared,
            frame,
            model=model,
            data=told,
            population=population,
            command=_command(pack, data, map, events, seed, model),
            progress=by_stage(progress),
        )
    _write(declared, files, target, trained)
    if json:
        import msgspec

        show_json({"hash": trained.hash, **msgspec.to_builtins(trained.card)})
        return 0
    card = trained.card
    size = f"{card.trees} trees, {card.nodes} nodes, " if card.trees else ""
    print(f"{card.model}: {size}{card.weights_bytes} bytes, {trained.hash}")
    _show_figures(card)
    return 0


def evaluate(
    pack: str,
    /,
    *,
    data: Path,
    protocol: str,
    model: str = "",
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Measure a pack's model by a declared protocol: train on its window, test on later days, labels only when known.

    For example:
      quanheng evaluate my_pack --data payments.parquet --protocol monthly --json

    Parameters
    ----------
    pack : str
        Name of the pack, or its folder.
    data : Path
        The file the protocol was made for.
    protocol : str
        Protocol of the pack (evaluations.toml).
    model : str
        Which model (default: the only one).
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.evaluation import evaluate as run_protocol

    declared, _, _ = pack_of(pack, place)
    if not data.is_file():
        raise NotFound("there is no such file", where="--data", found=str(data), cure="Correct the path.")
    with progress_bar() as progress:
        found = run_protocol(
            declared,
            data,
            protocol,
            model=model,
            progress=by_stage(progress),
        )
    if json:
        show_json(found.summary())
        return 0
    print(f"{found.pack} {found.model} by {found.protocol}: {found.seconds:.1f} s, {found.trees} trees")
    _show_figures(found)
    return 0


def _show_figures(made: Any) -> None:
    """Windows and metrics of a card or an evaluation."""
    for done, window in (("trained", made.train), ("tested", made.test)):
        print(f"  {done} on {window.since} to {window.until}: {window.rows} rows, {window.positives} positive")
    for name, figure in made.metrics.items():
        print(f"  {name} {figure.value:.4f} (95 %: {figure.low:.4f} to {figure.high:.4f})")


def pack_of(name: str, place: Place) -> tuple[Declared, PackFiles, Path | None]:
    """The pack's declaration, files and folder. Missing weights are no hindrance: they are about to be made."""
    from quanheng.loading import check_pack, find_packs, read_pack
    from quanheng.server.opening import available_packs

    folder: Path | None
    config = place.read()
    available = available_packs(config.packs.folders)
    if (Path(name) / "pack.toml").is_file():
        folder, files = Path(name), read_pack(Path(name))
    elif name in available:
        found = find_packs().get(name)
        known = [Path(one) for one in config.packs.folders] + ([found] if isinstance(found, Path) else [])
        folder = next((one for path in known for one in (path, path / name) if _holds(one, name)), None)
        files = available[name]
    else:
        known_names = ", ".join(sorted(available))
        raise NotFound("there is no such pack", where=name, allowed=known_names, cure="Correct the name.")
    declared, problems = check_pack(files, available)
    serious = [problem for problem in problems if problem.key not in ("model.weights", "model.hash")]
    if serious:
        raise DeclarationError(f"the pack {declared.name!r} is wrong", serious)
    return declared, files, folder


def _holds(folder: Path, name: str) -> bool:
    return folder.name == name and (folder / "pack.toml").is_file()


def _training_data(
    declared: Declared, data: Path | None, name: str, events: int, seed: int | None
) -> tuple[pl.DataFrame, str, str]:
    """(events in order of arrival, what they are, whom they are about)."""
    if data is not None:
        from quanheng.cli.ingest import mapping_of
        from quanheng.models.history import read_file

        if not data.is_file():
            raise NotFound("there is no such file", where="--data", found=str(data), cure="Correct the path.")
        mapping = mapping_of([declared], declared.name, name)
        frame = read_file(data, mapping, {event.name: event for event in declared.events})
        return frame, f"{data.name} by mapping {mapping.name}", f"events of the file {data.name}"
    import polars as pl

    from quanheng.loading.traffic import traffic_of

    if declared.traffic is None:
        raise NotFound(
            "the pack declares no traffic to train on",
            where=f"pack {declared.name}",
            cure="Give a file of your own history with --data, or add traffic.toml to the pack.",
        )
    if events < 1:
        raise InputError("the number must be positive", where="--events", found=str(events), allowed="1 or more")
    traffic = traffic_of(declared.traffic, seed)
    console().print(f"making {events:,} simulated events")
    # What intake would refuse (malformed) or answer from the record (duplicate) is nothing that can be learnt from.
    frame = traffic.frame(events).filter(pl.col("fault").is_null() | (pl.col("fault") == "late"))
    told = f"simulated traffic of the pack (traffic.toml), seed {traffic.seed}, {events} events"
    return frame, told, "a simulated population: see traffic.toml"


def _command(pack: str, data: Path | None, name: str, events: int, seed: int | None, model: str) -> str:
    words = ["quanheng", "train", Path(pack).name]
    words += ["--data", data.name] if data else ["--events", str(events)]
    words += ["--map", name] if name else []
    words += ["--seed", str(seed)] if seed is not None else []
    words += ["--model", model] if model else []
    return shlex.join(words)


def _write(declared: Declared, files: PackFiles, folder: Path, trained: Any) -> None:
    """Weights first, then the declaration that names their hash: `pack check` tells of a crash in between."""
    from quanheng.models.card import declaration_toml
    from quanheng.models.monitoring.reference import SUFFIX

    model = next(one for one in declared.models if one.name == trained.card.model)
    file = next(name for name, content in files.files.items() if _declares(name, content, model.name))
    text = files.files[file].decode("utf-8")
    (folder / "models").mkdir(parents=True, exist_ok=True)
    weights = model.weights or f"{model.name}.trees"
    (folder / "models" / weights).write_bytes(trained.weights)
    reference = folder / "models" / f"{model.name}{SUFFIX}"
    reference.write_bytes(trained.reference)
    if trained.evidence:
        (folder / "models" / trained.card.evidence).write_bytes(trained.evidence)
    (folder / file).write_text(declaration_toml(text, trained.hash, trained.card, weights), encoding="utf-8")
    console().print(f"written: {folder / 'models' / weights}, {reference}, {folder / file}")


def _declares(name: str, content: bytes, model: str) -> bool:
    import tomllib

    if not (name.startswith("models/") and name.endswith(".toml")):
        return False
    return bool(tomllib.loads(content.decode("utf-8")).get("model", {}).get("name") == model)
