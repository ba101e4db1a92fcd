# ruff: noqa: E501  (texts under test stand whole, on one line)
"""`quanheng list`: changes, files with rejects, four eyes by two tokens, what is refused."""

from __future__ import annotations

import json

import pytest

from quanheng.cli import admin
from quanheng.cli.lists import read_values
from quanheng.cli.main import main
from quanheng.kernel.errors import InputError


@pytest.fixture
def tell(tmp_path, capsys, monkeypatch):
    """Runs a command on a folder where card_fraud is in force; gives exit code, output and errors."""
    place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]

    def run(*arguments, token=""):
        monkeypatch.setenv("QUANHENG_TOKEN", token)
        code = main([*arguments, *place])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert run("pack", "activate", "card_fraud")[0] == 0
    return run


def token(tell, name, *scopes):
    return tell("token", "create", name, "--scope", *scopes)[1].strip()


def test_a_list_is_kept_from_the_command_line(tell, tmp_path):
    ann = token(tell, "ann", "author", "read")
    code, out, _ = tell("list", "add", "blocked_devices", "d1", "d2", "--for", "30d", "--reason", "stolen", token=ann)
    assert (code, out) == (0, "add 2 entries, card_fraud.blocked_devices, offset 2\n")
    code, out, _ = tell("list", "find", "blocked_devices", "d1")
    assert code == 0
    assert out.endswith("ann: stolen\n")
    assert tell("list", "find", "blocked_devices", "d9")[:2] == (1, "d9 is not on card_fraud.blocked_devices\n")
    assert tell("list", "remove", "blocked_devices", "d1", token=ann)[1] == (
        "remove 1 entry, card_fraud.blocked_devices, offset 3\n"
    )
    shown = json.loads(tell("list", "show", "blocked_devices", "--json")[1])
    assert [one["value"] for one in shown["shown"]] == ["d2"]
    assert tell("list")[1].splitlines() == [
        "card_fraud.blocked_devices  deny  1 entries of party.device  Devices that may not pay",
        "card_fraud.watched_terminals  watch  0 entries of party.terminal  Terminals whose payments a person sees first",
    ]
    history = tell("list", "history", "blocked_devices")[1].splitlines()
    assert [line.partition("  ")[2] for line in history] == [
        "add 2 entries, card_fraud.blocked_devices, offset 2 by ann: stolen",
        "remove 1 entry, card_fraud.blocked_devices, offset 3 by ann",
    ]


def test_a_file_is_imported_with_its_rejects(tell, tmp_path):
    ann = token(tell, "ann", "author", "read")
    file, rejects = tmp_path / "stolen.csv", tmp_path / "rejects.csv"
    file.write_text(f"who,device\na,d1\nb,\nc,d2\nd,d1\ne,{'x' * 2000}\nf\n")
    asked = ["list", "import", "blocked_devices", str(file), "--column", "device", "--rejects", str(rejects)]
    code, out, err = tell(*asked, token=ann)
    assert (code, out) == (0, "add 2 entries, card_fraud.blocked_devices, offset 2; 4 rows rejected\n")
    assert "row 3: there is no value" in err
    rows = rejects.read_text().splitlines()
    assert rows[:3] == ["row,value,why", "3,,there is no value", "5,d1,the value stands in the file already"]
    assert rows[3].endswith(",the value is too long")
    assert rows[4] == "7,,there is no value"


def test_two_people_change_a_list_where_four_eyes_are_demanded(tell, monkeypatch):
    ann, bob = token(tell, "ann", "author", "approve"), token(tell, "bob", "approve", "read")
    opened = admin.locked_engine

    class FourEyes:
        def __init__(self, config):
            self.opened = opened(config)

        def __enter__(self):
            engine = self.opened.__enter__()
            engine.four_eyes = True
            return engine

        def __exit__(self, *error):
            return self.opened.__exit__(*error)

    monkeypatch.setattr(admin, "locked_engine", FourEyes)
    out = tell("list", "add", "blocked_devices", "d1", token=ann)[1]
    assert out.endswith("offset 3; it waits for another person: quanheng list approve 3\n")
    assert "waiting: add 1 entry, card_fraud.blocked_devices, offset 3 by ann" in tell("list")[1]
    assert tell("list", "show", "3")[1].splitlines()[1] == "d1"
    code, _, err = tell("list", "approve", "3", token=ann)
    assert code == 2
    assert "whoever proposed a change of a list cannot judge it" in err
    assert tell("list", "approve", "3", token=bob)[1] == (
        "approved: add 1 entry, card_fraud.blocked_devices, offset 3 by ann\n"
    )
    assert tell("list", "find", "blocked_devices", "d1")[0] == 0
    tell("list", "remove", "blocked_devices", "d1", token=ann)
    assert tell("list", "reject", "5", "--reason", "not yet", token=bob)[0] == 0
    assert tell("list", "find", "blocked_devices", "d1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "nothing", "d1"], "no pack in force declares such a list"),
        (["add", "blocked_devices", "d1", "--for", "1d", "--until", "2030-01-01"], "an entry expires either at a moment or"),
        (["import", "blocked_devices", "no.csv"], "there is no such file"),
        (["approve", "7"], "no change of a list waits there"),
    ],
)  # fmt: skip
def test_what_is_refused(tell, arguments, text):
    all_ = token(tell, "all", "admin")
    code, _, err = tell("list", *arguments, token=all_)
    assert code == 2
    assert text in err


def test_a_change_needs_the_scope(tell):
    code, _, err = tell("list", "add", "blocked_devices", "d1", token=token(tell, "eve", "read"))
    assert code == 2
    assert "the client may not do this; was read; allowed: author" in err


def test_files_that_are_no_csv(tmp_path):
    file = tmp_path / "x.csv"
    file.write_bytes(b"device\n\xff\xfe\n")
    with pytest.raises(InputError, match="the file is no CSV in UTF-8"):
        read_values(file)
    file.write_text("device\nd1\n")
    with pytest.raises(InputError, match="the file has no such column; was 'other'; allowed: device"):
        read_values(file, "other")
    file.write_text("")
    with pytest.raises(InputError, match="the file has no such column; was ''; allowed: none"):
        read_values(file)
