"""Revolving credit: accounts with a limit, statements, an interest-free period and instalment plans, as columns."""
