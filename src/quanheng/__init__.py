"""Quanheng 权衡: an open decision and value platform for finance. The door: every public name is here."""

__version__ = "0.1.0"
