# ruff: noqa: E501  (texts under test stand whole, on one line)
"""The command line: help with examples, one-line errors with the cure, exit codes."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import time

import cyclopts
import pytest

from quanheng.cli import bench, common
from quanheng.cli.main import app, main
from quanheng.kernel.errors import ConfigurationError, NotFound
from quanheng.testing.bench import Measured


def walk(one, path=()):
    for name in one:
        if name.startswith("-"):
            continue
        command = one[name]
        inner = [other for other in command if not other.startswith("-")]
        if inner:
            if command.default_command is not None:
                yield (*path, name)
            yield from walk(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = sorted(walk(app))


def told(capsys, *arguments):
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_every_command_is_there():
    assert [" ".join(path) for path in COMMANDS] == [
        "bench", "consume", "credit concentration", "credit limits", "credit loss", "credit price", "decision", "demo", "demo ledger", "dmn check", "dmn evaluate", "dmn from-excel", "dmn from-jdm",
        "dmn tck", "dmn to-excel", "erase", "evaluate", "explain", "features build", "features docs", "features lineage",
        "features list", "features report", "features sql", "ingest", "job list", "job run", "job show", "ledger list", "ledger project", "ledger reconcile", "ledger show",
        "ledger statement",
        "list", "list add", "list approve", "list find", "list history", "list import", "list reject", "list remove", "list show",
        "log check-proof", "log checkpoint", "log head", "log key", "log prove", "log prove-consistency", "log verify",
        "log watch",
        "models compare", "models dmn", "models draft", "models effect", "models fit", "models history", "models list", "models prove", "models report",
        "models score", "models show", "models verify", "models watch", "outbox list", "outbox retry", "outbox show",
        "pack activate", "pack check", "pack list", "pack new", "pack show", "policy accept-glass", "policy approve", "policy backtest",
        "policy diff", "policy draft", "policy history", "policy list", "policy monitor", "policy promote",
        "policy reject", "policy reject-glass", "policy retire", "policy roll-back", "policy shadow", "policy share", "policy show",
        "policy submit", "process advance", "process draw", "process history", "process list", "process show", "process simulate", "replay", "run", "serve", "simulate ledger", "token create", "token list", "token revoke",
        "train", "version",
    ]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_text_has_an_example_and_explains_every_parameter(path, capsys):
    code, out, _ = told(capsys, *path, "--help")
    assert code == 0
    assert "For example:" in out
    assert f"quanheng {' '.join(path)}" in out.partition("For example:")[2]
    command = app
    for name in path:
        command = command[name]
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            assert argument.parameter.help or argument.field_info.help, f"{path}: {argument.name} is not explained"


def test_help_answers_at_once_and_imports_nothing_heavy():
    code = "import sys; from quanheng.cli.main import main; main(['--help']); print('HEAVY', [m for m in ('numba','polars','litestar','numpy','lightgbm') if m in sys.modules])"
    started = time.process_time(), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    assert time.perf_counter() - started[1] < 5, "even on a busy machine"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nothing"], 2, 'error: Unknown command "nothing"'),
        (["token", "create"], 2, 'error: Command "token create" parameter NAME requires an argument. See: quanheng token create --help'),
        (["serve", "--port", "x"], 2, 'error: Invalid value for --port: unable to convert "x" into int. See: quanheng serve --help'),
        (["serve", "--port", "0"], 2, "error: quanheng.toml: server.port was 0; allowed: 1 to 65535. See docs/reference/configuration.md."),
        (["log", "head"], 2, "error: d/none: there is no log in the data folder. Give the folder with --data, or start a server first: quanheng serve"),
        (["pack", "check", "nowhere"], 2, "error: nowhere: there is no pack folder; was nothing; allowed: a folder that holds pack.toml. Give the folder, or run: quanheng pack new NAME"),
        (["demo", "nothing"], 2, "error: nothing: there is no such pack; allowed: "),
        (["demo"], 2, "error: PACK: no pack is named; was nothing. Name one, or set packs.load in quanheng.toml."),
        (["demo", "x", "--events", "0"], 2, "error: --events, --group, --loans, --years: the number must be positive; was 0, 256, 5000, 1; allowed: 1 or more"),
        (["demo", "ledger", "gold"], 2, "error: gold: there is no day of business of this name; allowed: payments, escrows, payouts, "),
        (["demo", "ledger", "--seed", "x"], 2, 'error: Invalid value for --seed: unable to convert "x" into int. See: quanheng demo ledger --help'),
        (["demo", "--seed", "x"], 2, 'error: Invalid value for --seed: unable to convert "x" into int. See: quanheng demo --help'),
        (["simulate", "ledger", "--operations", "0"], 2, "error: --operations, --accounts: too little to simulate; was 0, 24; allowed: 1 or more, 2 or more"),
        (["ledger", "project", "--to", "x.db", "--interval-ms", "0"], 2, "error: --interval-ms: this is no interval; was 0; allowed: 1 or more. Try 500."),
        (["bench"], 2, "error: ID: no bench is named; allowed: features.backfill.handbook12, "),
        (["bench", "x"], 2, "error: ID: there is no such bench; was 'x'; allowed: features.backfill.handbook12, "),
        (["ingest", "a.csv"], 2, "error: --pack: no pack is named; was nothing. Give --pack NAME, whose mapping is used."),
        (["train", "nothing"], 2, "error: nothing: there is no such pack; allowed: "),
        (["evaluate", "party", "--data", "no.parquet", "--protocol", "p"], 2, "error: --data: there is no such file; was no.parquet. Correct the path."),
        (["log", "verify", "--checkpoint", "no.txt"], 2, "error: d/none: there is no log in the data folder."),
        (["explain", "7", "--data", "d/none"], 2, "error: d/none: there is no log in the data folder."),
        (["policy", "backtest", "x", "--policy", "active", "--data", "d/none"], 2, "error: d/none: there is no log in the data folder."),
        (["policy", "backtest", "x", "--policy", "active", "--by", "a=2,1"], 2, "error: --by: the bounds cannot be read; was a=2,1; allowed: numbers that rise, as in amount=1000,5000"),
        (["policy", "backtest", "x", "--policy", "active", "--by", "a=x"], 2, "error: --by: the bounds cannot be read; was a=x"),
        (["policy", "backtest", "x", "--policy", "active", "--from", "yesterday"], 2, "error: not a time; was 'yesterday'"),
        (["policy", "backtest"], 2, 'error: Command "policy backtest" parameter'),
        (["erase", "party.customer", "1"], 2, "error: --yes: erasing cannot be undone; was not given. Repeat with --yes to erase this subject of party.customer."),
    ],
)  # fmt: skip
def test_errors_stand_on_one_line_with_the_cure(arguments, code, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "HERE", common.HERE)
    if arguments[0] == "log":
        arguments = [*arguments, "--data", "d/none"]
    found, out, err = told(capsys, *arguments)
    assert found == code
    assert err.splitlines()[-1].startswith(text)
    assert "Traceback" not in err + out


def test_a_fault_of_ours_is_one_line_and_debug_shows_the_trace(monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("quanheng.cli.bench.find_benches", broken)
    code, _, err = told(capsys, "bench", "--list")
    assert (code, err) == (
        1, "error: a fault of Quanheng itself: ZeroDivisionError: oh. Run again with --debug for the trace.\n",
    )  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        main(["bench", "--list", "--debug"])


def test_an_error_of_ours_raises_with_debug():
    with pytest.raises(NotFound):
        main(["pack", "check", "nowhere", "--debug"])


def test_an_interrupt_is_130(monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("quanheng.cli.bench.find_benches", stopped)
    assert told(capsys, "bench", "--list")[0::2] == (130, "error: interrupted\n")


def test_the_version_is_told(capsys):
    assert told(capsys, "version")[1].strip() == "0.1.0"


def test_an_app_of_cyclopts_is_what_the_audit_reads():
    assert isinstance(app, cyclopts.App)


# --- bench -----------------------------------------------------------------------------------------------------------

ONE = bench.Bench(
    "x.y", "bench.x", "us", (bench.Goal("ratio:zen", 5.0), bench.Goal("extra:p99_ms", 20.0, "lower")), "About.", better="lower",
)  # fmt: skip


@pytest.mark.parametrize(("value", "p99", "met"), [(2.0, 20.0, True), (2.1, 20.0, False), (2.0, 20.1, False)])
def test_a_result_is_met_when_every_goal_is(value, p99, met):
    made = Measured(value, "us", {"zen": 10.0}, {"p99_ms": p99})._asdict()
    line = bench.finished(ONE, made, 1.234, 1_700_000_000_000)
    assert line["met"] is met
    assert line["ratio"] == {"zen": round(10.0 / value, 3)}
    assert (line["goal"], line["cpu_s"], line["date"]) == ({"ratio:zen": 5.0, "extra:p99_ms": 20.0}, 1.23, "2023-11-14")
    assert list(line)[:10] == ["id", "value", "unit", "goal", "met", "peers", "ratio", "cpu_s", "machine", "date"]


def test_a_goal_on_a_figure_that_is_missing_is_not_met():
    assert bench.finished(ONE, Measured(1.0, "us")._asdict(), 0, 0)["met"] is False


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "bench").mkdir()
    monkeypatch.chdir(tmp_path)

    def write(module, entry="peers = []"):
        (tmp_path / "bench" / "made.py").write_text(module)
        (tmp_path / "bench" / "__init__.py").write_text("")
        (tmp_path / "bench" / "manifest.toml").write_text(
            f'[[bench]]\nid="a.b"\nmodule="bench.made"\nunit="us"\nabout="x"\ngoals=[{{on="value", goal=1}}]\n{entry}\n'
        )

    return write


GOOD = "from quanheng.testing.bench import Measured\ndef run(quick=False):\n    print('noise')\n    return Measured(3.0, 'us', {'zen': 1.0}, {'quick': quick})\n"


def test_a_bench_runs_in_a_process_of_its_own_and_gives_one_line(checkout, capsys):
    checkout(GOOD)
    code, out, _ = told(capsys, "bench", "a.b", "--json", "--quick")
    (line,) = out.splitlines()
    made = json.loads(line)
    assert (code, made["value"], made["met"], made["quick"], made["ratio"]) == (0, 3.0, True, True, {"zen": 3.0})
    assert told(capsys, "bench", "--all")[1].startswith("a.b: 3.0 us; met: value 3.0 (goal 1);")
    assert json.loads(told(capsys, "bench", "--list", "--json")[1])["id"] == "a.b"


def test_a_bench_that_fails_or_lacks_a_peer_is_an_error(checkout, capsys):
    checkout("def run(quick=False):\n    raise SystemExit(3)\n")
    assert told(capsys, "bench", "a.b")[2] == "error: a.b: the bench came to no result; was exit code 3. See above.\n"
    checkout(GOOD, 'peers = ["zen", "duckdb"]')
    assert told(capsys, "bench", "a.b")[2] == "error: a.b: a peer was not measured; was zen; allowed: zen, duckdb\n"


def test_a_missing_extra_says_how_to_get_it(checkout, capsys, monkeypatch):
    checkout(GOOD, 'peers = ["zen"]')
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "zen" else object())
    code, _, err = told(capsys, "bench", "a.b")
    assert (code, err) == (
        2, "error: bench a.b needs the package 'zen', which is not installed. Run: pip install 'quanheng[bench]'\n",
    )  # fmt: skip


def test_a_wrong_manifest_is_told(checkout):
    checkout(GOOD, "speed = 1")
    with pytest.raises(ConfigurationError, match="the manifest is wrong; was Object contains unknown field `speed`"):
        bench.find_benches()


def test_the_manifest_of_this_checkout_holds_the_permanent_ids():
    assert list(bench.find_benches().benches) == [
            "features.backfill.handbook12", "features.build", "features.online.p50", "features.online.p99",
            "features.online120.p50", "features.online120.p99", "features.filters.p50", "features.filters.backfill",
            "features.online.vs", "features.hotkey", "features.backfill.wide", "features.memory.perkey",
            "features.recover", "decisions.table20", "decisions.table3700", "decisions.compile", "decisions.lending",
            "decisions.backtest", "decisions.list", "path.inprocess", "path.transfers", "path.http.single",
            "path.http.batch", "stream.nats", "path.recover", "decisions.backtest.log", "decisions.shadow",
            "features.cluster", "proof.append", "proof.inclusion", "proof.verify", "ledger.kernel.arrays",
            "ledger.batch1000.arrays", "ledger.batch1000.objects", "ledger.single.p99", "ledger.hot", "ledger.twophase",
            "ledger.chains", "ledger.postgres", "ledger.recover", "ledger.statement", "ledger.project", "ledger.posted",
            "lending.book", "lending.revolving", "processes.timers", "processes.step", "processes.recover", "processes.job",
            "models.stability", "models.scorecard.row", "models.fit.gmsc", "models.trees.row", "models.batch",
        ]  # fmt: skip


@pytest.mark.parametrize("id", list(bench.find_benches().benches))
def test_every_bench_is_called_as_the_command_calls_it(id):
    one = bench.find_benches().benches[id]
    pytest.importorskip("duckdb", reason="the extra `bench` is not installed")
    made = getattr(importlib.import_module(one.module), one.function)
    assert inspect.signature(made).parameters["quick"].default is False


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(49_468_020, "EUR", "494,680.20 EUR"), (1_234, "JPY", "1,234 JPY"), (1_234, "", "1,234 minor units")],
)
def test_the_result_table_speaks_of_money_in_its_currency(minor, currency, shown):
    from quanheng.cli.run import amount

    assert amount(minor, currency) == shown


KIT_MODEL = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">
<decision id="d" name="d"><variable name="d"/><literalExpression><text>1 + 1</text></literalExpression></decision>
</definitions>"""
KIT_CASES = """<testCases xmlns="http://www.omg.org/spec/DMN/20160719/testcase"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><modelName>m.dmn</modelName>
<testCase id="1"><resultNode name="d"><expected><value xsi:type="xsd:decimal">{expected}</value></expected></resultNode>
</testCase></testCases>"""


def test_the_kit_of_dmn(capsys, tmp_path):
    folder = tmp_path / "0001-a"
    folder.mkdir()
    (folder / "m.dmn").write_text(KIT_MODEL)
    (folder / "m-test-01.xml").write_text(KIT_CASES.format(expected=2))
    code, out, _ = told(capsys, "dmn", "tck", str(tmp_path), "--csv", str(tmp_path / "out.csv"))
    assert (code, out.splitlines()[-1]) == (0, "1 passed, 0 failed, 0 ignored with both")
    assert (tmp_path / "out.csv").read_text() == '"0001-a","m-test-01","1","SUCCESS",""\n'
    (folder / "m-test-01.xml").write_text(KIT_CASES.format(expected=3))
    code, out, _ = told(capsys, "dmn", "tck", str(tmp_path), "--engine", "judge")
    assert code == 1
    assert out.splitlines()[0] == "0001-a  1  d: expected 3, was 2"


def test_a_folder_without_tests_of_the_kit(capsys, tmp_path):
    code, _, err = told(capsys, "dmn", "tck", str(tmp_path))
    assert code == 2
    assert "no tests of the kit are there" in err
