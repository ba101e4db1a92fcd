"""A settlement round: the agent tries every trade that is due, again while one settlement makes another possible."""

from __future__ import annotations

from typing import NamedTuple

from quanheng.ledger.instruments.exchange import NO_PARTIAL, Exchanges, Lapse, NoteFail, Settle, part_id
from quanheng.ledger.instruments.instrument import LedgerLike, Performed, perform
from quanheng.ledger.outcomes import TransferOutcome


class Round(NamedTuple):
    """What a round did.

    settled, parts : trades that settled what was left of them, and parts of others
    failed : trade -> why it could not settle in full; it is tried again next time
    lapsed : trades whose deadline had passed
    attempts : chains that the ledger was asked for
    """

    settled: tuple[int, ...]
    parts: tuple[tuple[int, int], ...]
    failed: dict[int, TransferOutcome]
    lapsed: tuple[int, ...]
    attempts: int


def settle_due(ledger: LedgerLike, exchanges: Exchanges, round_id: int, now_ms: int, day: int) -> Round:
    """One round of all trades that are due, in order of priority; `round_id` of 128 bits makes the ids of its actions.

    Passes go on while a trade settled in the last one. Then each trade that is left and may settle in parts does:
    bisection settles what the ledger applies, until less than the smallest part could be added; and a fail is noted for
    what is left. Complexity: at most n passes of n trades, and 64 attempts for the parts of one.
    """
    agent = _Agent(ledger, exchanges, round_id, now_ms, day)
    lapsed = agent.lapse()
    settled: list[int] = []
    progress = True
    while progress:
        done = [trade for trade in exchanges.due(now_ms) if agent.settle(trade, 0)]
        settled, progress = settled + done, bool(done)
    parts = []
    for trade in exchanges.due(now_ms):
        if part := agent.part(trade):
            parts.append((trade, part))
        agent.note(trade)
    failed = {trade: outcome for trade, (outcome, _) in agent.reasons.items() if exchanges.trades[trade].open}
    return Round(tuple(settled), tuple(parts), failed, lapsed, agent.attempts)


class _Agent:
    """The agent of one round. Ids are made of the round, the trade and what of it is settled, so a repeat is one."""

    def __init__(self, ledger: LedgerLike, exchanges: Exchanges, round_id: int, now_ms: int, day: int) -> None:
        self.ledger, self.exchanges, self.round_id, self.now_ms, self.day = ledger, exchanges, round_id, now_ms, day
        self.attempts, self.reasons = 0, dict[int, tuple[TransferOutcome, int]]()

    def lapse(self) -> tuple[int, ...]:
        """Cancel what is left of trades whose deadline has passed."""
        late = [
            reference
            for reference, trade in self.exchanges.trades.items()
            if trade.open and trade.terms.deadline_ms <= self.now_ms
        ]
        for trade in late:
            self._perform(Lapse(self._id("lapse", trade), self.exchanges.agent, trade))
        return tuple(late)

    def settle(self, trade: int, lead_minor: int) -> bool:
        """Whether so much of a trade settled now; if not, the reason is kept."""
        self.attempts += 1
        settled = self.exchanges.trades[trade].settled_minor
        name = f"settle {settled} {lead_minor}"
        result = self._perform(Settle(self._id(name, trade), self.exchanges.agent, trade, lead_minor))
        if isinstance(result.outcome, TransferOutcome):
            place = next(n for n, one in enumerate(result.answers) if one.outcome == result.outcome)
            self.reasons[trade] = result.outcome, place
        return result.applied

    def part(self, trade: int) -> int:
        """How much of a trade settled in parts: those that the ledger applied, by bisection."""
        known = self.exchanges.trades[trade]
        smallest, rest = known.terms.partial_min_minor, known.rest_minor
        if smallest == NO_PARTIAL or trade not in self.reasons:
            return 0
        done, low, high = 0, smallest, rest - 1
        reason = self.reasons[trade]
        while low <= high:
            middle = (low + high + 1) // 2 if done else low
            if self.settle(trade, middle):
                done += middle
                low, high = smallest, high - middle
            else:
                high = middle - 1
        self.reasons[trade] = reason
        return done

    def note(self, trade: int) -> None:
        """Note why a trade did not settle in full."""
        if trade in self.reasons:
            reason, leg = self.reasons[trade]
            self._perform(NoteFail(self._id("fail", trade), self.exchanges.agent, trade, int(reason), leg))

    def _id(self, name: str, trade: int) -> int:
        return part_id(self.round_id, f"{name} {trade}")

    def _perform(self, action: Settle | NoteFail | Lapse) -> Performed:
        return perform(self.ledger, self.exchanges, action, self.now_ms, self.day)
