"""Error texts of the edges that need no server and no data to be read."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
from shop import packs

from quanheng.cli import admin, bench, models, proofs, run, simulate
from quanheng.cli.main import main
from quanheng.decisions.dmn import read_model
from quanheng.engine import Engine
from quanheng.kernel.errors import (
    ConfigurationError,
    DeclarationError,
    InputError,
    MissingExtra,
    NotAuthenticated,
    NotFound,
)
from quanheng.loading import load_packs
from quanheng.loading.find import find_packs
from quanheng.server import config as configuration
from quanheng.server.lock import FolderLock
from quanheng.server.opening import activate


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(bench, "PEERS", {"no_such_package": "no_such_package"})
    one = SimpleNamespace(id="x", peers=("no_such_package",), module="", function="")
    with pytest.raises(MissingExtra) as caught:
        bench.measure(SimpleNamespace(root=Path(), benches={}), one, quick=True)
    assert str(caught.value) == (
        "bench x needs the package 'no_such_package', which is not installed. Run: pip install 'quanheng[bench]'"
    )


def test_outside_a_checkout_there_is_no_manifest_of_benches(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "a" / "b" / "c" / "bench.py"))
    with pytest.raises(NotFound, match=r"there is no bench/manifest\.toml"):
        bench.find_benches()


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(NotFound, match="the checkpoint cannot be read; was No such file or directory"):
        proofs.text_of(tmp_path / "none")


def test_no_pack_in_force(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Engine.open(".quanheng/data", keys=".quanheng/keys").close()
    assert main(["pack", "activate"]) == 2
    assert "no pack is in force" in capsys.readouterr().err


def test_a_server_that_does_not_start_says_what_it_said(tmp_path):
    log = tmp_path / "serve.log"
    log.write_text("error: packs.load: there is no such pack\n")
    ended = SimpleNamespace(poll=lambda: 2)
    with pytest.raises(run.ServerDidNotStart) as caught:
        run._wait(ended, configuration.read(None, {}), log)
    assert str(caught.value) == f"{log}: the server did not start; was packs.load: there is no such pack"


def test_a_pack_without_traffic_cannot_be_played():
    files = {"party": packs()[0], "shop": packs()[1]}
    declared = list(load_packs(["shop"], files).values())
    with pytest.raises(NotFound, match=r"the pack declares no traffic; allowed: a pack with traffic\.toml"):
        simulate.simulation_of(declared, "shop")


def test_what_is_no_dmn_names_the_file():
    with pytest.raises(DeclarationError, match=r"x\.dmn is not a usable DMN model: 1 problem"):
        read_model(b"<nothing/>", "x.dmn")


def test_two_distributions_with_a_pack_of_one_name():
    point = EntryPoint("party", "somewhere.party", "quanheng.packs")
    with pytest.raises(DeclarationError, match="installed packs cannot be listed: 1 problem") as caught:
        find_packs([point])
    assert "the name of the pack is taken" in str(caught.value)


def test_a_start_without_any_pack(tmp_path):
    engine = Engine.open(tmp_path / "data")
    with pytest.raises(ConfigurationError, match="no pack is configured, and none was in force before"):
        activate(engine, configuration.read(None, {}))
    engine.close()


def test_a_running_server_is_not_asked_without_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("QUANHENG_TOKEN", raising=False)
    config = configuration.read(None, {"storage.data": str(tmp_path / "data"), "storage.keys": str(tmp_path / "keys")})
    monkeypatch.setattr(admin, "socket_path", lambda config: tmp_path)  # There is one: whoever owns the folder serves.
    (tmp_path / "data").mkdir()
    lock = FolderLock(tmp_path / "data")
    with pytest.raises(NotAuthenticated, match="there is no token to ask with"):
        admin.administer(config, "tokens", {})
    lock.close()


def test_a_model_is_written_to_a_folder_only(monkeypatch):
    monkeypatch.setattr(models, "pack_of", lambda pack, place: (None, None, None))
    with pytest.raises(InputError, match="the pack is not in a folder that can be written") as caught:
        models.train("zipped")
    assert "zipped: " in str(caught.value)
