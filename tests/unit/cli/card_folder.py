"""A data folder with the card pack in force, a clock that is moved by hand, and short ways to send."""

from __future__ import annotations

import json
from pathlib import Path

from quanheng.advancing import MovedClock
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.listing import AskedChange
from quanheng.loading.find import read_packs

T0 = 1_772_452_800_000
"""2026-03-02T12:00:00Z, a Monday."""
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


class CardFolder:
    """Payments at the terminal `kiosk` are reviewed: it is on the watch list."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovedClock(T0)
        self.engine = Engine.open(folder / "data", keys=folder / "keys", clock=self.clock)
        packs = read_packs()
        self.engine.activate([packs["party"], packs["card_fraud"]])
        asked = AskedChange("watched_terminals", "add", ("kiosk",), "ann")
        self.engine.lists.change(self.engine.lists.prepare(asked), self.engine.four_eyes)
        self._sent = 0

    def send(self, type, customer="anna", client="bank", **data):
        """Send one event; the reply."""
        self._sent += 1
        data = {"time_ms": self.clock.now_ms, "customer": customer, **data}
        request = Request(client, f"r{self._sent}", type, json.dumps(data).encode())
        return self.engine.submit([request])[0]

    def pay(self, payment, amount_minor=2500, **more):
        """A payment that is reviewed."""
        base = {"terminal": "kiosk", "currency": "EUR", "channel": "chip"}
        return self.send("card.payment", payment=payment, amount_minor=amount_minor, **base, **more)

    def dispute(self, dispute, amount_minor=8000, ground="unauthorised", law="psd2"):
        """A dispute is opened."""
        more = {"ground": ground, "law": law}
        return self.send("card.dispute_opened", dispute=dispute, payment="p", amount_minor=amount_minor, **more)
