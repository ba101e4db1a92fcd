"""A whole book of loans as columns: accrued, billed, paid and closed each day for all loans at once, posted in sums."""
