"""`quanheng credit`: expected loss, price, limits and concentration from a table and a file of assumptions."""

from __future__ import annotations

from decimal import Decimal
from math import isnan
from pathlib import Path
from typing import Any

import cyclopts

from quanheng.cli.common import Flag, Json, console, show_json

app = cyclopts.App(
    name="credit",
    help="Expected loss, risk-based price, limits, concentration.\n\nFor example:\n"
    "  quanheng credit loss loans.csv --assumptions loss.toml",
)


@app.command
def loss(file: Path, /, *, assumptions: Path | None = None, json: Json = False) -> int:
    """Expected loss of each loan for twelve months, its lifetime and its stage, weighted over scenarios.

    For example:
      quanheng credit loss loans.csv --assumptions loss.toml --json

    Parameters
    ----------
    file : Path
        A .csv or .parquet file: name, principal_minor, rate, months, pd_12m, lgd, stage and more; see the reference.
    assumptions : Path
        TOML: hazard_shape, and a table [[scenario]] for each scenario.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.credit.assumptions import LossAssumptions, losses
    from quanheng.models.credit.reading import read_assumptions

    assumed = read_assumptions(assumptions, LossAssumptions) if assumptions else LossAssumptions()
    found = losses(file, assumed)
    totals = {
        name: sum(getattr(one, name) for _, one in found)
        for name in ("twelve_months_minor", "lifetime_minor", "stage_minor")
    }
    if json:
        loans = [
            {"name": name, **{key: getattr(one, key) for key in totals}, "by_scenario": one.by_scenario}
            for name, one in found
        ]
        show_json({"loans": loans, **totals})
        return 0
    for name, one in found:
        print(
            f"{name}: 12 months {one.twelve_months_minor:,}, "
            f"lifetime {one.lifetime_minor:,}, to provide {one.stage_minor:,}"
        )
    print(f"all: {', '.join(f'{key} {value:,}' for key, value in totals.items())}")
    return 0


@app.command
def price(file: Path, /, *, assumptions: Path, sensitivity: Flag = False, json: Json = False) -> int:
    """The rate at which each loan earns the target return on its capital, within floor and cap.

    Exit code 1 where a loan does not earn it even at the cap.

    For example:
      quanheng credit price loans.csv --assumptions price.toml --sensitivity

    Parameters
    ----------
    file : Path
        A .csv or .parquet file: name, principal_minor, months, pd_12m, lgd and more; see the reference.
    assumptions : Path
        TOML: funding, target_return, tax, operating_rate, floor, cap, step and more.
    sensitivity : bool
        The exact rate with each figure a tenth lower and higher.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.credit.assumptions import PriceAssumptions, priced
    from quanheng.models.credit.price import price as price_of
    from quanheng.models.credit.price import sensitivities
    from quanheng.models.credit.reading import read_assumptions

    assumed = read_assumptions(assumptions, PriceAssumptions)
    told: list[dict[str, Any]] = []
    for name, terms in priced(file, assumed):
        found = price_of(terms, assumed.floor, assumed.cap, assumed.step)
        line: dict[str, Any] = {
            "name": name, "rate": found.rate, "bound": found.bound,
            "exact": None if isnan(found.exact) else found.exact, "value_minor": found.value_minor,
        }  # fmt: skip
        told.append(line | ({"sensitivity": sensitivities(terms)} if sensitivity else {}))
    if json:
        show_json({"loans": told})
    else:
        for line in told:
            _show_price(line)
    return 1 if any(line["bound"] == "cap" for line in told) else 0


def _show_price(line: dict[str, Any]) -> None:
    why = {"target": "earns the target", "floor": "the floor", "cap": "the cap: the target is not earned"}[
        line["bound"]
    ]
    print(f"{line['name']}: {_percent(line['rate'])} ({why}), {line['value_minor']:,} above the target")
    for name, (low, high) in line.get("sensitivity", {}).items():
        print(f"  {name} a tenth lower {100 * low:.4f} %, a tenth higher {100 * high:.4f} %")


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f} %"


