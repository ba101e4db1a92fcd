"""Whatever a file holds, the check answers with problems, never with an exception."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from quanheng.kernel.errors import Problem
from quanheng.loading import PackFiles, check_pack

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, sample_files, sample_pack, wallet_files, wallet_pack

VALUES = (
    b"1", b"-1", b"0.5", b"true", b'""', b'"x"', b"[]", b"{}", b"[1]", b'["a"]', b"{a = 1}", b"2026-01-01", b"nan",
    b"10:00:00", b"[{}]", b"1e400", b"99999999999999999999", b"2026-01-01T00:00:00", b"0001-01-01", b"9999-12-31",
    b'"\\u0000"',
)  # fmt: skip
AVAILABLE = available()
FILES = sample_files()


def spoil(draw: random.Random, content: bytes) -> bytes:
    """One random change: a line lost, doubled, moved or cut, a value of another kind, a byte of noise."""
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    match draw.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines.insert(draw.randrange(len(lines)), lines.pop(at))
        case 3:
            lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
        case 4 | 5:
            key, equals, _ = lines[at].partition(b"=")
            lines[at] = key + b"= " + draw.choice(VALUES) if equals else lines[at]
        case _:
            position = draw.randrange(len(content) + 1)
            return content[:position] + bytes([draw.randrange(256)]) + content[position:]
    return b"\n".join(lines)


WALLET = wallet_files()
OF_VALUE = ["accounts.toml"] * 6 + sorted(WALLET)
"""What is spoilt of the wallet: most of all what moves value."""


@pytest.mark.parametrize("part", range(8))
def test_a_spoilt_pack_gives_problems_and_no_exception(part):
    spoilt(range(part * 60, part * 60 + 60), sorted(FILES), FILES, sample_pack)


@pytest.mark.parametrize("part", range(8))
def test_a_spoilt_pack_that_moves_value_gives_problems_and_no_exception(part):
    spoilt(range(part * 60, part * 60 + 60), OF_VALUE, WALLET, wallet_pack)


def spoilt(seeds: range, names: list[str], files: dict[str, bytes], pack: Callable[..., PackFiles]) -> None:
    """Check the pack with some of its files spoilt, once for each seed."""
    for seed in seeds:
        draw = random.Random(seed)
        changes = {}
        for _ in range(draw.randint(1, 4)):
            name = draw.choice(names)
            changes[name] = spoil(draw, changes.get(name, files[name]))
        try:
            _, problems = check_pack(pack(dict(changes)), AVAILABLE)
        except Exception as error:  # Any exception at all is the failure this test looks for.
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error} for {sorted(changes)}") from error
        assert all(isinstance(problem, Problem) and problem.file and problem.message for problem in problems)
