"""The peer of the ledger's benches that lives in an environment of its own: told where absent, else with our totals."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from bench import ledger_post
from bench.ledger_peers import SqlitePeer
from bench.peers import why_absent

PEERS = os.environ.get("QUANHENG_BENCH_PEERS", "")


@pytest.fixture
def calls(tmp_path):
    """Some calls of one transfer, and the totals that another peer has of them."""
    asked = ledger_post.batches(60, size=1)
    peer = SqlitePeer(tmp_path)
    assert sum(peer.post(one) for one in asked) == 60
    totals = peer.totals()
    peer.close()
    return asked, totals


def test_an_absent_peer_is_told(calls, monkeypatch):
    monkeypatch.setenv("QUANHENG_BENCH_PEERS", sys.executable)
    peers = {}
    told = ledger_post._vaulteq(*calls, peers)
    if why_absent("vaulteq"):
        assert peers == {}
        assert told["vaulteq_skipped"].startswith("vaulteq is not installed in ")


@pytest.mark.skipif(
    not PEERS or bool(why_absent("vaulteq")), reason="QUANHENG_BENCH_PEERS names no interpreter with vaulteq"
)
def test_vaulteq_has_the_same_totals(calls):
    asked, totals = calls
    peers = {}
    told = ledger_post._vaulteq(asked, totals, peers)
    assert "vaulteq_skipped" not in told
    assert peers["vaulteq"] >= told["vaulteq_p50_ms"] > 0
    twice = [*asked, asked[0]]
    ledger_post._vaulteq(twice, totals, peers)  # An id counts once there too.
    other = [np.array(one) for one in asked]
    other[0]["amount_minor"] += 1
    with pytest.raises(AssertionError, match="vaulteq has other totals"):
        ledger_post._vaulteq(other, totals, peers)
