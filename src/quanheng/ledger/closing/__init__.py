"""The end of a business day: cut-off, seals, daily balances, trial balance, general ledger for other systems."""