@app.command
def limits(
    file: Path, /, *, assumptions: Path, out: Path | None = None, dmn: Path | None = None, json: Json = False
) -> int:
    """Choose a limit and a price for each segment: the most expected profit under the constraints of the portfolio.

    For example:
      quanheng credit limits segments.csv --assumptions limits.toml --out plan.csv --dmn plan.dmn

    Parameters
    ----------
    file : Path
        A .csv or .parquet file: name, applicants, pd, lgd, take_up, utilisation and more; see the reference.
    assumptions : Path
        TOML: limits_minor, prices, [economics], [constraints], frontier.
    out : Path
        CSV file of the plan.
    dmn : Path
        DMN decision table of the plan: segment to limit and price.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.credit.assumptions import LimitAssumptions, segments
    from quanheng.models.credit.reading import read_assumptions
    from quanheng.models.credit.segment_cells import cells_of
    from quanheng.models.credit.segment_choice import choose, frontier
    from quanheng.models.credit.segment_dmn import emit_plan

    assumed, given = read_assumptions(assumptions, LimitAssumptions), segments(file)
    cells = [cells_of(one, assumed.limits_minor, assumed.prices, assumed.economics) for one in given]
    plan = choose(given, cells, assumed.constraints)
    edge = frontier(given, cells, assumed.constraints, assumed.frontier)
    rows = [
        {"segment": one.name, **{key: getattr(cell, key) for key in cell.__struct_fields__}}
        for one, cell in zip(given, plan.chosen, strict=True)
    ]
    if out:
        out.write_text(_csv(rows), encoding="utf-8")
        console().print(f"written: {out}")
    if dmn:
        dmn.write_bytes(emit_plan(given, plan.chosen, dmn.stem))
        console().print(f"written: {dmn}")
    told = {key: getattr(plan, key) for key in plan._fields if key != "chosen"}
    points = [{"loss_rate_max": rate, "profit_minor": one.profit_minor if one else None} for rate, one in edge]
    if json:
        show_json({"segments": rows, **told, "frontier": points})
        return 0
    for row in rows:
        offer = f"{row['limit_minor']:,} at {_percent(row['price'])}" if row["limit_minor"] else "declined"
        print(f"{row['segment']}: {offer}, profit {row['profit_minor']:,}")
    print(f"all: profit {plan.profit_minor:,}, loss {plan.loss_minor:,}, approved {plan.approval_rate:.1%}")
    for name, value in plan.shadow_prices.items():
        print(f"  one unit more of {name}: {value:.6g}")
    for point in points:
        print(f"  loss rate up to {point['loss_rate_max']:.2%}: profit {point['profit_minor']}")
    return 0


def _csv(rows: list[dict[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@app.command
def concentration(file: Path, /, *, assumptions: Path | None = None, json: Json = False) -> int:
    """How a book is spread over borrowers, groups, regions and industries, and which limits it breaks.

    Exit code 1 where a limit is broken.

    For example:
      quanheng credit concentration book.csv --assumptions rules.toml

    Parameters
    ----------
    file : Path
        A .csv or .parquet file: borrower, exposure_minor, group, region, industry, loan_minor.
    assumptions : Path
        TOML: rules (basel, china, none), tier1_minor, net_capital_minor, and [[limit]] for limits of your own.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.models.credit.assumptions import ConcentrationAssumptions, spread
    from quanheng.models.credit.reading import read_assumptions

    assumed = read_assumptions(assumptions, ConcentrationAssumptions) if assumptions else ConcentrationAssumptions()
    found = spread(file, assumed)
    breaches = [
        {**one.limit._asdict(), "name": one.name, "found_minor": one.found_minor, "most_minor": one.most_minor}
        for one in found.breaches
    ]
    if json:
        spreads = [one._asdict() for one in found.spreads]
        show_json({"total_minor": found.total_minor, "spreads": spreads, "breaches": breaches})
        return 1 if breaches else 0
    for one in found.spreads:
        name, most = one.largest[0]
        share = most / found.total_minor if found.total_minor else 0.0
        print(f"{one.dimension}: {one.names} names, HHI {one.hhi:.4f}, largest {name or 'without a name'} {share:.1%}")
    for breach in breaches:
        print(
            f"broken: {breach['dimension']} {breach['name']} has {breach['found_minor']:,}, at most "
            f"{breach['most_minor']:,} ({breach['source']})"
        )
    return 1 if breaches else 0
