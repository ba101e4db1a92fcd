"""Decisions: a judgement under a dated policy, with outcome, reasons and evidence.

`dmn` reads DMN models and compiles one decision with everything it requires to a `Policy`.
"""
