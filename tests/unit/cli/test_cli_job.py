"""`quanheng job`: what is declared, a run now in this process, what was rejected; and beside a running core."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from debts import JOBS, debts, opens

from quanheng.cli import job as commands
from quanheng.cli.main import main
from quanheng.engine import Engine
from quanheng.server.admin import perform, scope_of
from quanheng.server.lock import FolderInUse


@pytest.fixture
def tell(tmp_path, capsys):
    """Runs a command on a folder where debts are in force; gives exit code, output and errors."""
    place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    jobs = JOBS
    engine.activate(debts(jobs))
    now_ms = engine.writer.stamp()
    engine.submit([opens(1, "730", at=now_ms), opens(2, "0", at=now_ms), opens(3, "1e9", at=now_ms)])
    engine.close()

    def run(*arguments):
        code = main([*arguments, *place])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_jobs_are_listed_run_and_shown(tell):
    code, out, _ = tell("job", "list")
    assert code == 0
    assert [line.partition("  next ")[0] for line in out.splitlines()] == [
        "debts.accrue  over debts.debt", "debts.roll  over debts.debt", "debts.note  over debts.debt",
    ]  # fmt: skip
    assert out.count("has not run yet") == 3
    code, out, _ = tell("job", "run", "accrue")
    assert code == 0
    assert out.startswith("debts.accrue  run ")
    assert out.endswith(" by hand done: 3 of 3 looked at, 2 taken, 0 rejected\n")
    shown = json.loads(tell("job", "show", "accrue", "--json")[1])
    assert shown["runs_n"] == 1
    assert {name: shown["runs"][0][name] for name in ("status", "by_hand", "done", "of", "taken", "rejects")} == {
        "status": "done", "by_hand": True, "done": 3, "of": 3, "taken": 2, "rejects": [],
    }  # fmt: skip
    assert "  1 runs so far\n" in tell("job", "show", "accrue")[1]
    ran = json.loads(tell("job", "run", "note", "--json")[1])
    assert (ran["job"], ran["taken"]) == ("debts.note", 2)
    listed = json.loads(tell("job", "list", "--json")[1])
    assert [one["runs_n"] for one in listed["jobs"]] == [1, 0, 1]


def test_a_job_that_is_not_there_is_told(tell):
    code, _, error = tell("job", "run", "acrue")
    assert code == 2
    assert error.splitlines()[-1].startswith("error: job: there is no such job; was acrue; allowed: debts.accrue")


def test_a_run_beside_a_server_is_begun_there_and_looked_on(tell, tmp_path, monkeypatch, capsys):
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    asked = []

    class Serving:
        """Stands for the connection to a running server, whose loop works between two questions."""

        def __enter__(self):
            def ask(operation, arguments):
                asked.append((operation, scope_of(operation, arguments)))
                if len(asked) > 2 and engine.jobs.waits:
                    engine.commit(engine.prepare([]))
                return perform(engine, operation, arguments)

            return ask

        def __exit__(self, *_):
            return None

    def taken(*_):
        raise FolderInUse("the folder is in use")

    monkeypatch.setattr(commands, "_run_here", taken)
    monkeypatch.setattr(commands, "administration", lambda config: Serving())
    assert main(["job", "run", "accrue", "--data", str(tmp_path / "data")]) == 0
    assert " by hand done: 3 of 3 looked at, 2 taken" in capsys.readouterr().out
    assert asked[:2] == [("job_run", "admin"), ("job_show", "read")]
    asked.clear()
    assert main(["job", "run", "accrue", "--no-wait", "--data", str(tmp_path / "data")]) == 0
    captured = capsys.readouterr()
    assert "begun; `quanheng job show` tells how far it is" in captured.err
    assert "is running: 0 of 3 looked at" in captured.out
    engine.close()
