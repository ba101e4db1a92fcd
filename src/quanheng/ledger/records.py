"""Facts of the ledger as records of the log, kind TRANSFER: a header and no payload, 184 bytes each.

Both layouts of a fact (`quanheng.ledger.wire`) become a record by the same moves of 64-bit words, so a batch is turned
as arrays, without work a row in Python::

    type code      kind of the fact: 1 LINE, 2 EXPIRY, 3 BURN, 4 OPENED, 5 AMENDED
    time_ms, received_ms   applied_ms of the fact, which is the writer's stamp
    request key    id of the transfer or the account, not keyed
    of transfers   4 keys: debit, credit, reference, user_data
                   4 numbers: asked_minor, amount_minor, time_ms, marks
    of accounts    2 keys: owner, user_data
                   8 numbers: asset | entity << 32, overdraft, payment_max, day_max, balance_max, net_debit_cap,
                   opened_ms, marks
    marks          flags | code << 16 | day << 32
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.records import HEADER_BYTES, NO_CAUSE, TRANSFER, VERSION, positions
from quanheng.ledger.kernel.words import F_APPLIED, F_ID, F_KIND, F_MARKS, F_WORDS
from quanheng.ledger.wire import TRANSFER_FACT, FactKind

RECORD_BYTES = 184
_WORDS = RECORD_BYTES // 8
_NAMES, _TIME, _RECEIVED, _CAUSE, _SUBJECT, _REQUEST, _COUNTS, _TAIL = 0, 1, 2, 3, 4, 6, 10, 11
_KIND_AT = 5
"""Byte of a record that says its kind."""
_CONTENT = slice(F_ID + 2, F_APPLIED)
"""Words of a fact that stand in the tail of its record in the same order; its marks follow."""
_SHAPES = {kind: (2, 8) if kind in (FactKind.OPENED, FactKind.AMENDED) else (4, 4) for kind in FactKind}
assert HEADER_BYTES == 8 * _TAIL
assert {HEADER_BYTES + 16 * keys + 8 * numbers for keys, numbers in _SHAPES.values()} == {RECORD_BYTES}

_NAMES_OF = np.zeros(len(_SHAPES) + 1, np.int64)
_COUNTS_OF = np.zeros(len(_SHAPES) + 1, np.int64)
for _kind, (_keys, _numbers) in _SHAPES.items():
    _NAMES_OF[_kind] = RECORD_BYTES | VERSION << 32 | TRANSFER << 40 | int(_kind) << 48
    _COUNTS_OF[_kind] = _keys | _numbers << 8


def records_of(facts: np.ndarray, cause: int | NDArray[np.int64] = NO_CAUSE) -> bytes:
    """The records of facts, joined.

    Parameters
    ----------
    facts : TRANSFER_FACT[n] or ACCOUNT_FACT[n], as `Ledger.facts` gives them
    cause : offset of the record that caused them, `NO_CAUSE` = none; or of each, i64[n]
    """
    words = np.ascontiguousarray(facts).view(np.int64).reshape(-1, F_WORDS)
    kinds = words[:, F_KIND] & 255
    rows = np.empty((len(words), _WORDS), np.int64)
    rows[:, _NAMES], rows[:, _COUNTS] = _NAMES_OF[kinds], _COUNTS_OF[kinds]
    rows[:, _TIME] = rows[:, _RECEIVED] = words[:, F_APPLIED]
    rows[:, _CAUSE] = cause
    rows[:, _SUBJECT:_COUNTS] = 0
    rows[:, _REQUEST : _REQUEST + 2] = words[:, F_ID : F_ID + 2]
    rows[:, _TAIL:-1], rows[:, -1] = words[:, _CONTENT], words[:, F_MARKS]
    return rows.tobytes()


def facts_of(body: bytes, positions: NDArray[np.int64]) -> np.ndarray:
    """The facts of those records of a batch that begin at `positions`, as TRANSFER_FACT[n] (see `Ledger.facts`).

    Raises
    ------
    LogCorrupt : one of them is no record of the ledger
    """
    if not len(positions):
        return np.empty(0, TRANSFER_FACT)
    if int(positions.max()) + RECORD_BYTES > len(body):
        raise _no_fact(int(positions.max()))
    pieces = np.lib.stride_tricks.sliding_window_view(np.frombuffer(body, np.uint8), RECORD_BYTES)[positions]
    rows = np.ascontiguousarray(pieces).view(np.int64)
    return _facts(rows, positions)


def facts_of_batch(body: bytes) -> np.ndarray | None:
    """The facts of a batch of nothing but records of the ledger, as most of a busy ledger's log is; else None.

    Spares the walk over its records, which takes ten times as long.
    """
    if not body or len(body) % RECORD_BYTES or body[_KIND_AT] != TRANSFER:
        return None
    rows = np.frombuffer(body, np.int64).reshape(-1, _WORDS)
    kinds = rows[:, _NAMES] >> 48
    if not _are_facts(rows, kinds).all():
        return None
    return _facts(rows, None)


def facts_with_causes(body: bytes) -> tuple[np.ndarray, NDArray[np.int64], NDArray[np.int64]]:
    """The facts among the records of a batch, the place of each in it, and the offset of what caused it (`NO_CAUSE`).

    Raises
    ------
    LogCorrupt : a record is broken, or one of kind transfer is no fact of the ledger
    """
    found, view = facts_of_batch(body), np.frombuffer(body, np.uint8)
    if found is not None:
        places = np.arange(len(found), dtype=np.int64)
        starts = places * RECORD_BYTES
    else:
        starts = positions(body)
        places = np.flatnonzero(view[starts + _KIND_AT] == TRANSFER)
        starts = starts[places]
        found = facts_of(body, starts)
    if not len(found):
        return found, places, places
    causes = np.lib.stride_tricks.sliding_window_view(view, 8)[starts + 8 * _CAUSE]
    return found, places, np.ascontiguousarray(causes).view(np.int64).reshape(len(found))


def _facts(rows: NDArray[np.int64], positions: NDArray[np.int64] | None) -> np.ndarray:
    kinds = rows[:, _NAMES] >> 48
    if positions is not None:
        good = _are_facts(rows, kinds)
        if not good.all():
            raise _no_fact(int(positions[np.argmin(good)]))
    words = np.empty((len(rows), F_WORDS), np.int64)
    words[:, F_ID : F_ID + 2] = rows[:, _REQUEST : _REQUEST + 2]
    words[:, _CONTENT], words[:, F_MARKS] = rows[:, _TAIL:-1], rows[:, -1]
    words[:, F_APPLIED], words[:, F_KIND] = rows[:, _RECEIVED], kinds
    return words.view(TRANSFER_FACT).reshape(len(words))


def _are_facts(rows: NDArray[np.int64], kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
    known = np.where((kinds >= 1) & (kinds < len(_NAMES_OF)), kinds, 0)
    good: NDArray[np.bool_] = (
        (known > 0) & (rows[:, _NAMES] == _NAMES_OF[known]) & (rows[:, _COUNTS] == _COUNTS_OF[known])
    )
    return good


def _no_fact(position: int) -> LogCorrupt:
    return LogCorrupt(
        "a record of kind transfer is no fact of the ledger",
        where=f"byte {position} of the batch",
        allowed=f"{RECORD_BYTES} bytes, a type code of {', '.join(f'{int(kind)} {kind.name}' for kind in FactKind)}",
        cure="Was it written by a newer version? Read it with that; else run `quanheng log verify`.",
    )
