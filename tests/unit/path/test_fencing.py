"""A writer that was stopped while a newer one took over: it can harm neither the log nor the request index."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shop import ask, opened

from quanheng.engine import Engine
from quanheng.kernel.entries import Entry
from quanheng.kernel.errors import EpochFenced
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.records import NONE_16

OLD = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from shop import ask, opened
engine = opened(Path({folder!r}))
engine.submit([ask(f"old{{n}}", customer=f"c{{n}}") for n in range(40)])
print("written", flush=True)
sys.stdin.readline()
try:
    engine.submit([ask("too late")])
    print("answered", flush=True)
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}", flush=True)
engine.index.flush() if {flushes} else engine.close()
print("closed", flush=True)
"""


def paused(folder: Path, flushes: bool) -> subprocess.Popen:
    """A process that has written, holds index rows in memory, and is stopped."""
    path = [str(Path(__file__).parent)]
    code = OLD.format(path=path, folder=str(folder), flushes=flushes)
    old = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert old.stdout.readline() == "written\n", old.stderr.read()
    os.kill(old.pid, signal.SIGSTOP)
    return old


@pytest.mark.parametrize("flushes", [False, True], ids=["closes", "writes its index"])
@pytest.mark.parametrize("new_wrote_first", [False, True])
def test_a_stopped_writer_that_wakes_up_harms_nothing(tmp_path, flushes, new_wrote_first):
    old = paused(tmp_path, flushes)
    new = opened(tmp_path)
    new.submit([ask(f"new{n}", customer=f"c{n}") for n in range(30)])
    if new_wrote_first:
        new.index.flush()
    os.kill(old.pid, signal.SIGCONT)
    said, errors = old.communicate("go\n", timeout=60)
    assert said.splitlines()[0].startswith("EpochFenced: "), said
    if flushes:
        assert "a newer writer has taken over the request index" in errors
    else:
        assert (said.splitlines()[1], errors) == ("closed", "")
    new.submit([ask(f"more{n}", customer=f"c{n}") for n in range(20)])
    new.index.flush()
    new.close()
    again = opened(tmp_path)
    ids = [f"{kind}{n}" for kind, count in (("old", 40), ("new", 30), ("more", 20)) for n in range(count)]
    replies = again.submit([ask(id, customer=f"c{id.lstrip('oldnewmr')}") for id in ids])
    assert {one.status for one in replies} == {"repeated"}
    assert again.submit([ask("too late")])[0].status == "decided"
    assert again.log.verify().ok
    again.close()


def test_a_writer_of_an_older_epoch_cannot_open_the_index(tmp_path):
    RequestIndex(tmp_path / "index.db", epoch=7).close()
    with pytest.raises(EpochFenced) as caught:
        RequestIndex(tmp_path / "index.db", epoch=6)
    assert str(caught.value) == (
        f"{tmp_path / 'index.db'}: a newer writer has taken over the request index; was epoch 6; allowed: epoch 7. "
        "Stop this writer; the other one goes on."
    )
    RequestIndex(tmp_path / "index.db", epoch=7).close()


def test_an_index_whose_writer_was_fenced_writes_nothing(tmp_path):
    old = RequestIndex(tmp_path / "index.db", epoch=1)
    old.add([(b"a" * 16, Entry(0, NONE_16))], 1)
    new = RequestIndex(tmp_path / "index.db", epoch=2)
    with pytest.raises(EpochFenced, match="a newer writer has taken over the request index"):
        old.flush()
    old.close()
    new.add([(b"b" * 16, Entry(5, NONE_16))], 6)
    new.close()
    again = RequestIndex(tmp_path / "index.db", epoch=2)
    assert again.lookup([b"a" * 16, b"b" * 16]) == {b"b" * 16: Entry(5, NONE_16)}
    assert again.watermark() == 6
    again.close()


def test_a_log_restored_from_a_copy_counts_its_epochs_again_and_gets_its_index(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a")])
    engine.close()
    data = tmp_path / "data"
    shutil.copy(data / "log.db", tmp_path / "copy.db")
    for _ in range(5):
        opened(tmp_path).close()
    for file in data.glob("log.db*"):
        file.unlink()
    shutil.copy(tmp_path / "copy.db", data / "log.db")
    engine = opened(tmp_path)
    assert engine.submit([ask("a")])[0].status == "repeated"
    engine.close()


def test_whoever_was_fenced_while_opening_does_not_remove_the_index_of_the_other(tmp_path, monkeypatch):
    from quanheng import recovery

    opened(tmp_path).close()
    rebuild, other = recovery.rebuild, []

    def overtaken(*arguments, **options):
        state = rebuild(*arguments, **options)
        if not other:
            other.append(None)
            other[0] = opened(tmp_path)
            other[0].submit([ask("a")])
            other[0].index.flush()
        return state

    monkeypatch.setattr(recovery, "rebuild", overtaken)
    with pytest.raises(EpochFenced, match="a newer writer has taken over the log"):
        Engine.open(tmp_path / "data", clock=lambda: 1_768_471_200_000)
    assert other[0].submit([ask("a"), ask("b")])[0].status == "repeated"
    other[0].close()
    opened(tmp_path).close()
