"""What `quanheng demo ledger` stands on: a ledger that is durable in a log, and proofs that need only that log."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from quanheng.cli.common import opened_store, reader
from quanheng.engine import Engine
from quanheng.kernel import proof_file
from quanheng.kernel.errors import InputError
from quanheng.kernel.log.checking import verify
from quanheng.kernel.log.records import TRANSFER, Columns
from quanheng.ledger.entries import Account, Amendment, Answer, Opened, Transfer, TransferFlag
from quanheng.ledger.outcomes import AccountOutcome
from quanheng.ledger.records import facts_of
from quanheng.ledger.wire import ACCOUNT_FACT, FactKind, numbers_of
from quanheng.recovery import ledger_at, read_batches
from quanheng.server.lock import FolderLock
from quanheng.server.opening import signing_of

if TYPE_CHECKING:
    from quanheng.kernel.log.log import Log
    from quanheng.ledger.ledger import Ledger
    from quanheng.reading import Reader
    from quanheng.server.config import Config

_NOT_POSTED, _SETTLES = TransferFlag.HOLD | TransferFlag.VOID, TransferFlag.POST | TransferFlag.VOID


class DurableLedger:
    """A ledger that is told its time with each batch, by a seeded day; what was applied is in the log when it answers.

    Parameters
    ----------
    clock_ms : one number, the time of the clock that the engine was opened with; it is set before each batch
    """

    def __init__(self, engine: Engine, clock_ms: list[int]) -> None:
        self._engine, self._clock_ms = engine, clock_ms

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order; durable when this returns."""
        return self._post(now_ms, lambda ledger: ledger.open_accounts(batch, now_ms, day))  # type: ignore[no-any-return]

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change accounts, in order; durable when this returns."""
        return self._post(now_ms, lambda ledger: ledger.amend_accounts(batch, now_ms, day))  # type: ignore[no-any-return]

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order; durable when this returns."""
        return self._post(now_ms, lambda ledger: ledger.transfer(batch, now_ms, day))  # type: ignore[no-any-return]

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers, all or nothing; durable when this returns."""
        return self._post(  # type: ignore[no-any-return]
            now_ms, lambda ledger: ledger.open_and_transfer(accounts, transfers, now_ms, day)
        )

    def _post(self, now_ms: int, work: Callable[[Ledger], Any]) -> Any:
        self._clock_ms[0] = now_ms
        [answer] = self._engine.ledger.post_together([lambda ledger, *_: work(ledger)])
        if isinstance(answer, InputError):
            raise answer
        return answer


@contextmanager
def durable_ledger(config: Config, start_ms: int) -> Iterator[tuple[DurableLedger, Ledger]]:
    """An empty ledger in a new log, and the same as the engine has it in memory. For this process alone.

    Raises
    ------
    InputError : the data folder holds a log already
    FolderInUse : another process owns the folder
    """
    folder, clock_ms = Path(config.storage.data), [start_ms]
    lock = FolderLock(folder)
    try:
        if (folder / "log.db").exists():
            raise InputError(
                "the data folder holds a log already",
                where="--data",
                found=str(folder),
                allowed="a folder without one",
                cure="Give another folder, or none: the demo then uses one that lasts as long as it runs.",
            )
        keys, signing = Path(config.storage.keys), signing_of(config)
        engine = Engine.open(folder, keys=keys, clock=lambda: clock_ms[0], signing=signing)
        try:
            yield DurableLedger(engine, clock_ms), engine.state.ledger
        finally:
            engine.close()
    finally:
        lock.close()


class Proof(NamedTuple):
    """What was proved from the log: a sentence, whether it held, and what was found."""

    sentence: str
    held: bool
    found: str


class Proved(NamedTuple):
    """The log that a demo has written, and what was proved from it."""

    records: int
    root: str
    proofs: tuple[Proof, ...]


def prove(config: Config, digest: bytes, seed: int) -> Proved:
    """Prove from the log alone what a ledger must keep.

    Parameters
    ----------
    digest : of the ledger in memory, when the last batch was answered
    seed : chooses the transfer whose inclusion is proved

    Raises
    ------
    LogCorrupt, ProofRefused : the log, or the proof of inclusion, is not what was written
    """
    store = opened_store(config)
    try:
        report = verify(store)
    finally:
        store.close()
    verified = f"{report.records:,} records, {report.batches:,} batches, root {report.root.hex()[:16]}…"
    whole = Proof("the log verifies", report.ok, report.problem or verified)
    with reader(config) as found:
        recovered = ledger_at(found.log, None, found.log.head)
        offsets, facts = facts_with_offsets(found.log)
        totals = totals_of(facts)
        equal = recovered.digest() == digest
        proofs = (
            *_conserved(totals),
            _balances(totals, recovered),
            whole,
            Proof("the ledger recovered from the log is the same", equal, f"digest {recovered.digest().hex()[:16]}…"),
            _included(found, config, offsets, facts, seed),
        )
    return Proved(report.records, report.root.hex(), proofs)


def facts_with_offsets(log: Log) -> tuple[np.ndarray, np.ndarray]:
    """Every fact of the ledger in a log: offsets int64[n], and TRANSFER_FACT[n] in the same order."""
    offsets, parts = [], []
    for start, part in read_batches(log, 0, log.head):
        if isinstance(part, Columns):
            places = np.flatnonzero(part.kind == TRANSFER)
            parts.append(facts_of(part.body, part.position[places]))
        else:
            places = np.arange(len(part))
            parts.append(part)
        offsets.append(start + places)
    return np.concatenate(offsets), np.concatenate(parts)


class Totals(NamedTuple):
    """Sums in minor units that facts say of accounts: account -> amount; `assets` : account -> asset."""

    assets: dict[int, int]
    debits_posted: Counter[int]
    debits_held: Counter[int]
    credits_posted: Counter[int]
    credits_held: Counter[int]


def totals_of(facts: np.ndarray) -> Totals:
    """Fold facts, TRANSFER_FACT[n], in plain Python and in numbers without bounds: the core's fold is not asked."""
    opened = facts[facts["kind"] == FactKind.OPENED].view(ACCOUNT_FACT)
    assets = dict(zip(numbers_of(opened, "id"), opened["asset"].tolist(), strict=True))
    totals = Totals(assets, Counter(), Counter(), Counter(), Counter())
    holds: dict[int, tuple[int, int, int]] = {}
    moves = facts[(facts["kind"] == FactKind.LINE) | (facts["kind"] == FactKind.EXPIRY)]
    wide = (numbers_of(moves, name) for name in ("id", "debit", "credit", "reference"))
    plain = (moves[name].tolist() for name in ("amount_minor", "flags", "kind"))
    for id, debit, credit, reference, amount, flags, kind in zip(*wide, *plain, strict=True):
        if kind == FactKind.EXPIRY or flags & _SETTLES:
            held_debit, held_credit, held = holds.pop(reference)
            totals.debits_held[held_debit] -= held
            totals.credits_held[held_credit] -= held
        if kind == FactKind.EXPIRY:
            continue
        if flags & TransferFlag.HOLD:
            holds[id] = debit, credit, amount
            totals.debits_held[debit] += amount
            totals.credits_held[credit] += amount
        if not flags & _NOT_POSTED:
            totals.debits_posted[debit] += amount
            totals.credits_posted[credit] += amount
    return totals


