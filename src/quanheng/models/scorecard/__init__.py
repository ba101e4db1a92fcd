"""Scorecards: bins, weights of evidence, a logistic fit, integer points, a compiled look-up with reasons."""
