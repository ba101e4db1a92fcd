"""The people and places of a simulation: drawn once from the seed, then fixed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from quanheng.loading.traffic.declaration import TrafficDeclaration
from quanheng.loading.traffic.draws import Draws, Integers, poisson_ends

UNITS = 1000
"""Positions are integers: this many to one unit of `area`."""

LEVELS = 64
"""Payers have one of this many rates between the two ends of `per_day`."""

PAYERS_STREAM, PLACES_STREAM = 1, 2


class Population:
    """Payers with home, mean amount, rate and reachable places; places with country, remote or not.

    near, near_start : places within reach of payer i are near[near_start[i] : near_start[i + 1]]; never empty
    """

    def __init__(self, declared: TrafficDeclaration, seed: int) -> None:
        payers, places = declared.payers, declared.places
        draws = Draws(seed, PAYERS_STREAM)
        side = places.area * UNITS
        home = np.stack([draws.below(side, payers.count), draws.below(side, payers.count)], axis=1)
        self.mean_minor = draws.between(payers.mean_minor, payers.count)
        self.deviation_minor = (self.mean_minor * int(payers.spread * 1000)) // 1000
        self.level = draws.below(LEVELS, payers.count)
        self.devices = draws.between(payers.devices, payers.count)
        self.devices_each = payers.devices[1]
        self.per_day = payers.per_day

        draws = Draws(seed, PLACES_STREAM)
        where = np.stack([draws.below(side, places.count), draws.below(side, places.count)], axis=1)
        remote_count = int(places.remote * places.count)
        self.remote = np.arange(places.count - remote_count, places.count)
        self.countries = tuple(places.countries)
        self.country = (
            draws.pick(list(places.countries.values()), places.count)
            if places.countries
            else np.zeros(places.count, np.int64)
        )
        local = where[: places.count - remote_count]
        self.near, self.near_start = (
            _within(home, local, places.reach * UNITS) if len(local) else _everywhere(payers.count, self.remote)
        )
        if not len(self.remote):
            self.remote = np.arange(places.count)

    def rate_ends(self, week_weight: int) -> Integers:
        """Poisson ends for each level of rate, on a day of that weight; rows padded with 2**32."""
        low, high = self.per_day
        rates = [(low + (high - low) * level / (LEVELS - 1)) * week_weight / 100 for level in range(LEVELS)]
        rows = [poisson_ends(rate.quantize(Decimal("0.000001"))) for rate in rates]
        table = np.full((LEVELS, max(map(len, rows))), 2**32, np.int64)
        for level, row in enumerate(rows):
            table[level, : len(row)] = row
        return table


def _within(home: Integers, places: Integers, reach: int) -> tuple[Integers, Integers]:
    """Places within `reach` of each home, or the nearest one. Places are sorted by x, to look at a strip only."""
    order = np.argsort(places[:, 0], kind="stable")
    sorted_x = places[order, 0]
    first = np.searchsorted(sorted_x, home[:, 0] - reach, side="left")
    last = np.searchsorted(sorted_x, home[:, 0] + reach, side="right")
    found = []
    for index in range(len(home)):
        strip = order[first[index] : last[index]]
        away = places[strip] - home[index]
        near = strip[(away * away).sum(axis=1) <= reach * reach]
        if not len(near):
            away = places - home[index]
            near = np.array([np.argmin((away * away).sum(axis=1))])
        found.append(np.sort(near))
    starts = np.concatenate([[0], np.cumsum([len(near) for near in found])])
    return np.concatenate(found).astype(np.int64), starts.astype(np.int64)


def _everywhere(payers: int, remote: Integers) -> tuple[Integers, Integers]:
    """Where every place is remote, each payer's reach is all of them."""
    return np.tile(remote, payers), np.arange(payers + 1, dtype=np.int64) * len(remote)
