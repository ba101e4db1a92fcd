"""The ledger's state in arrays, and what judges and applies transfers on it, compiled by numba."""
