"""`quanheng token`: tokens that are limited to owners and legal entities are issued, listed and refused."""

from __future__ import annotations

import json

import pytest

from quanheng.cli.main import main


@pytest.fixture
def token(tmp_path, capsys):
    """Runs `quanheng token`; (exit code, standard output, standard error)."""

    def run(*arguments):
        place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
        code = main(["token", *arguments, *place])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_token_is_limited_and_the_list_says_to_what(token):
    code, out, _ = token("create", "anna", "--scope", "read", "post", "--owner", "0x29", "7", "--entity", "2", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["token"].startswith("qh_")
    assert {name: told[name] for name in ("name", "scopes", "owners", "entities")} == {
        "name": "anna", "scopes": ["read", "post"], "owners": ["0x29", "7"], "entities": [2],
    }  # fmt: skip
    assert token("create", "till", "--scope", "read")[0] == 0
    lines = token("list")[1].splitlines()
    assert lines[0].startswith("anna  read, post  owners 41, 7  entities 2  ")
    assert lines[1].startswith("till  read  ")
    assert "owners" not in lines[1]
    shown = json.loads(token("list", "--json")[1])
    assert (shown[0]["owners"], shown[0]["entities"]) == (["41", "7"], [2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--scope", "admin", "--owner", "1"),
            "a token that is limited to owners or entities can do nothing beyond them",
        ),
        (("--scope", "read", "--owner", "anna"), "owners: this is no id of the ledger; was 'anna'"),
        (("--scope", "read", "--entity", "0"), "entities: a token cannot be limited to this number; was 0"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(token, arguments, message):
    code, _, told = token("create", "anna", *arguments)
    assert code != 0
    assert message in told.replace("\n", " ")
