"""Regular expressions of FEEL: those of XPath 2.0 (clause 7.6), matched in bounded time.

`compile_pattern(text, flags)` gives a `Pattern`; `Pattern.find` searches. The matcher visits each pair of instruction
and position once, so its work is bounded by (size of pattern) x (length of text) and counted: no input makes it hang.
"""

from quanheng.feel.patterns.matcher import Match, Pattern, TooCostly, compile_pattern
from quanheng.feel.patterns.syntax import PatternError

__all__ = ["Match", "Pattern", "PatternError", "TooCostly", "compile_pattern"]