def _conserved(totals: Totals) -> tuple[Proof, Proof]:
    sums: list[Counter[int]] = []
    for column in totals[1:]:
        of_asset: Counter[int] = Counter()
        for account, amount in column.items():
            of_asset[totals.assets[account]] += amount
        sums.append(of_asset)
    assets = sorted(set(totals.assets.values()))

    def equal(what: str, debits: Counter[int], credits: Counter[int]) -> Proof:
        wrong = [one for one in assets if debits[one] != credits[one]]
        found = f"not in assets {', '.join(map(str, wrong))}" if wrong else f"{len(assets)} assets"
        return Proof(f"{what} debits equal {what} credits in every asset", not wrong, found)

    return equal("posted", sums[0], sums[2]), equal("held", sums[1], sums[3])


def _balances(totals: Totals, ledger: Ledger) -> Proof:
    """Whether every account of the ledger has what the facts add up to, all four totals."""
    states = ledger.accounts()
    wrong = [
        one.account.id
        for one in states
        if one.balance
        != (
            totals.debits_posted[one.account.id], totals.debits_held[one.account.id],
            totals.credits_posted[one.account.id], totals.credits_held[one.account.id],
        )
    ]  # fmt: skip
    found = f"not account {wrong[0]}" if wrong else f"{len(states):,} accounts"
    return Proof("every account has what its facts add up to", not wrong and len(states) == len(totals.assets), found)


def _included(found: Reader, config: Config, offsets: np.ndarray, facts: np.ndarray, seed: int) -> Proof:
    """One transfer is in the log that a signed checkpoint describes: checked with the public key and that proof."""
    lines = np.flatnonzero(facts["kind"] == FactKind.LINE)
    chosen = int(random.Random(seed).choice(lines.tolist()))
    offset = int(offsets[chosen])
    proof = proof_file.encode(proof_file.prove_inclusion(found.log, offset))
    keys = found.ring.signer(*signing_of(config).of(Path(config.storage.data))).verifier_keys()
    checked = proof_file.check_proof(proof, keys)
    proved = facts_of(checked.record or b"", np.zeros(1, np.int64))
    held = checked.offset == offset and proved.tobytes() == facts[chosen : chosen + 1].tobytes()
    [id] = numbers_of(proved, "id")
    return Proof("a transfer is in the log", held, f"{id:#034x} at offset {offset:,} of {checked.size:,}")
