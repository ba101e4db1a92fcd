"""The past, asked again: recorded decisions with their vectors read from the log, judged by other policies, explained.

`window` reads, `known` joins what a policy asks for, `versions` finds policies, `backtest` compares two of them over a
window, `explaining` explains one decision.
"""
