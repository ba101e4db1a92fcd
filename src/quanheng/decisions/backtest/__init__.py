"""Backtests: two policies over the same past decisions, compared. Pure: rows in, comparison and report out.

`rules` puts rules into words, `compare` counts, `report` and `page` show, `sequential` watches two arms as they run.
"""
