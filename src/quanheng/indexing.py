"""The request index on opening: caught up with the log, and built again where it belongs to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quanheng.kernel.errors import ConfigurationError, EpochFenced
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import EVENT, NONE_16, Columns
from quanheng.kernel.log.sqlite import refusal
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, read_batches

INDEX_CHECKED = 512
"""How many of the newest records are compared with the request index on opening."""


def open_index(path: Path, log: Log) -> RequestIndex:
    """The request index, caught up with the log. One that belongs to another log is built again: it is derived."""
    try:
        index = RequestIndex(path, epoch=log.epoch or 0)
    except EpochFenced:
        _check_epoch(log)
        index = _built_again(path, log)  # Of another timeline: a log restored from a copy counts its epochs again.
    if index.watermark() > log.head:
        raise ConfigurationError(
            "the request index is ahead of the log",
            where=str(path),
            found=str(index.watermark()),
            allowed=f"at most {log.head}",
            cure="Is the log file the right one? If it was restored from a copy, delete the index: it is built again.",
        )
    if not _agrees(index, log):
        index.close()
        index = _built_again(path, log)
    for first, part in read_batches(log, index.watermark(), log.head):
        if isinstance(part, Columns):
            index.add_columns(first, part)
        else:  # Transfers are not requests of clients: the ledger knows their ids.
            index.add([], first + len(part))
    return index


def _built_again(path: Path, log: Log) -> RequestIndex:
    """An empty index in place of one that belongs to another log. Whoever was fenced meanwhile may not remove it."""
    _check_epoch(log)
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
    return RequestIndex(path, epoch=log.epoch or 0)


def _check_epoch(log: Log) -> None:
    tip = log.store.tip()
    if tip.epoch != log.epoch:
        raise refusal("the log", tip, log.head, log.head, log.epoch or 0)


def _agrees(index: RequestIndex, log: Log) -> bool:
    """Whether the newest records that the index covers are where it says. One of another timeline differs there."""
    upto = index.watermark()
    first_checked = max(0, upto - INDEX_CHECKED)
    for first, columns in log.read_columns(first_checked, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, upto):
        keys = {columns.request_key(int(row)): first + int(row) for row in np.flatnonzero(columns.kind == EVENT)}
        keys.pop(NONE_16, None)
        found = index.lookup(list(keys)) if keys else {}
        if any(key not in found or found[key].event != offset for key, offset in keys.items()):
            return False
    return True
