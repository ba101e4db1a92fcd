"""Who comes second is told what is owned, by whom, and what to do."""

from __future__ import annotations

import os

import pytest

from quanheng.events.stream import StreamSettings
from quanheng.server.config import Config, Storage
from quanheng.server.lock import FolderInUse, FolderLock
from quanheng.server.logs import Log
from quanheng.server.streams import consume


def test_a_folder_has_one_owner_until_it_is_given_back(tmp_path):
    first = FolderLock(tmp_path)
    with pytest.raises(FolderInUse) as error:
        FolderLock(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: another Quanheng process owns this data folder; was process {os.getpid()}. "
        "Stop it first, send to its HTTP address, or use another folder (storage.data, --data)."
    )
    first.close()
    FolderLock(tmp_path).close()


def test_a_stream_that_is_read_already_is_told_as_a_stream(tmp_path):
    config = Config(storage=Storage(data=str(tmp_path)), stream={"requests": StreamSettings(source="S")})
    folder = tmp_path / "streams" / "requests"
    reader = FolderLock(folder)
    with pytest.raises(FolderInUse) as error:
        consume(config, "requests", Log("info", "stream"))
    reader.close()
    assert str(error.value) == (
        f"{folder}: another process on this machine reads this stream; was process {os.getpid()}. Let it read, or stop "
        "it; `quanheng serve` reads every stream whose section does not say serve = false."
    )
