"""Conformance kit for packs: one line in a pack author's own test.

    from quanheng.testing.pack_kit import assert_pack

    def test_my_pack():
        assert_pack("src/my_packs/my_pack")

It checks the pack as `quanheng pack check` does, runs the golden cases through the real main path, and holds the pack
to what a good one has beyond the rules: every reason and every outcome is tried by a case, a parameter that changes has
cases before and after, simulated traffic is the same again for the same seed and fits its own schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from quanheng.events.schema import EventType
from quanheng.kernel.errors import EventRejected
from quanheng.loading import Declared, PackFiles, check_pack, load_packs, read_pack, read_packs
from quanheng.loading.cases import run_cases
from quanheng.loading.traffic import traffic_of

TRAFFIC_EVENTS = 2_000
README_WORDS = ("for whom", "law", "data", "quality")

_JSON = msgspec.json.Encoder(decimal_format="number")


def assert_pack(pack: str | Path | PackFiles, available: Mapping[str, PackFiles] | None = None) -> None:
    """Fail with everything that a pack lacks.

    Parameters
    ----------
    pack : the pack's folder, or its files as `read_pack` gives them
    available : packs it may require; those installed by default

    Raises
    ------
    AssertionError
        one line for each fault.
    """
    faults = pack_faults(pack, available)
    assert not faults, f"{len(faults)} fault{'s' if len(faults) != 1 else ''}:\n" + "\n".join(faults)


def pack_faults(pack: str | Path | PackFiles, available: Mapping[str, PackFiles] | None = None) -> list[str]:
    """Everything that a pack lacks, one line each; empty for a good pack.

    A pack with problems is told its problems only: the rest could not be tried.
    """
    files = pack if isinstance(pack, PackFiles) else read_pack(Path(pack))
    others = dict(read_packs() if available is None else available)
    declared, problems = check_pack(files, others)
    if problems:
        return [str(problem) for problem in problems]
    packs = load_packs([declared.name], {**others, declared.name: files})
    found = [str(problem) for problem in run_cases(declared, _runner(packs))]
    for check in (_reasons_tried, _outcomes_tried, _dates_tried, _readme_says, _traffic_holds):
        found += check(declared)
    return found


def _runner(packs: Mapping[str, Declared]) -> Callable:
    """Runs a case through the real main path, in memory."""
    from quanheng.machines import log_names
    from quanheng.program import Program
    from quanheng.rehearsal import rehearse

    codes = {name: number for number, name in enumerate(log_names(packs.values()), 1000)}
    program = Program(packs, codes)
    return lambda case: rehearse(program, case)


def _expected(declared: Declared) -> Iterator[tuple[str | None, Sequence[str]]]:
    for case in declared.cases:
        for event in case.events:
            if event.expect is not None:
                yield event.expect.outcome, event.expect.reasons or ()


def _reasons_tried(declared: Declared) -> list[str]:
    tried = {code for _, reasons in _expected(declared) for code in reasons}
    return [
        f"reasons.toml: reason.{reason.code}: no golden case expects it. Add a case that gives this reason."
        for reason in declared.reasons
        if reason.code not in tried
    ]


def _outcomes_tried(declared: Declared) -> list[str]:
    tried = {outcome for outcome, _ in _expected(declared)}
    return [
        f"pack.toml: pack.outcomes: no golden case expects {outcome!r}. Add a case that ends so."
        for outcome in declared.outcomes
        if declared.flows and outcome not in tried
    ]


def _dates_tried(declared: Declared) -> list[str]:
    """A parameter that changes has cases on both sides of its last change."""
    clocks = [event.received_ms for case in declared.cases for event in case.events]
    found = []
    for parameter in declared.parameters:
        change = parameter.values[-1]
        sides = {clock >= change.from_ms for clock in clocks}
        if len(parameter.values) > 1 and len(sides) < 2:
            where = f"parameters: parameter.{parameter.name}"
            found.append(f"{where}: no golden cases on both sides of {change.from_date}. Add one before and one after.")
    return found


def _readme_says(declared: Declared) -> list[str]:
    text = declared.readme.lower()
    missing = [word for word in README_WORDS if word not in text]
    return [f"README.md: it does not speak of: {', '.join(missing)}."] if missing else []


def _traffic_holds(declared: Declared) -> list[str]:
    if declared.traffic is None:
        return []
    first, again = (list(islice(traffic_of(declared.traffic).events(TRAFFIC_EVENTS), TRAFFIC_EVENTS)) for _ in range(2))
    if first != again:
        return ["traffic.toml: the same seed gave other events."]
    types = {event.name: EventType(event, 0) for event in declared.events}
    for event in first:
        try:
            types[event.type].read(_JSON.encode(event.data))
        except EventRejected as error:
            if event.fault != "malformed":
                return [f"traffic.toml: event {event.id} is refused by its own schema: {error}"]
        else:
            if event.fault == "malformed":
                return [f"traffic.toml: event {event.id} should be malformed, and its schema takes it."]
    return []
