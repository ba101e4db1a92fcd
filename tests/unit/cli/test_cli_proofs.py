# ruff: noqa: E501  (texts under test stand whole, on one line)
"""`quanheng log prove`, `check-proof`, `watch`, `verify`, `key`: from a log to a third party that holds nothing of it."""

from __future__ import annotations

import json
import sqlite3

import pytest

from quanheng.cli.main import main
from quanheng.kernel import checkpoint


@pytest.fixture
def tell(tmp_path, capsys, monkeypatch):
    """Runs a command on a log of three records; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quanheng.toml").write_text(
        '[storage]\ndata = "data"\nkeys = "keys"\n[proofs]\norigin = "bank.example/log"\n'
        'signatures = ["ed25519", "ml-dsa-65"]\n'
    )

    def run(*arguments):
        code = main([*arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    for name in ("ann", "ben", "cid"):
        assert run("token", "create", name)[0] == 0
    return run


@pytest.fixture
def keys(tell):
    return tell("log", "key")[1].split()


def test_keys_are_shown(tell, keys):
    assert [key.partition("+")[0] for key in keys] == ["bank.example/log"] * 2
    shown = json.loads(tell("log", "key", "--json")[1])
    assert shown == [{"kind": kind, "key": key} for kind, key in zip(("ed25519", "ml-dsa-65"), keys, strict=True)]
    assert tell("log", "key", "--kind", "ml-dsa-65")[1].split() == keys[1:]
    code, _, told = tell("log", "key", "--kind", "rsa")
    assert (code, "not a kind of signature; was rsa" in told) == (2, True)
    code, _, told = tell("log", "key", "--keys", "nowhere")
    assert (code, told) == (
        2, "error: nowhere: there is no key ring. Give its folder with --keys, or start a server first.\n",
    )  # fmt: skip


def test_a_record_is_proved_to_somebody_without_the_log(tell, keys, tmp_path):
    assert tell("log", "prove", "1", "--out", "proof.json")[2] == "written: proof.json\n"
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    for given in ([keys[0]], keys, ["@keys.txt"]):
        code, out, _ = tell("log", "check-proof", "proof.json", "--key", *given)
        assert code == 0
        assert out.startswith("bank.example/log: the record at offset 1 is in the log of 3 records\nleaf hash ")
        assert "kind event, type 2, time 2" in out
    shown = json.loads(tell("log", "check-proof", "proof.json", "--key", keys[0], "--json")[1])
    assert (shown["offset"], shown["size"], shown["record"]["kind"]) == (1, 3, "event")
    (tmp_path / "bare.json").write_text(tell("log", "prove", "1", "--hash-only")[1])
    bare = json.loads(tell("log", "check-proof", "bare.json", "--key", keys[0], "--json")[1])
    assert (bare["leaf"], "record" in bare) == (shown["leaf"], False)
    assert tell("log", "check-proof", "bare.json", "--key", keys[0])[1].count("\n") == 2


def test_what_does_not_fit_is_refused(tell, keys, tmp_path):
    tell("log", "prove", "1", "--out", "proof.json")
    text = (tmp_path / "proof.json").read_text()
    (tmp_path / "wrong.json").write_text(text.replace('"offset": 1', '"offset": 2'))
    code, out, told = tell("log", "check-proof", "wrong.json", "--key", keys[0])
    assert (code, out) == (1, "")
    assert "the proof does not lead from the record to the signed root" in told
    assert tell("log", "check-proof", "proof.json")[2] == (
        "error: --key: a public key of the log is needed; was nothing; allowed: name+key id+base64. "
        "The owner shows it with `quanheng log key`.\n"
    )
    code, _, told = tell("log", "check-proof", "gone.json", "--key", keys[0])
    assert (code, told) == (
        2,
        "error: gone.json: the proof cannot be read; was No such file or directory. Give an existing file.\n",
    )
    assert tell("log", "prove", "3")[2].startswith("error: no such record to prove; was 3 of 3; allowed: 0..2")


def test_growth_is_proved_and_watched_by_files(tell, keys, tmp_path):
    tell("log", "checkpoint", "--out", "old.txt")
    watch = ("--checkpoint-dir", "seen", "--key", keys[0])
    assert tell("log", "watch", "old.txt", *watch)[:2] == (
        0, "bank.example/log: 3 records; the first look, so this is what later ones are measured by\n",
    )  # fmt: skip
    tell("token", "create", "dan")
    tell("log", "checkpoint", "--out", "new.txt")
    code, _, told = tell("log", "watch", "new.txt", *watch)
    assert code == 2
    assert "a proof from the remembered checkpoint is needed; was a checkpoint alone; allowed: a proof from 3" in told
    tell("log", "prove-consistency", "seen/latest.checkpoint", "--out", "growth.json")
    assert tell("log", "check-proof", "growth.json", "--key", keys[0])[1] == (
        "bank.example/log: the log of 4 records begins with the one of 3 records\n"
    )
    assert json.loads(tell("log", "check-proof", "growth.json", "--key", keys[0], "--json")[1])["old_size"] == 3
    code, out, _ = tell("log", "watch", "growth.json", *watch, "--json")
    seen = json.loads(out)
    assert (code, seen["sighting"], seen["alarm"], seen["old_size"], seen["size"]) == (0, "grown", False, 3, 4)
    tell("token", "create", "eve")
    tell("log", "prove-consistency", "new.txt", "--checkpoint", "new.txt", "--out", "same.json")
    assert tell("log", "watch", "same.json", *watch)[1] == "bank.example/log: 4 records, as before\n"
    tell("log", "prove-consistency", "old.txt", "--out", "other.json")
    assert (
        "was a proof from 3 records; allowed: a proof from 4 records to 5"
        in tell("log", "watch", "other.json", *watch)[2]
    )
    assert "older than the remembered one" in tell("log", "watch", "old.txt", *watch)[2]
    tell("log", "prove", "0", "--out", "proof.json")
    assert "a monitor wants a checkpoint or a consistency proof" in tell("log", "watch", "proof.json", *watch)[2]
    assert "the checkpoint or proof cannot be read" in tell("log", "watch", "gone", *watch)[2]
    assert "not an address of a server; was ftp://x" in tell("log", "watch", "ftp://x", *watch)[2]
    code, _, told = tell("log", "watch", "http://127.0.0.1:9", *watch)
    assert (code, "the server cannot be reached" in told) == (1, True)


def test_an_alarm_has_an_exit_code_of_its_own(tell, keys, tmp_path):
    """Another log under the same keys, as after a restore from a copy of before the first record."""
    tell("log", "checkpoint", "--out", "old.txt")
    for one in ("log.db", "log.db-wal", "log.db-shm", "log.db.head", "index.db"):
        (tmp_path / "data" / one).unlink(missing_ok=True)
    for name in ("ann", "ben", "mallory"):
        tell("token", "create", name)
    tell("log", "checkpoint", "--out", "new.txt")
    watch = ("--checkpoint-dir", "seen", "--key", keys[0])
    tell("log", "watch", "old.txt", *watch)
    code, out, _ = tell("log", "watch", "new.txt", *watch)
    assert code == 3
    assert out.startswith(
        "ALARM bank.example/log: FORKED. 3 records under another root than the one it signed before. "
    )
    assert "Both signed notes are kept in seen/alarms/forked-3-" in out
    code, out, _ = tell("log", "watch", "new.txt", *watch, "--json")
    assert (code, json.loads(out)["alarm"]) == (3, True)
    code, out, _ = tell("log", "verify", "--checkpoint", "old.txt", "new.txt", "--key", *keys)
    assert code == 1
    assert out.startswith("FORKED: the log is whole, but somewhere in 0 to before 3 it is not the one that was signed.")
    assert tell("log", "prove-consistency", "old.txt")[0] == 1


def test_a_copy_is_verified_without_the_ring(tell, keys, tmp_path):
    tell("log", "checkpoint", "--out", "old.txt")
    (tmp_path / "quanheng.toml").unlink()
    code, out, _ = tell(
        "log", "verify", "--data", "data", "--keys", "none", "--checkpoint", "old.txt", "--key", keys[0]
    )
    assert code == 0
    assert "3 records in 3 batches are as they were written" in out
    assert not (tmp_path / "none").exists()
    note = (tmp_path / "old.txt").read_text()
    assert checkpoint.verify(note, keys).size == 3


@pytest.mark.parametrize(
    ("statement", "text", "damage"),
    [
        ("UPDATE batches SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE first = 1",
         "CHANGED: one or more of the records 1 to before 2 are not those that were written. log offset 1: ", "records"),
        ("UPDATE batches SET received_ms = 1 WHERE first = 1",
         "CHANGED: the records 1 to before 2 are those that were written, their batch's fields are not. ", "batch"),
        ("DELETE FROM batches WHERE first = 1", "MISSING: a batch is not in its place, records 1 to before 2. ", "missing"),
        ("DELETE FROM batches WHERE first = 2", "TRUNCATED: the records 2 to before 3 are gone. ", "truncated"),
    ],
)  # fmt: skip
def test_verify_says_what_is_wrong_and_where(tell, tmp_path, statement, text, damage):
    with sqlite3.connect(tmp_path / "data" / "log.db") as db:
        assert db.execute(statement).rowcount == 1
    db.close()
    code, out, _ = tell("log", "verify")
    assert code == 1
    assert out.startswith(text)
    shown = json.loads(tell("log", "verify", "--json")[1])
    assert (shown["ok"], shown["damage"]) == (False, damage)


def test_a_checkpoint_of_other_keys_is_refused(tell, keys, tmp_path):
    tell("log", "checkpoint", "--out", "old.txt")
    tell("token", "create", "x", "--data", "data2", "--keys", "keys2")
    code, _, told = tell("log", "verify", "--data", "data2", "--keys", "keys2", "--checkpoint", "old.txt")
    assert (code, "the checkpoint is not signed by the expected key" in told) == (1, True)
    assert tell("log", "verify", "--checkpoint", "gone.txt")[2] == (
        "error: gone.txt: the checkpoint cannot be read; was No such file or directory. Give an existing file.\n"
    )
