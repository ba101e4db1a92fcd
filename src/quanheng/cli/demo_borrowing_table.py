"""The figures of `quanheng demo` of people who borrow, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quanheng.cli.run import amount

if TYPE_CHECKING:
    from rich.table import Table

_ORACLE, _PLACEBO = "  of an oracle (knows the traits)", "  of a placebo (outcomes of others)"


def borrowing_table(title: str, result: dict[str, Any], currency: str) -> Table:
    """Decisions, what they are worth, the book, and what contacts changed.

    currency : of the amounts; empty = minor units of one that is not known
    """
    from rich.table import Table

    caption = "Ranges are intervals of 95 %."
    caption += "" if currency else " Amounts are in minor units."
    shown = Table(title=title, caption=caption, show_header=False, title_justify="left", caption_justify="left")
    shown.add_column(style="bold")
    shown.add_column(justify="right")
    for rows in (_decisions(result), _money(result, currency), _book(result, currency), _contacts(result, currency)):
        for name, value in rows:
            shown.add_row(name, value)
        shown.add_section()
    return shown


def _share(value: float | None) -> str:
    return "none seen" if value is None else f"{value:.1%}"


def _amount(minor: int, currency: str, sign: str = "") -> str:
    """With its currency, else a number alone, which the caption says is of minor units."""
    return amount(minor, currency) if currency else f"{minor:{sign},}"


def _between(low: str, high: str) -> str:
    return f" ({low} to {high})"


def _ranged(result: dict[str, Any], key: str) -> str:
    return f"{result[key]:.3f}" + _between(f"{result[f'{key}_low']:.3f}", f"{result[f'{key}_high']:.3f}")


def _decisions(result: dict[str, Any]) -> list[tuple[str, str]]:
    bands = [result[key] for key in sorted(result) if key.startswith("bad_rate_band_") and key[-1].isdigit()]
    bad = f"{_share(result['bad_rate_of_all'])} / {_share(result['bad_rate_of_approved'])}"
    rows = [
        ("applications decided", f"{result['applications']:,}"),
        ("lent to", _share(result["approval_rate"])),
        ("answered without a person", _share(result["straight_through"])),
        ("bad within a year: all / lent to", bad),
        ("  by fifths of the score, best first", " / ".join(map(_share, bands))),
    ]
    for prefix, whose in (("", "AUC of the score"), ("oracle_", _ORACLE), ("placebo_", _PLACEBO)):
        if f"{prefix}auc" in result:
            rows.append((whose, _ranged(result, f"{prefix}auc")))
    # KS without its interval: a maximum, it leans upward in resamples, and may lie below them where it is small.
    found = [f"{result[key]:.3f}" if key in result else "none" for key in ("ks", "oracle_ks", "placebo_ks")]
    rows.append(("KS of score / oracle / placebo", " / ".join(found)))
    p50, p99 = result["decision_p50_ms"], result["decision_p99_ms"]
    return [*rows, ("wait for an answer, p50 / p99", f"{p50:,.0f} ms / {p99:,.0f} ms")]


def _money(result: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    plain = f"  of a plain policy (lends to {_share(result['plain_policy_approval_rate'])})"
    named = {
        "profit of what was lent": "profit_minor",
        "  of loans to all": "profit_approve_all_minor",
        plain: "profit_plain_policy_minor",
        "  of an oracle (lends where it pays)": "profit_oracle_minor",
    }
    rows = [(name, _amount(result[key], currency)) for name, key in named.items()]
    for other, name in (("all", "  more than loans to all"), ("plain", "  more than the plain policy")):
        sums = [result[f"profit_over_{other}{end}_minor"] for end in ("", "_low", "_high")]
        if None not in sums:
            told = [_amount(one, currency, "+") for one in sums]
            rows += [(name, told[0]), ("    between", f"{told[1]} and {told[2]}")]
    return rows


def _book(result: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    lost, back = (_amount(result[key], currency) for key in ("written_off_minor", "recovered_minor"))
    return [
        ("loans of the book", f"{result['book_loans']:,}"),
        ("lent", _amount(result["lent_minor"], currency)),
        ("instalments paid / paid ahead", f"{result['book_paid']:,} / {result['book_prepaid']:,}"),
        ("events refused", f"{result['book_refused']:,}"),
        ("days on which the books agree", f"{result['days_balanced']:,} of {result['book_days']:,}"),
        (f"written off ({result['book_written_off']:,} loans)", lost),
        ("  of it paid later", back),
    ]


def _contacts(result: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    rows = [
        (f"arrears paid in 30 days, {name}", f"{_share(result[f'{key}_cured'])} of {result[key]:,}")
        for key, name in (("contacted", "contacted"), ("control", "left alone"))
    ]
    lift, more, cost = "recovery_lift", "recovered_more_minor", "cost_per_recovered"
    if result[lift] is None or result[more] is None:
        return [*rows, ("  difference", "too few to tell")]
    sums = [_amount(result[key], currency, "+") for key in (more, f"{more}_low", f"{more}_high")]
    for key, name in ((lift, "  difference, points"), (f"placebo_{lift}", "  of a placebo (halves left alone)")):
        points = [f"{100 * (result[one] or 0):+.1f}" for one in (key, f"{key}_low", f"{key}_high")]
        rows.append((name, points[0] + _between(*points[1:]) if result[key] is not None else "too few to tell"))
    rows.append(("  more paid, each loan", sums[0] + _between(*sums[1:])))
    units = [result[key] for key in (cost, f"{cost}_low", f"{cost}_high")]
    known = None not in units
    told = f"{units[0]:.3f}" + _between(f"{units[1]:.3f}", f"{units[2]:.3f}") if known else "too few to tell"
    return [*rows, ("  cost of contacts per unit more paid", told)]
