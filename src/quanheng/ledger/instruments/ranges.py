"""Integers in a range: a float or a bool that compares well is none."""

from __future__ import annotations


def in_range(value: object, least: int, most: int) -> bool:
    """Whether a value is an integer between two others, both included."""
    return type(value) is int and least <= value <= most
