"""A day of a clearing house: two cycles in two currencies, caps, gridlocks, a member that fails in each cycle."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from quanheng.ledger.entries import Balance
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.instruments.netting import Netting
from quanheng.ledger.instruments.netting_actions import (
    ClearingAccount,
    CloseCycle,
    FailureRule,
    Member,
    OpenCycle,
    Resolve,
    SetCap,
    Submit,
    Withdraw,
)
from quanheng.ledger.instruments.netting_cycle import Cycle, Status
from quanheng.ledger.instruments.netting_rounds import Settlement, settle_or_fail

ASSETS = EUR, USD = 320, 321
MEMBERS, SUBMITTED, CODE = 8, 140, 3_200
FUNDS_MINOR, CAP_MINOR, LOSS_MAX_MINOR, AMOUNT_MINOR_MAX = 400_000, 60_000, 50_000, 25_000
POOR_MINOR, POOR = 1_000, 0
HOUR_MS = 3_600_000


def account_of(seed: int, asset: int, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"netting {asset} {name}")


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of netting on a ledger; the same seed plays the same day. Member 0 has hardly any money."""
    rng, operator = random.Random(seed), part_id(seed, "netting operator")
    netting = _Noted(operator)
    business = Business(ledger, netting, day)
    _open_accounts(business, seed, start_ms)
    now_ms, sums_to_zero, within_caps, settled = start_ms, True, True, dict.fromkeys(_accounts(seed), 0)
    done: list[Settlement] = []
    for number, rule in enumerate((FailureRule.UNWIND, FailureRule.SHARE_LOSS)):
        opened = _cycle(seed, operator, number, rule)
        business.do(opened, now_ms)
        cycle = netting.cycles[opened.id]
        for place in range(SUBMITTED):
            now_ms += rng.randrange(HOUR_MS // 20)
            business.do(_action(rng, seed, part_id(opened.id, f"action {place}"), cycle), now_ms)
            nets = [sum(net for (_, one), net in cycle.position_minor.items() if one == asset) for asset in ASSETS]
            sums_to_zero &= nets == [0, 0]
            within_caps &= _within_caps(cycle)
        business.do(CloseCycle(part_id(opened.id, "close"), operator, opened.id), now_ms)
        for asset in ASSETS if rule == FailureRule.UNWIND else [0]:
            assets = (asset,) if asset else ()
            round_id = part_id(opened.id, f"settlement of {asset}")
            done.append(settle_or_fail(business.witness, netting, opened.id, round_id, now_ms, day, assets))
            within_caps &= _within_caps(cycle)
        _add_discharged(settled, cycle)
    business.done = netting.noted
    balances = business.witness.balances(now_ms, day)
    laws = {
        "net positions sum to zero in every asset": sums_to_zero,
        "nobody is beyond its cap, and what it bears of losses": within_caps,
        "every account moved by what was discharged, less losses": all(
            _change_minor(balances[one], seed, one) == change for one, change in settled.items()
        ),
        "clearing accounts are empty": all(
            _net_minor(balances[account_of(seed, asset, "clearing")]) == 0 for asset in ASSETS
        ),
    }
    return business.played("netting", Netting(operator), laws, _figures(netting, done), now_ms)


class _Noted(Netting):
    """Netting that notes what was applied and when, rounds included."""

    def __init__(self, operator: int) -> None:
        super().__init__(operator)
        self.noted: list[tuple[Any, int]] = []

    def apply(self, action: Any, now_ms: int) -> None:
        super().apply(action, now_ms)
        self.noted.append((action, now_ms))


def _accounts(seed: int) -> list[int]:
    return [account_of(seed, asset, f"member {n}") for asset in ASSETS for n in range(MEMBERS)]


def _open_accounts(business: Business, seed: int, now_ms: int) -> None:
    """All members but the poor one are rich."""
    for asset in ASSETS:
        members = [account_of(seed, asset, f"member {n}") for n in range(MEMBERS)]
        bank, clearing = (account_of(seed, asset, name) for name in ("bank", "clearing"))
        business.open([*members, clearing], [bank], asset, CODE, now_ms)
        poor = members.pop(POOR)
        business.fund(bank, members, FUNDS_MINOR, CODE, now_ms)
        business.fund(bank, [poor], POOR_MINOR, CODE, now_ms)


def _owner(seed: int, n: int) -> int:
    return part_id(seed, f"netting owner {n}")


def _cycle(seed: int, operator: int, number: int, rule: FailureRule) -> OpenCycle:
    members = tuple(
        Member(_owner(seed, n), asset, account_of(seed, asset, f"member {n}"), CAP_MINOR, LOSS_MAX_MINOR * (n % 3))
        for asset in ASSETS
        for n in range(MEMBERS)
    )
    clearing = tuple(ClearingAccount(asset, account_of(seed, asset, "clearing")) for asset in ASSETS)
    return OpenCycle(part_id(seed, f"cycle {number}"), operator, members, clearing, CODE, rule)


def _action(rng: random.Random, seed: int, id: int, cycle: Cycle) -> Any:
    kind, asset, cycle_id = rng.random(), rng.choice(ASSETS), cycle.opened.id
    operator = cycle.opened.by
    if kind < 0.05:
        return Resolve(id, operator, cycle_id)
    if kind < 0.08:
        owner = _owner(seed, rng.randrange(MEMBERS))
        return SetCap(id, operator, cycle_id, owner, asset, CAP_MINOR + rng.randint(-20_000, 20_000))
    if kind < 0.1 and cycle.obligations:
        about = rng.choice(sorted(cycle.obligations))
        return Withdraw(id, cycle.obligations[about].debtor, cycle_id, about)
    # The poor member owes more than it is owed.
    debtor, creditor = rng.sample(range(MEMBERS), 2)
    if creditor == POOR and rng.random() < 0.8:
        debtor, creditor = creditor, debtor
    amount, priority = rng.randint(1, AMOUNT_MINOR_MAX), rng.choice([1, 5, 5, 5])
    return Submit(id, _owner(seed, debtor), cycle_id, _owner(seed, creditor), asset, amount, priority)


def _within_caps(cycle: Cycle) -> bool:
    return all(
        net >= -cycle.members[participant].cap_minor - cycle.borne_minor.get(participant, 0)
        for participant, net in cycle.position_minor.items()
    )


def _add_discharged(settled: dict[int, int], cycle: Cycle) -> None:
    """Gross obligations that were discharged, and losses that were borne, told account by account."""
    account = {participant: member.account for participant, member in cycle.members.items()}
    for one in cycle.obligations.values():
        if one.status == Status.SETTLED:
            settled[account[one.debtor, one.asset]] -= one.amount_minor
            settled[account[one.creditor, one.asset]] += one.amount_minor
    for (asset, failed, survivor), share in cycle.losses_minor.items():
        settled[account[survivor, asset]] -= share
        settled[account[failed, asset]] += share


def _net_minor(balance: Balance) -> int:
    return balance.credits_posted_minor - balance.debits_posted_minor


def _change_minor(balance: Balance, seed: int, account: int) -> int:
    poor = any(account == account_of(seed, asset, f"member {POOR}") for asset in ASSETS)
    return _net_minor(balance) - (POOR_MINOR if poor else FUNDS_MINOR)


def _figures(netting: Netting, done: list[Settlement]) -> Mapping[str, int]:
    every = [one for cycle in netting.cycles.values() for one in cycle.obligations.values()]
    settled = [one for one in every if one.status == Status.SETTLED]
    moved = sum(answer.amount_minor for one in done if one.last.applied for answer in one.last.answers)
    return {
        "obligations": len(every),
        **{f"{status}": sum(one.status == status for one in every) for status in Status},
        "settled_gross_minor": sum(one.amount_minor for one in settled),
        "settled_net_minor": moved // 2,  # Paid in, and paid out.
        "failures": sum(len(one.failed) for one in done),
        "losses_minor": sum(share for cycle in netting.cycles.values() for share in cycle.losses_minor.values()),
    }
