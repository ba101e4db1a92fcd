"""Loans: day counts, calendars, schedules, and the fold of a loan's dated actions into postings."""
