"""The ledger as tables for SQL users: derived from the log, rebuilt at any time, followed beside the server."""
