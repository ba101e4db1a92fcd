"""Static checks of decision tables: overlaps, gaps, rules that never decide, each with an input that shows it.

`check_model` gives the findings of a checked model. A finding is exact or absent: a cell that cannot be decided without
running it is taken as "may hold, may not", so it neither makes nor hides a claim, and a note says so.
"""

from quanheng.decisions.checking.check import check_model
from quanheng.decisions.checking.findings import Finding

__all__ = ["Finding", "check_model"]
