"""Training sets: each row is what a live decision would have known; spines that do not fit are refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from corner import DECLARED, HOUR_MS, MAPPING, START_MS, write_history
from msgspec import structs

from quanheng.features.plan import Plan
from quanheng.features.source import SourceColumn
from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.declared import Formula, SourceDeclaration
from quanheng.loading.declared_accounts import AccountOf, AccountsDeclaration, BalanceDeclaration
from quanheng.models.history import history, read_file
from quanheng.models.vectors import LATENESS_MS, vectors
from quanheng.offline.build import Build, wanted
from quanheng.offline.events import FileEvents
from quanheng.offline.frames import keys, names_of_files
from quanheng.offline.runs import Runs
from quanheng.offline.sources import sourced
from quanheng.offline.spine import SpineColumns
from quanheng.testing.slow_features import Event, SlowFeatures

PLAIN = SpineColumns("")
QUIET = lambda *_: None  # noqa: E731
NAMES = ("count_1h", "mean_out", "shops", "largest", "complaints", "since", "to_mean")


def built(folder: Path, spine: pl.DataFrame, columns: SpineColumns = PLAIN, **options) -> pl.DataFrame:
    source = FileEvents(folder / "history.parquet", MAPPING, DECLARED.events, options.pop("event_run_bytes", 1 << 20))
    spine.write_parquet(folder / "spine.parquet")
    build = Build(DECLARED, source, folder / "spine.parquet", columns, folder / "out.parquet", **options)
    build.run(QUIET)
    assert not build.folder.exists()
    return pl.read_parquet(folder / "out.parquet")


def past_of(folder: Path):
    frame = read_file(folder / "history.parquet", MAPPING, {one.name: one for one in DECLARED.events})
    return history(frame, DECLARED.events)


@pytest.mark.parametrize("run_bytes", [1 << 20, 2_000])
def test_rows_that_are_events_get_their_live_vectors(tmp_path, run_bytes):
    write_history(tmp_path)
    past = past_of(tmp_path)
    rows = past.rows_of("sale")
    chosen = np.zeros(len(past.types), bool)
    chosen[rows] = True
    live = vectors(DECLARED, past, "sale", NAMES, chosen)
    order = np.random.default_rng(3).permutation(len(rows))
    spine = pl.DataFrame({"place": rows[order], "label": order % 2 == 0})
    found = built(tmp_path, spine, SpineColumns("", offset="place"), run_bytes=run_bytes, event_run_bytes=run_bytes)
    assert found.columns == ["place", "label", *NAMES]
    assert found["label"].to_list() == spine["label"].to_list()
    assert np.array_equal(found.select(NAMES).to_numpy(), live[order], equal_nan=True)


@pytest.mark.parametrize("known", [True, False])
def test_moments_know_what_had_become_known_and_insert_nothing(tmp_path, known):
    write_history(tmp_path, 150, seed=4)
    past = past_of(tmp_path)
    rng = np.random.default_rng(8)
    at = rng.integers(START_MS, int(past.arrive_ms[-1]) - 5 * HOUR_MS, 60) // 60_000 * 60_000
    at[:20] = past.times[rng.integers(0, 100, 20)]  # Moments of events, too.
    knows = at + rng.integers(0, 4, 60) * HOUR_MS if known else at
    spine = pl.DataFrame({
        "at": at, "knows": knows, "buyer": [f"b{one}" for one in rng.integers(0, 6, 60)],
        "shop": [f"s{one}" for one in rng.integers(0, 4, 60)], "amount": np.full(60, 100),
    })  # fmt: skip
    twice = pl.concat([spine, spine])  # A row that is there twice is answered twice.
    found = built(tmp_path, twice, SpineColumns("", known="knows" if known else ""), run_bytes=2_000)
    assert found.head(60).drop("at").equals(found.tail(60).drop("at"))
    plan = wanted(DECLARED, past.layouts, "sale", ()).plan
    for row in range(60):
        assert found.select(plan.names).row(row) == pytest.approx(_slow(past, plan, spine, row), nan_ok=True), row


def _slow(past, plan: Plan, spine: pl.DataFrame, row: int) -> tuple[float | None, ...]:
    """The twin, with every event that had arrived by then and the moment as an event that no fold takes."""
    moment = spine.row(row, named=True)
    twin = SlowFeatures(plan.layouts, plan.folds, plan.decide, LATENESS_MS)
    for number in np.flatnonzero(past.arrive_ms <= moment["knows"]).tolist():
        keys = tuple((int(one[0]), int(one[1])) for one in past.keys[number])
        twin.apply(Event(int(past.types[number]), int(past.times[number]), keys, tuple(past.numbers[number].tolist())))
    sale = past.rows_of("sale")
    pairs = {}
    for field, place in (("buyer", 0), ("shop", 1)):
        texts = past.frame[field].gather(sale).to_list()
        same = [number for number, text in zip(sale, texts, strict=True) if text == moment[field]]
        pairs[field] = tuple(past.keys[same[0], place].tolist()) if same else (77, 77)
    probe = next(one for one in plan.layouts if one.name == "a moment")
    raw = twin.run(Event(probe.code, moment["at"], (pairs["buyer"], pairs["shop"]), (moment["at"], 10_000)))
    floats = plan.floats(np.array([raw], np.int64))[0].tolist()
    return tuple(None if np.isnan(one) else one for one in floats)


def test_a_killed_build_goes_on_from_its_last_chunk(tmp_path):
    write_history(tmp_path, 3_000)
    past = past_of(tmp_path)
    rows = past.rows_of("sale")
    spine = pl.DataFrame({"offset": rows})
    options = {"run_bytes": 8_000, "event_run_bytes": 8_000, "keep_events": 500}
    whole = built(tmp_path, spine, SpineColumns("", offset="offset"), **options)
    (tmp_path / "out.parquet").unlink()
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from corner import DECLARED, MAPPING
        from quanheng.offline.build import Build
        from quanheng.offline.events import FileEvents
        from quanheng.offline.spine import SpineColumns
        folder = Path({str(tmp_path)!r})
        def report(stage, done, total):
            if stage == "features" and done > 1_700:
                os.kill(os.getpid(), signal.SIGKILL)
        source = FileEvents(folder / "history.parquet", MAPPING, DECLARED.events, 8_000)
        build = Build(DECLARED, source, folder / "spine.parquet", SpineColumns("", offset="offset"),
                      folder / "out.parquet", run_bytes=8_000, keep_events=500)
        build.run(report)
    """)
    killed = subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ), timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.parquet").exists()
    source = FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events, 8_000)
    again = Build(
        DECLARED, source, tmp_path / "spine.parquet", SpineColumns("", offset="offset"), tmp_path / "out.parquet",
        run_bytes=8_000, keep_events=500,
    )  # fmt: skip
    found = again.run(QUIET)
    assert 1_000 <= found.resumed <= 1_700
    assert pl.read_parquet(tmp_path / "out.parquet").equals(whole)


