# ruff: noqa: RUF043  (texts under test stand whole, on one line)
"""One configuration file: defaults, every wrong key reported with the cure, and a reference page that is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quanheng.kernel.errors import ConfigurationError
from quanheng.server import config

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def read(tmp_path, text, overrides=None):
    file = tmp_path / "quanheng.toml"
    file.write_text(text, encoding="utf-8")
    return config.read(file, overrides)


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.read() == config.Config()


def test_a_file_in_the_current_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quanheng.toml").write_text("[server]\nport = 9000\n")
    assert config.read().server.port == 9000


def test_the_command_line_wins_and_none_leaves_alone(tmp_path):
    found = read(tmp_path, '[server]\nport = 9000\n[packs]\nload = ["a"]\n', {"server.port": 9001, "packs.load": None})
    assert (found.server.port, found.packs.load) == (9001, ("a",))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "[sever]\nport = 1\n",
            "[sever] is an unknown section, perhaps 'server'; allowed: server, storage, packs, limits, logs",
        ),
        ("port = 1\n", "[port] is an unknown section"),
        ("server = 1\n", "server was 1; allowed: a table [server]"),
        ("[server]\nprot = 1\n", "server.prot is an unknown key, perhaps 'port'; allowed: address, port, workers"),
        ('[server]\nport = "a"\n', "server.port was 'a'; allowed: a whole number"),
        ("[server]\nport = true\n", "server.port was True; allowed: a whole number"),
        ("[server]\nport = 70000\n", "server.port was 70000; allowed: 1 to 65535"),
        ("[clock]\naccept_log_ahead = 1\n", "clock.accept_log_ahead was 1; allowed: true or false"),
        ("[server]\naddress = 5\n", "server.address was 5; allowed: a text"),
        ('[server]\naddress = ""\n', "server.address was empty; allowed: a text"),
        ("[packs]\nload = [1]\n", "packs.load was [1]; allowed: a list of texts"),
        ('[packs]\nload = "a"\n', "packs.load was 'a'; allowed: a list of texts"),
        ('[logs]\nlevel = "loud"\n', "logs.level was 'loud'; allowed: debug, info, warning, error"),
        (
            '[storage]\nstore = "mysql"\n',
            'storage.store was \'mysql\'; allowed: "sqlite" or "postgresql://user@host/name"',
        ),
    ],
)
def test_a_wrong_key_names_file_key_found_allowed_and_cure(tmp_path, text, finding):
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'quanheng.toml'}: {finding}")
    assert str(error.value).endswith("See docs/reference/configuration.md.")


def test_what_the_command_line_lays_over_a_value_that_is_no_table_is_still_a_finding(tmp_path):
    (tmp_path / "quanheng.toml").write_text("server = 5\n")
    with pytest.raises(ConfigurationError, match=r"server was 5; allowed: a table \[server\]\. See docs/reference"):
        config.read(tmp_path / "quanheng.toml", {"server.port": 8771})


def test_every_finding_is_reported_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, "[server]\nport = 0\nworkers = 0\n[limits]\nx = 1\n")
    assert all(key in str(error.value) for key in ("server.port", "server.workers", "limits.x"))


@pytest.mark.parametrize("key", sorted(config.RANGES))
def test_every_range_is_enforced_at_both_ends(tmp_path, key):
    section, _, name = key.partition(".")
    low, high = config.RANGES[key]
    for value in (low, high):
        assert getattr(getattr(read(tmp_path, f"[{section}]\n{name} = {value}\n"), section), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigurationError, match=f"{re.escape(key)} was {value}; allowed: {low} to {high}"):
            read(tmp_path, f"[{section}]\n{name} = {value}\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"none\.toml: the configuration file does not exist\. Give an existing"
    ):
        config.read(tmp_path / "none.toml")


def test_what_is_not_toml_is_named_with_its_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"the configuration file is not TOML; was .*line 1.*Correct the line"):
        read(tmp_path, "server = = 1")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "quanheng.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        ConfigurationError, match="the configuration file cannot be read; was .*Check its rights and encoding"
    ):
        config.read(tmp_path / "quanheng.toml")


def test_the_reference_page_lists_every_key_with_its_default():
    rows = re.findall(r"^\| `(\w+(?:\.\w+)+)` \| `([^`]*)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = dict(rows)
    shown = {key: _toml(value) for key, value in config.keys().items()}
    assert told == shown


def test_the_example_of_the_reference_page_is_valid(tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        read(tmp_path, block)


def test_a_long_data_folder_still_gets_a_socket(tmp_path):
    short = config.read(None, {"storage.data": str(tmp_path / "d")})
    long = config.read(None, {"storage.data": str(tmp_path / ("d" * 120))})
    assert config.socket_path(short) == tmp_path / "d" / "core.sock"
    assert len(str(config.socket_path(long))) < 100
    assert config.socket_path(long) == config.socket_path(long)


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[]" if not value else str(list(value)).replace("'", '"')
    return f'"{value}"' if isinstance(value, str) else str(value)


ADDRESS = '[outbox.addresses.bureau]\nchannel = "http"\nurl = "https://bureau.example/ask"\n'
WRONG_ADDRESSES = [
    ("[outbox]\nconcurrency = 0\n", "outbox.concurrency was 0; allowed: 1 to 1000"),
    ("[outbox]\nconcurency = 1\n", "outbox.concurency is an unknown key, perhaps 'concurrency'"),
    ("[outbox]\naddresses = 1\n", "outbox.addresses was 1; allowed: tables [outbox.addresses.NAME]"),
    ("[outbox.addresses.Bureau]\n", "outbox.addresses.Bureau is no address; allowed: a table [outbox.addresses.NAME]"),
    ("[outbox.addresses]\nx = 1\n", "outbox.addresses.x is no address"),
    (ADDRESS + "tries = 1\n", "outbox.addresses.bureau.tries is an unknown key"),
    (ADDRESS + 'concurrency = "8"\n', "outbox.addresses.bureau.concurrency was '8'; allowed: a whole number"),
    (ADDRESS + "headers = {a = 1}\n", "outbox.addresses.bureau.headers was {'a': 1}; allowed: a table of texts"),
    (ADDRESS.replace("https", "ftp"), "outbox.addresses.bureau.url was 'ftp://bureau.example/ask'"),
]


@pytest.mark.parametrize(("text", "finding"), WRONG_ADDRESSES)
def test_a_wrong_address_is_found(tmp_path, text, finding):
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, text)
    assert finding in str(error.value)


def test_an_address_is_read(tmp_path):
    one = read(tmp_path, ADDRESS).outbox.addresses["bureau"]
    assert (one.channel, one.url, one.concurrency) == ("http", "https://bureau.example/ask", 8)
