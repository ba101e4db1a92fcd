"""`ledger.kernel.arrays`: transfers judged and applied in memory, in arrays of 1,000, without log and disk.

Plain transfers between 10,000 accounts chosen at random (the value); the same between two accounts (hot); pairs of a
hold and its posting; chains of eight; objects instead of arrays; and facts folded again, which judges nothing. Ledgers
are made anew for each run, growth is in the figures, and every run ends with conservation checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from quanheng.ledger.entries import Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.wire import TRANSFER_REQUEST
from quanheng.testing.bench import Measured

BATCH, ACCOUNTS_N, ASSET = 1_000, 10_000, 1


def arrays(quick: bool = False) -> Measured:
    """Transfers a second; ratios and CPU seconds beside, since wall time of a busy machine says little."""
    count = 40_000 if quick else 1_000_000
    spread, hot, pairs, chains = (make(count) for make in (_spread, _hot, _pairs, _chains))
    _played(_opened(), spread[:BATCH])  # Compiled or loaded, and a first growth.
    rounds = [
        {name: _seconds(_playing(requests)) for name, requests in work.items()}
        for work in [{"spread": spread, "hot": hot, "twophase": pairs, "chains": chains}] * 3
    ]
    best = {name: min((one[name] for one in rounds), key=lambda seconds: seconds[1]) for name in rounds[0]}
    extra: dict[str, object] = {f"{name}_per_cpu_s": round(count / cpu_s) for name, (_, cpu_s) in best.items()}
    extra["hot_of_spread"] = round(best["spread"][1] / best["hot"][1], 2)
    extra |= _objects(count // 10) | _applied(spread)
    return Measured(round(count / min(one["spread"][0] for one in rounds)), "transfers/s", {}, extra)


def _opened() -> Ledger:
    ledger = Ledger()
    flags = AccountFlag.DEBITS_BOUND
    accounts = [Account(id, ASSET, 7, flags, overdraft_minor=2**62) for id in range(1, ACCOUNTS_N + 1)]
    for first in range(0, ACCOUNTS_N, BATCH):
        ledger.open_accounts(accounts[first : first + BATCH], 1, 1)
    return ledger


def _spread(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    requests = np.zeros(count, TRANSFER_REQUEST)
    requests["id_lo"] = np.arange(1, count + 1)
    requests["id_hi"] = rng.integers(0, 2**63, count, dtype=np.uint64)
    requests["debit_lo"] = rng.integers(1, ACCOUNTS_N + 1, count)
    requests["credit_lo"] = (requests["debit_lo"] + rng.integers(0, ACCOUNTS_N - 1, count)) % ACCOUNTS_N + 1
    requests["amount_minor"], requests["code"] = rng.integers(1, 100_000, count), 1
    return requests


def _hot(count: int) -> np.ndarray:
    requests = _spread(count)
    requests["debit_lo"], requests["credit_lo"] = 1, 2
    return requests


def _pairs(count: int) -> np.ndarray:
    requests = _spread(count)
    holds, posts = requests[0::2], requests[1::2]
    holds["flags"], holds["timeout_ms"] = TransferFlag.HOLD, 60_000
    posts["flags"], posts["amount_minor"] = TransferFlag.POST, holds["amount_minor"]
    posts["debit_lo"] = posts["credit_lo"] = posts["code"] = 0
    posts["reference_lo"], posts["reference_hi"] = holds["id_lo"], holds["id_hi"]
    return requests


def _chains(count: int) -> np.ndarray:
    requests = _spread(count)
    requests["flags"] = np.where(np.arange(count) % 8 == 7, 0, TransferFlag.LINKED)
    return requests


def _played(ledger: Ledger, requests: np.ndarray) -> Ledger:
    for first in range(0, len(requests), BATCH):
        answers = ledger.transfer_arrays(requests[first : first + BATCH], 1 + first // BATCH, 1)
        assert not answers["outcome"].any()
    totals = ledger.totals(ASSET)
    assert totals[:2] == totals[2:]
    return ledger


def _playing(requests: np.ndarray) -> Callable[[], object]:
    ledger = _opened()
    return lambda: _played(ledger, requests)


def _seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and CPU seconds of a call."""
    start, start_cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - start_cpu


def _objects(count: int) -> dict[str, object]:
    names = "id_lo", "debit_lo", "credit_lo", "amount_minor", "code"
    columns = [_spread(count)[name].tolist() for name in names]
    batch = [Transfer(2**80 + id, *rest) for id, *rest in zip(*columns, strict=True)]
    ledger = _opened()
    wall_s, cpu_s = _seconds(
        lambda: [ledger.transfer(batch[first : first + BATCH], 1, 1) for first in range(0, count, BATCH)]
    )
    return {"objects_per_s": round(count / wall_s), "objects_per_cpu_s": round(count / cpu_s)}


def _applied(requests: np.ndarray) -> dict[str, object]:
    ledger, copy = _played(_opened(), requests), Ledger()
    facts = ledger.facts()
    wall_s, cpu_s = _seconds(lambda: copy.apply(facts))
    assert copy.digest() == ledger.digest()
    return {"applied_per_s": round(len(facts) / wall_s), "applied_per_cpu_s": round(len(facts) / cpu_s)}
