"""A motor rating table of 3,700 rows: region × age band × vehicle class × bonus class → factor; as DMN and as JDM."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import islice, product

from bench import table_models

ROWS = 3_700
INPUTS = (("region", "string"), ("age", "number"), ("vehicle_class", "number"), ("bonus_class", "number"))
OUTPUTS = (("factor", "number"),)
REGIONS = tuple(f"R{number:02d}" for number in range(1, 21))
AGES = ((18, 21), (22, 25), (26, 30), (31, 40), (41, 55), (56, 70), (71, 110))
VEHICLES = tuple(range(10, 15))
BONUSES = ((0, 2), (3, 5), (6, 9), (10, 14), (15, 19), (20, 30))


def rules() -> list[tuple[str, ...]]:
    """The cells of each row; the last is the factor. 3,700 of the 4,200 combinations have a row, the others none."""
    rows = []
    combinations = product(range(len(REGIONS)), range(len(AGES)), VEHICLES, range(len(BONUSES)))
    for region, age, vehicle, bonus in islice(combinations, ROWS):
        factor = Decimal(60 + 3 * region + 11 * (6 - age) + 5 * (vehicle - 10) + 17 * (5 - bonus)).scaleb(-2)
        rows.append((
            f'"{REGIONS[region]}"',
            "[{}..{}]".format(*AGES[age]),
            str(vehicle),
            "[{}..{}]".format(*BONUSES[bonus]),
            str(factor),
        ))  # fmt: skip
    return rows


def samples(count: int, seed: int = 37) -> list[tuple[object, ...]]:
    """Inputs spread over all rows; about one in eight hits none."""
    rng = random.Random(seed)
    return [(rng.choice(REGIONS), rng.randint(18, 110), rng.choice(VEHICLES), rng.randint(0, 30)) for _ in range(count)]


def dmn() -> bytes:
    """The table as DMN 1.5, hit policy FIRST."""
    return table_models.dmn("factor", INPUTS, OUTPUTS, rules())


def jdm() -> dict[str, object]:
    """The same table as a JDM of GoRules."""
    return table_models.jdm(INPUTS, OUTPUTS, rules())
