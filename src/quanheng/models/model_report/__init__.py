"""The report of a fitted model for those who approve it: figures, drawings, fairness, card and limits on one page."""
