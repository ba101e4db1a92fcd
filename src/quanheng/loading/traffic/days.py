"""One simulated day: who pays where how much, and which payments are attacks. Days do not depend on one another."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import floor

import numpy as np

from quanheng.loading.traffic.declaration import Attack, TrafficDeclaration
from quanheng.loading.traffic.draws import Draws, Integers
from quanheng.loading.traffic.population import Population

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DAY_STREAM, ATTACK_STREAM, RING_STREAM = 3, 4, 5
BEFORE = 400
"""Attacks that began this many days before the first are still seen: streams are numbered from there."""

COLUMNS = ("time_ms", "payer", "place", "device", "amount", "channel", "attack")
"""Columns of a day. device -1 = not told; attack 0 = honest, else the number of the attack from 1."""

Day = dict[str, Integers]


class Days:
    """Makes the payments of any day, in order of their time."""

    def __init__(self, declared: TrafficDeclaration, seed: int) -> None:
        self.declared, self.seed = declared, seed
        self.population = Population(declared, seed)
        self._rate_ends = lru_cache(maxsize=16)(self.population.rate_ends)

    def day(self, number: int) -> Day:
        """Payments of day `number`, from 0."""
        draws = Draws(self.seed, DAY_STREAM, number)
        day = self._ordinary(number, draws)
        for index, attack in enumerate(self.declared.attacks, 1):
            if attack.kind == "devices":
                continue
            self._mark(day, number, index, attack, draws)
        parts = [
            day,
            *(
                self._ring(number, index, attack)
                for index, attack in enumerate(self.declared.attacks, 1)
                if attack.kind == "devices"
            ),
        ]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
        order = np.argsort(joined["time_ms"], kind="stable")
        return {name: column[order] for name, column in joined.items()}

    def _ordinary(self, number: int, draws: Draws) -> Day:
        people, declared = self.population, self.declared
        weekday = (declared.start_ms // DAY_MS + number + 3) % 7  # Day 0 of 1970 was a Thursday.
        ends = self._rate_ends(declared.week[weekday])[people.level]
        counts = (draws.uniform(len(people.level))[:, None] >= ends).sum(axis=1)
        payer = np.repeat(np.arange(len(counts)), counts)
        size = len(payer)
        time_ms = self._start(number) + draws.pick(declared.hours, size) * HOUR_MS + draws.below(HOUR_MS, size)
        amount = draws.bell(people.mean_minor[payer], people.deviation_minor[payer])
        again = np.flatnonzero(amount < 1)
        amount[again] = 1 + draws.below(2 * people.mean_minor[payer[again]], len(again))
        channel = draws.pick([one.weight for one in declared.channels], size)
        remote = np.array([one.remote for one in declared.channels])[channel]
        near = people.near[people.near_start[payer] + draws.below(np.diff(people.near_start)[payer], size)]
        place = np.where(remote, people.remote[draws.below(len(people.remote), size)], near)
        told = draws.uniform(size) < np.array([int(one.device * 2**32) for one in declared.channels], np.int64)[channel]
        device = np.where(told, payer * people.devices_each + draws.below(people.devices[payer], size), -1)
        return {
            "time_ms": time_ms,
            "payer": payer,
            "place": place,
            "device": device,
            "amount": amount,
            "channel": channel,
            "attack": np.zeros(size, np.int64),
        }

    def _start(self, number: int) -> int:
        return self.declared.start_ms + number * DAY_MS

    def _mark(self, day: Day, number: int, index: int, attack: Attack, draws: Draws) -> None:
        """Turn ordinary payments into attacks of one kind. A payment is part of one attack only: the first declared."""
        size = len(day["amount"])
        hit = draws.chance(attack.share, size) & (day["attack"] == 0)
        if attack.kind == "amounts":
            amounts = draws.between(attack.amount_minor, size)
            day["amount"] = np.where(hit, amounts, day["amount"])
        else:
            subjects, count = (
                ("place", self.declared.places.count)
                if attack.kind == "places"
                else ("payer", self.declared.payers.count)
            )
            struck = np.zeros(count, np.bool_)
            for begun, how_many in _begun(attack, number):
                struck[Draws(self.seed, ATTACK_STREAM, index, begun + BEFORE).below(count, how_many)] = True
            hit &= struck[day[subjects]]
            if attack.kind == "payers":
                day["amount"] = np.where(hit, day["amount"] * attack.times, day["amount"])
        day["attack"] = np.where(hit, index, day["attack"])

    def _ring(self, number: int, index: int, attack: Attack) -> Day:
        """Payments of device rings: cards of people who are not there, from a few devices, at remote places."""
        parts = [
            self._one_ring(number, index, attack, begun, which)
            for begun, how_many in _begun(attack, number)
            for which in range(how_many)
        ]
        return {
            name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, np.int64) for name in COLUMNS
        }

    def _one_ring(self, number: int, index: int, attack: Attack, begun: int, which: int) -> Day:
        people = self.population
        draws = Draws(self.seed, RING_STREAM, index, begun + BEFORE, which, number)
        victims = draws.below(self.declared.payers.count, attack.payers)
        payer = np.repeat(victims, draws.between(attack.payments, attack.payers))
        size = len(payer)
        first_own = self.declared.payers.count * people.devices_each
        ring = ((begun + BEFORE) * 64 + which) * len(self.declared.attacks) + index
        remote = [position for position, one in enumerate(self.declared.channels) if one.remote] or [0]
        return {
            "time_ms": self._start(number) + draws.below(DAY_MS, size),
            "payer": payer,
            "place": people.remote[draws.below(len(people.remote), size)],
            "device": first_own + ring * attack.devices + draws.below(attack.devices, size),
            "amount": draws.between(attack.amount_minor, size),
            "channel": np.full(size, remote[0], np.int64),
            "attack": np.full(size, index, np.int64),
        }


def _begun(attack: Attack, number: int) -> Iterator[tuple[int, int]]:
    """(day, how many) of the attacks still going on day `number`. `per_day` 0.5 is one every other day, exactly."""
    for begun in range(number - attack.days + 1, number + 1):
        how_many = floor((begun + 1) * attack.per_day) - floor(begun * attack.per_day)
        if how_many:
            yield begun, how_many
