"""Sends messages to the outside, after they are durable: requests to partners, signed webhooks, mail, and ports.

A message is sent at least once, always under its own id; what became of it comes back as one event.
"""
