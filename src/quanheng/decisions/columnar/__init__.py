"""Policies over whole columns of past inputs: the same answers as row by row, many times faster.

`coded.py`: columns as codes of their distinct values. `known.py`: the columns of a frame, where their values lie among
the constants of a table, how they compare. `plan.py`: what runs over columns and what row by row, and why.
`policy.py`: the door.
"""

from quanheng.decisions.columnar.plan import Mode
from quanheng.decisions.columnar.policy import ColumnPolicy, compile_columns
from quanheng.decisions.columnar.table import OnList, Unfit

__all__ = ["ColumnPolicy", "Mode", "OnList", "Unfit", "compile_columns"]
