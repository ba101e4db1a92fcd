# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Whatever the file: it is refused with a DeclarationError, or both engines give one result for each of its decisions."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.kernel.errors import DeclarationError

MODEL = (Path(__file__).parent / "everything.dmn").read_text(encoding="utf-8")
PARTS = re.findall(r"<[^>]*>|[^<]+", MODEL)
TAGS = sorted({part for part in PARTS if part.startswith("<") and not part.startswith("<?")})
TEXTS = [
    "",
    "null",
    "1",
    "n",
    "?",
    "-",
    '"a"',
    "[1..3]",
    "not(1)",
    "f(n)",
    "s(n)",
    "a.b",
    "item",
    "(",
    "@",
    "{x: n}",
    "\x00",
]
GIVEN = {"n": 3, "who": {"name": "Ann", "age": 40}, "grade": "A"}


def mutated(rng: random.Random) -> str:
    """The model with parts lost, doubled, swapped, or with other names, texts, attributes."""
    parts = list(PARTS)
    for _ in range(rng.randint(1, 4)):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        choice = rng.randrange(7)
        if choice == 0:
            del parts[at]
        elif choice == 1:
            parts[at:at] = parts[other : other + rng.randint(1, 12)]
        elif choice == 2:
            parts[at], parts[other] = parts[other], parts[at]
        elif choice == 3:
            parts[at] = rng.choice(TAGS)
        elif choice == 4 and not parts[at].startswith("<"):
            parts[at] = rng.choice(TEXTS).replace("<", "&lt;")
        elif choice == 5:
            parts[at] = re.sub(
                r'="[^"]*"', lambda _: f'="{rng.choice(TEXTS).replace(chr(34), "")}"', parts[at], count=1
            )
        elif choice == 6:
            elements = [index for index, part in enumerate(parts) if part.startswith("<") and part.endswith("/>")]
            if elements:
                parts[at:at] = [parts[rng.choice(elements)]]
    return "".join(parts)


def differing(xml: str) -> list[str]:
    """Decisions to which generated code gives another result than the judge; none where the model is refused."""
    found = []
    for strict in (True, False):
        try:
            model = read_model(xml.encode("utf-8", "replace"), "fuzz.dmn", strict)
        except DeclarationError:
            continue
        for name in {one.name for one in (*model.definitions.decisions, *model.definitions.services)} - {""}:
            compiled = compile_decision(model, name).judge(GIVEN, 0)
            judged = judge_model(model, name, GIVEN, 0)
            found += [name] if repr(compiled.result) != repr(judged.result) else []
    return found


def test_the_model_itself_is_right() -> None:
    model = read_model(MODEL.encode(), "everything.dmn")
    assert len(model.decisions) > 8
    assert differing(MODEL) == []


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**63))
def test_any_model_is_refused_or_has_one_result(seed: int) -> None:
    xml = mutated(random.Random(seed))
    assert differing(xml) == [], xml


def test_a_type_without_a_name_is_nobodys_type() -> None:
    """Found by a seed: its allowed texts were asked of every value without a type, lists among them."""
    xml = MODEL.replace("<itemDefinition", '<itemDefinition name=""><typeRef>string</typeRef><allowedValues><text>"A"</text></allowedValues></itemDefinition><itemDefinition', 1)  # fmt: skip
    assert xml != MODEL
    assert differing(xml) == []
    assert differing(mutated(random.Random(1282549))) == []


@pytest.mark.long
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**63))
def test_many_models(seed: int) -> None:
    xml = mutated(random.Random(seed))
    assert differing(xml) == [], xml
