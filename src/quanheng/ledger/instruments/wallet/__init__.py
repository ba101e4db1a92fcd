"""Offline wallet: purses that pay each other without a network, and the settlement that finds out who paid twice."""
