"""The follower of trials beside a server: there while a version is on trial, of lowest priority, gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.governing import Asked
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files
from quanheng.server import trials
from quanheng.server.config import Config, Storage
from quanheng.shadow_book import Book

WAIT_S = 60.0


@pytest.fixture
def engine(tmp_path):
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    engine.activate([read_packs()["party"], read_pack(starter_files("shop"), "shop")])
    yield engine
    engine.close()


def take(engine, step: str, actor: str, version: str = "", **more) -> str:
    asked = Asked(step, actor, "shop" if version else "", version, reason="x", **more)
    return engine.take_step(engine.propose_step(asked)).hash


async def until(found) -> None:
    end_s = time.monotonic() + WAIT_S
    while not found():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.05)


def test_a_version_in_shadow_is_followed_until_it_is_retired(engine, tmp_path, monkeypatch):
    started = []
    real = asyncio.create_subprocess_exec

    async def start(*command):
        started.append(await real(*command))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    config = Config(storage=Storage(data=str(tmp_path / "data"), keys=str(tmp_path / "keys")))
    files = {name: data.replace(b"value = 10,", b"value = 9,") for name, data in starter_files("shop").items()}

    async def story():
        following = asyncio.create_task(trials.follow_trials(config, engine, look_s=0.05))
        await asyncio.sleep(0.3)
        assert not started  # Nothing is on trial.
        hash = take(engine, "draft", "ann", files=files)
        take(engine, "submit", "ann", hash)
        take(engine, "approve", "ben", hash)
        take(engine, "shadow", "ann", hash)
        row = {"time_ms": 1_768_471_200_000, "customer": "anna", "amount_minor": 100, "currency": "EUR"}
        engine.submit([Request("web", "a", "shop.request", json.dumps(row).encode())])
        book = Book(tmp_path / "data")
        await until(lambda: book.told("shop", hash)["reached"] == engine.log.head)
        assert [cell["count"] for cell in book.told("shop", hash)["matrix"]] == [1]
        assert os.getpriority(os.PRIO_PROCESS, started[0].pid) == trials.NICE
        started[0].kill()  # One that dies is started again.
        await until(lambda: len(started) == 2)
        take(engine, "retire", "ann", hash)
        await until(lambda: started[1].returncode is not None)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        book.close()
        assert len(started) == 2

    asyncio.run(story())


def test_a_server_that_stops_takes_its_follower_with_it(engine, tmp_path, monkeypatch):
    config = Config(storage=Storage(data=str(tmp_path / "data"), keys=str(tmp_path / "keys")))
    monkeypatch.setattr(type(engine.state.versions), "trials", lambda _: [object()])
    started = []
    real = asyncio.create_subprocess_exec

    async def start(*command):
        started.append(await real(*command))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    async def story():
        following = asyncio.create_task(trials.follow_trials(config, engine, look_s=0.05))
        await until(lambda: started)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert started[0].returncode is not None

    asyncio.run(story())
