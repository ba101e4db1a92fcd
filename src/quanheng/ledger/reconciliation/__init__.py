"""Reconciliation of the ledger against statements of others: what matches and why, and what is left."""