@pytest.mark.parametrize("run_bytes", [8_000, 1 << 20])
def test_a_build_that_was_stopped_while_it_wrote_goes_on_or_starts_again(tmp_path, run_bytes):
    """Where answers lie on disk they are all kept; where they were in memory alone the history is folded again."""
    write_history(tmp_path, 2_000)
    spine = pl.DataFrame({"offset": past_of(tmp_path).rows_of("sale")})
    options = {"run_bytes": run_bytes, "event_run_bytes": run_bytes, "keep_events": 500}
    options["keep_events"] = 500 if run_bytes == 8_000 else 10**6
    whole = built(tmp_path, spine, SpineColumns("", offset="offset"), **options)
    (tmp_path / "out.parquet").unlink()

    def build():
        source = FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events, run_bytes)
        return Build(
            DECLARED, source, tmp_path / "spine.parquet", SpineColumns("", offset="offset"), tmp_path / "out.parquet",
            run_bytes=run_bytes, keep_events=options["keep_events"],
        )  # fmt: skip

    def stop(stage, *_):
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build().run(stop)
    assert bool(list((tmp_path / "out.parquet.building" / "answers").glob("*.npy"))) == (run_bytes == 8_000)
    found = build().run(QUIET)
    assert (found.resumed == found.events) == (run_bytes == 8_000)
    assert found.own == len(spine)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(whole)


def test_rows_of_one_run_never_touch_the_disk(tmp_path):
    rng = np.random.default_rng(3)
    runs = Runs(tmp_path, 3, 2, run_bytes=1 << 20)
    rows = np.column_stack([rng.integers(0, 50, 5_000), rng.permutation(5_000), rng.integers(0, 9, 5_000)])
    runs.add(rows[:3_000])
    runs.add(rows[3_000:])
    whole = rows[np.lexsort([rows[:, 1], rows[:, 0]])]
    assert np.array_equal(np.concatenate(list(runs.merged())), whole)
    assert np.array_equal(np.concatenate(list(runs.merged(skip=1_234))), whole[1_234:])
    assert not list(tmp_path.iterdir())


def test_dense_whole_numbers_are_the_keys_of_their_texts():
    ids = [7, -3, 7, 12, 0, -3]
    dense = keys(pl.Series(ids), "person", names_of_files, "here")
    assert np.array_equal(dense, keys(pl.Series([str(one) for one in ids]), "person", names_of_files, "here"))
    far = [7, -3, 10**12]
    assert np.array_equal(keys(pl.Series(far), "person", names_of_files, "here")[:2], dense[:2])
    assert not keys(pl.Series([None, 5]), "person", names_of_files, "here")[0].any()
    high = pl.Series([2**64 - 1, 2**64 - 2], dtype=pl.UInt64)
    assert np.array_equal(
        keys(high, "person", names_of_files, "here"), keys(high.cast(pl.String), "person", names_of_files, "here")
    )


