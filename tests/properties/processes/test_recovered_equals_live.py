"""Life cycles drawn at random, through the log: what is recovered is what was live, whatever was activated between."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.properties.processes.engines import Living, files_with, lives_are_read
from tests.properties.processes.lives import later, processes, rounds

from quanheng import recovery
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError

SLOW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(st.data(), processes())
def test_recovered_is_live_over_events_and_activations(data, declared) -> None:
    with tempfile.TemporaryDirectory() as folder, lives_are_read():
        living = Living(Path(folder) / "data")
        living.engine.activate([files_with(declared)])
        for turn in range(3):
            living.live(data.draw(rounds))
            if turn == 1:
                write_snapshot(Path(folder) / "data")
            version = data.draw(later(declared))
            head, before = living.engine.log.head, living.engine.state.digest()
            try:
                living.engine.activate([files_with(version)])
            except DeclarationError as error:
                found = str(error)
            else:
                declared, found = version, ""
            if found:
                assert "instances live in the state" in found
                assert (living.engine.log.head, living.engine.state.digest()) == (head, before)
        living.live(data.draw(rounds))
        digest, log = living.engine.state.digest(), living.engine.log
        assert recovery.rebuild(log, living.engine.content, None).digest() == digest
        assert recovery.rebuild(log, living.engine.content, living.engine.snapshots).digest() == digest
        fired = [serial for serial, _ in living.fired()]
        assert len(fired) == len(set(fired)), "a timer fires once"
        living.replays(every=7)
        living.again()
        assert living.engine.state.digest() == digest
        living.engine.close()
