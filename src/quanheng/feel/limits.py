"""What bad input may cost: every limit of the language and of its models, in one place.

The limits hold for the process. `configure` changes them before models are read, never while they run: two evaluations
of one input under different limits may differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from quanheng.kernel.errors import ConfigurationError


@dataclass(slots=True)
class Limits:
    """A text or model beyond its limit is refused; an evaluation beyond its own is null, with a cause."""

    expression_length: int = 200_000
    """Characters of one expression."""
    nesting: int = 60
    """Parentheses, brackets, branches, calls inside each other."""
    chain: int = 160
    """Operators in one row (`a + b + c ...`)."""
    work: int = 1_000_000
    """Items visited, functions called, pattern steps and long texts copied by one evaluation."""
    text_length: int = 1_000_000
    """Characters of one text that an expression builds."""
    result_items: int = 1_000_000
    """Values in one result, inner ones counted each time they appear."""
    result_depth: int = 200
    """Lists and contexts inside each other in one result."""
    pattern_length: int = 2_000
    """Characters of one regular expression."""
    pattern_nesting: int = 40
    """Groups inside each other."""
    pattern_count: int = 1_000
    """The largest number in `{n,m}`."""
    pattern_program: int = 10_000
    """Instructions of one regular expression, repetitions with a count written out."""
    pattern_steps: int = 500_000
    """Steps of one search."""
    type_parts: int = 5_000
    """Parts of one declared type, written out: types used within types count each time."""
    type_levels: int = 100
    """Types inside each other."""
    table_bits: int = 1_000_000_000
    """Bits of the index of one decision table: its rules times the places that its constants make."""
    model_bytes: int = 20_000_000
    """Bytes of one DMN file."""
    model_nesting: int = 40
    """Boxed expressions inside each other."""
    model_imports: int = 50
    """Models that one model imports, those of others included."""


LIMITS = Limits()
"""The limits in force."""

_MOST = {"nesting": 80, "chain": 250, "pattern_nesting": 60, "model_nesting": 60, "result_depth": 500,
         "type_levels": 150}  # fmt: skip
"""Where more would exhaust the stack of the interpreter."""


def configure(**changes: int) -> None:
    """Change limits for the whole process, for example `configure(work=100_000)`.

    Raises
    ------
    ConfigurationError : there is no such limit, or the number is not allowed
    """
    known = [one.name for one in fields(Limits)]
    for name, value in changes.items():
        if name not in known:
            raise ConfigurationError(
                "there is no such limit", where="limits of FEEL", found=name, allowed=", ".join(known),
                cure="Correct its name.",
            )  # fmt: skip
        if not 1 <= value <= _MOST.get(name, 10**9):
            raise ConfigurationError(
                "a limit is out of range", where=f"limits of FEEL, {name}", found=str(value),
                allowed=f"1 to {_MOST.get(name, 10**9)}", cure="Choose a number in this range.",
            )  # fmt: skip
    for name, value in changes.items():
        setattr(LIMITS, name, value)