def test_sorted_runs_hold_one_block_in_memory(tmp_path):
    rng = np.random.default_rng(2)
    runs = Runs(tmp_path, 3, 2, run_bytes=2_400)
    rows = np.column_stack([rng.integers(0, 50, 5_000), np.arange(5_000), rng.integers(0, 9, 5_000)])
    runs.add(rows)
    runs.flush()
    assert len(runs.files()) >= 50
    blocks = list(runs.merged())
    assert max(len(one) for one in blocks) <= 100 + len(runs.files())
    whole = rows[np.lexsort([rows[:, 1], rows[:, 0]])]
    assert np.array_equal(np.concatenate(blocks), whole)
    assert np.array_equal(np.concatenate(list(runs.merged(skip=1_234))), whole[1_234:])


MOMENT = {"at": [START_MS], "buyer": ["b1"], "shop": ["s1"], "amount": [5]}


@pytest.mark.parametrize(
    ("spine", "columns", "told"),
    [
        ({"at": [START_MS], "shop": ["s1"], "amount": [5]}, SpineColumns(""), "the spine lacks columns"),
        ({"buyer": ["b1"], "shop": ["s1"], "amount": [5]}, SpineColumns(""), "the spine lacks columns"),
        (MOMENT | {"at": [1.5]}, SpineColumns(""), "the column does not hold moments"),
        (MOMENT | {"at": ["soon"]}, SpineColumns(""), "the row has no moment"),
        (MOMENT | {"at": [None]}, SpineColumns(""), "the column does not hold moments"),
        (MOMENT | {"at": [2**62]}, SpineColumns(""), "the moment is out of range"),
        (MOMENT | {"buyer": [float("nan")]}, SpineColumns(""), "the column cannot be a key"),
        (MOMENT | {"amount": [float("nan")]}, SpineColumns(""), "the column does not hold numbers that fit"),
        (MOMENT | {"at": [START_MS * 2]}, SpineColumns(""), "the row asks for a moment that the history"),
        (MOMENT | {"o": [10**9]}, SpineColumns("", offset="o"), "the row asks for a moment that the history does not"),
        (MOMENT | {"o": [1.0]}, SpineColumns("", offset="o"), "the column does not hold offsets"),
        (MOMENT | {"o": [0]}, SpineColumns("", offset="o"), "the row and the event at its offset differ"),
        ({"o": [450]}, SpineColumns("", offset="o"), "no decided event lies at the offset, and the row has no time"),
        (MOMENT | {"shops": [1]}, SpineColumns(""), "a column of the spine has the name of a feature"),
        ({name: [] for name in MOMENT}, SpineColumns(""), "the spine holds no rows"),
    ],
)  # fmt: skip
def test_a_spine_that_does_not_fit_is_refused(tmp_path, spine, columns, told):
    write_history(tmp_path)
    past = past_of(tmp_path)
    if told.startswith("no decided event"):
        spine = {"o": [int(past.rows_of("complaint")[0])]}
    schema = (
        {"at": pl.Int64, "buyer": pl.String, "shop": pl.String, "amount": pl.Int64}
        if not spine.get("at", [1])
        else None
    )
    with pytest.raises(InputError, match=told):
        built(tmp_path, pl.DataFrame(spine, schema=schema, strict=False), columns)
    assert not (tmp_path / "out.parquet").exists()


def test_what_is_asked_for_must_be_declared(tmp_path):
    write_history(tmp_path)
    layouts = FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events).layouts
    with pytest.raises(InputError, match="no such feature; was nothing_like_it"):
        wanted(DECLARED, layouts, "", ["nothing_like_it"])
    with pytest.raises(InputError, match="no such event is declared; was 'gift'"):
        wanted(DECLARED, layouts, "gift", ())
    column = SourceColumn("risk", "number", 2)
    kept = SourceDeclaration(name="graph", make=object, version="1", columns=(column,))  # type: ignore[arg-type]
    uses = Formula(name="more", feel="risk + 1", uses=("risk",))
    declared = structs.replace(DECLARED, sources=(kept,), formulas=(uses,))
    told = r"--features: a training set holds no answers of sources with state; was more \(source graph\). Ask for"
    with pytest.raises(InputError, match=told):
        wanted(declared, layouts, "", ["more"])
    assert sourced(declared) == {"risk": "graph", "more": "graph"}
    assert not {"risk", "more"} & set(wanted(declared, layouts, "", ()).names)
    balance = BalanceDeclaration(name="risk", account=AccountOf("wallet", ("buyer",)), of="available", decimals=2)
    declared = structs.replace(declared, sources=(), accounts=AccountsDeclaration(balances=(balance,)))
    with pytest.raises(InputError, match=r"was risk \(source ledger\), more \(source ledger\)\. Ask for"):
        wanted(declared, layouts, "", ["risk", "more"])
    assert not {"risk", "more"} & set(wanted(declared, layouts, "", ()).names)
    with pytest.raises(NotFound, match="there is no such file"):
        FileEvents(tmp_path / "none.parquet", MAPPING, DECLARED.events)
    (tmp_path / "a.txt").write_text("x")
    source = FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events)
    for name, told in (("a.txt", "the file is of no known kind"), ("b.parquet", "the file cannot be read")):
        (tmp_path / name).write_text("no parquet")
        with pytest.raises(InputError, match=told):
            Build(DECLARED, source, tmp_path / name, SpineColumns(""), tmp_path / "o.parquet").run(QUIET)
