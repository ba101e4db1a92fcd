"""`decisions.list`: is a device on a list of a million entries? As a policy asks, a group of 256 events at a time.

As on the main path, the intake has made the pseudonyms of the group's key fields before the policy asks (`value`);
`hashed_us` is the same for values that no key field holds, so that each look-up makes its pseudonym. Half of the asked
values are on the list. Answers are compared with a plain set before anything is timed.
"""

from __future__ import annotations

import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.lists import CHANGE_ENTRIES_MAX, ListEvent, Lists
from quanheng.events.intake import Intake
from quanheng.kernel.seal import KeyRing
from quanheng.testing.bench import Measured

ENTRIES, GROUP = 1_000_000, 256
NAME, ENTITY, NOW_MS = "cards.blocked_devices", "party.device", 1_768_471_200_000
NAMES = {"blocked_devices": (NAME, ENTITY)}
POLICY = b"""<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="list" namespace="bench">
<inputData id="i" name="device"><variable name="device" typeRef="string"/></inputData>
<decision id="d" name="blocked"><variable name="blocked"/>
<informationRequirement><requiredInput href="#i"/></informationRequirement>
<literalExpression><text>device in EXPRESSION</text></literalExpression></decision></definitions>"""


def folded(ring: KeyRing, entries: int) -> tuple[Lists, float]:
    """A list of so many devices, folded change by change, and the seconds of folding alone."""
    lists, seconds = Lists(), 0.0
    for at in range(0, entries, CHANGE_ENTRIES_MAX):
        keys = b"".join(ring.pseudonym(ENTITY, f"d-{number}") for number in range(at, at + CHANGE_ENTRIES_MAX))
        event = ListEvent(NAME, ENTITY, "add", at, keys, "bench", until_ms=NOW_MS + at + 1)
        start = time.perf_counter()
        lists.apply(event, at, NOW_MS)
        seconds += time.perf_counter() - start
    return lists, seconds


def run(quick: bool = False) -> Measured:
    """Microseconds a look-up, median of groups."""
    entries, groups = (100_000 if quick else ENTRIES), (40 if quick else 400)
    rng = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing.open(Path(folder))
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lists, fold_s = folded(ring, entries)
        memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        start = time.perf_counter()
        small, arrays = lists.keep()
        keep_s = time.perf_counter() - start
        start = time.perf_counter()
        assert Lists.restore(small, arrays).digest() == lists.digest()
        restore_s = time.perf_counter() - start
        policy, plain = (
            compile_decision(read_model(POLICY.replace(b"EXPRESSION", text), "list.dmn", lists=NAMES), "blocked")
            for text in (b'list("blocked_devices")', b'("none")')
        )
        known, hashed, cell, beside, empty = [], [], [], [], []
        for _ in range(groups):
            intake = Intake({}, ring)
            asked = lists.at(NOW_MS, intake.pseudonyms)(NAMES)
            values = [f"d-{rng.randrange(2 * entries)}" for _ in range(GROUP)]
            hashed.append(_each_us(lambda value, asked=asked: asked("blocked_devices", value), values))
            known.append(_each_us(lambda value, asked=asked: asked("blocked_devices", value), values))
            cell.append(_each_us(lambda value, asked=asked: policy((value,), None, asked), values))
            beside.append(_each_us(lambda value: plain((value,)), values))
            nobody = Lists().at(NOW_MS, intake.pseudonyms)(NAMES)
            empty.append(_each_us(lambda value, nobody=nobody: policy((value,), None, nobody), values))
            for value in values:
                assert asked("blocked_devices", value) is (int(value[2:]) < entries)
        ring.close()
    extra: dict[str, object] = {
        "entries": entries,
        "checked_equal": groups * GROUP,
        "hashed_us": _median(hashed),
        "policy_us": _median(cell),
        "policy_of_an_empty_list_us": _median(empty),
        "policy_without_list_us": _median(beside),
        "fold_s": round(fold_s, 3),
        "keep_s": round(keep_s, 3),
        "restore_and_digest_s": round(restore_s, 3),
        "bytes_per_entry": round(memory_kb * 1024 / entries),
    }
    return Measured(_median(known), "us", {}, extra)


def _each_us(call: object, values: list[str]) -> float:
    start = time.perf_counter_ns()
    for value in values:
        call(value)  # type: ignore[operator]
    return (time.perf_counter_ns() - start) / len(values) / 1000


def _median(taken: list[float]) -> float:
    return round(statistics.median(taken), 3)


if __name__ == "__main__":
    print(run())
