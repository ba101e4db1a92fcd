"""Timers that are pending, in arrays, compiled by numba."""
