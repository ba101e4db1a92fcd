"""Rules that never decide, because others always come first, and rules that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from quanheng.decisions.checking.axes import OTHER
from quanheng.decisions.checking.findings import Finding, listed
from quanheng.decisions.checking.grid import bits
from quanheng.decisions.checking.remarks import SHOWN_MAX, Table
from quanheng.decisions.checking.search import Cover, holding, meeting
from quanheng.decisions.dmn.tables import best_first

_CURE = "Remove it, or move it before what hides it."


def hidden(table: Table, cover: Cover) -> Iterator[Finding]:
    """Rules of FIRST and PRIORITY that are never the hit."""
    if table.policy not in ("FIRST", "PRIORITY"):
        return
    grid = table.grid
    before = _preferred(table)
    must, may = [one.must for one in grid.dimensions], [one.may for one in grid.dimensions]
    domains = [one.domain[OTHER] for one in grid.dimensions]
    whole = holding(must, may, domains, grid.everything)
    touched = meeting(must, may, domains, grid.everything)
    groups: dict[tuple[int, ...], list[int]] = {}
    for rule, (holders, near) in enumerate(zip(whole, touched, strict=True)):
        box = [one.may.sets[one.may.of[rule]] for one in grid.dimensions]
        rivals = before[rule]
        if not all(box) or not rivals:
            continue
        if held := holders & rivals:
            groups.setdefault((next(bits(held)),), []).append(rule)
        elif (several := near & rivals).bit_count() > 1 and not any(True for _ in cover.open(several, box)):
            groups.setdefault(tuple(bits(several)), []).append(rule)
    for masks, rules in list(groups.items())[:SHOWN_MAX]:
        yield _finding(table, masks, rules)


def _finding(table: Table, masks: tuple[int, ...], rules: list[int]) -> Finding:
    numbers, by = listed([rule + 1 for rule in rules]), listed([one + 1 for one in masks])
    one = len(rules) == 1
    subject = f"rule {numbers} is never the hit" if one else f"rules {numbers} are never the hit"
    if len(masks) == 1:
        always = not table.grid.node.rules[masks[0]].tests
        reason = f"rule {by} always holds" if always else f"rule {by} holds wherever {'it does' if one else 'they do'}"
    else:
        reason = f"rules {by} together hold wherever {'it does' if one else 'they do'}"
    first = "comes first" if table.policy == "FIRST" else "has the better output"
    return table.finding("masked", "warning", f"{subject}: {reason} and {first}", _CURE, rules)


def _preferred(table: Table) -> list[int]:
    """For each rule, the rules that are chosen before it, as bits; none where its output is not a constant."""
    count = table.grid.count
    if table.policy == "FIRST":
        return [(1 << rule) - 1 for rule in range(count)]
    node = table.grid.node
    rows = [(rule, given) for rule, given in enumerate(table.outputs) if given is not None]
    outputs = [dict(zip(node.names, given, strict=True)) if node.names else given[0] for _, given in rows]
    found, earlier = [0] * count, 0
    for index in best_first(outputs, node.names, node.ranks):
        rule = rows[index][0]
        found[rule] = earlier
        earlier |= 1 << rule
    return found


def redundant(table: Table, masked: frozenset[int]) -> Iterator[Finding]:
    """Rules whose removal changes nothing: a later rule that always holds with them gives the same.

    `masked` are rules (from 1) of which more is said already.
    """
    if table.policy not in ("FIRST", "ANY", "PRIORITY"):
        return
    grid = table.grid
    must, may = [one.must for one in grid.dimensions], [one.may for one in grid.dimensions]
    domains = [one.domain[OTHER] for one in grid.dimensions]
    whole = holding(must, may, domains, grid.everything)
    near = meeting(may, may, domains, grid.everything)
    shown = 0
    for rule, (holders, touched) in enumerate(zip(whole, near, strict=True)):
        box = [one.may.sets[one.may.of[rule]] for one in grid.dimensions]
        later = holders & table.twins(rule) & ~((1 << rule + 1) - 1)
        if not all(box) or not later or rule + 1 in masked:
            continue
        other = next(bits(later))
        between = touched & ((1 << other) - 1) & ~((1 << rule + 1) - 1)
        # Under PRIORITY too: outputs of one rank are taken in the order of the rules.
        if table.policy != "ANY" and between & ~table.twins(rule):
            continue
        message = f"rule {rule + 1} changes nothing: rule {other + 1} holds wherever it does and gives the same"
        yield table.finding("redundant", "note", message, "Remove it, if it is not there to be read.", [rule])
        shown += 1
        if shown == SHOWN_MAX:
            return
