"""The engine: opening and recovery, packs, tokens, erasure, reads."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest
from shop import DAY_MS, LIMIT_MINOR, T0, HandClock, ask, opened, packs, shop

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import (
    AppendFailed,
    ConfigurationError,
    DataErased,
    DeclarationError,
    NotAuthenticated,
    NotPermitted,
)
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.program import Program
from quanheng.state import SUBJECT_ERASED


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


def fresh(engine: Engine) -> str:
    """Digest of the state folded from the beginning of the log."""
    return recovery.rebuild(engine.log, engine.content, None).digest()


def fill(engine: Engine, seed: int, groups: int = 12) -> None:
    """Random groups: repeats, refusals, late events, several customers."""
    rng = random.Random(seed)
    for group in range(groups):
        requests = []
        for number in range(rng.randint(1, 9)):
            amount = rng.choice([-1, 10_000, 20_000, LIMIT_MINOR, LIMIT_MINOR + 1, rng.randint(1, 900_000)])
            at = T0 + rng.randint(-40, 3) * DAY_MS + rng.choice([0, 1, 3_600_000])
            id = f"r{group}.{number}" if rng.random() < 0.9 else "r0.0"
            requests.append(ask(id, amount, customer=f"c{rng.randint(1, 4)}", at=at))
        engine.submit(requests)


# Opening and recovery


def test_what_was_folded_live_is_what_a_restart_folds(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=1)
    live = engine.state.digest(), engine.state.head, engine.state.received_ms
    engine.close()
    engine = opened(tmp_path)
    assert (engine.state.digest(), engine.state.head, engine.state.received_ms) == live
    engine.close()


def test_a_restart_from_a_snapshot_folds_the_same(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=2)
    engine.close()
    write_snapshot(tmp_path / "data")
    engine = opened(tmp_path)
    fill(engine, seed=3)
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    folded = []
    engine = opened(tmp_path, progress=lambda done, total: folded.append((done, total)))
    assert engine.state.digest() == live
    engine.close()


def test_an_index_ahead_of_the_log_is_refused(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=4)
    engine.close()
    for file in (tmp_path / "data").glob("log.db*"):
        file.unlink()
    with pytest.raises(ConfigurationError, match="the request index is ahead of the log"):
        Engine.open(tmp_path / "data", clock=HandClock())


def test_another_key_ring_is_refused_when_something_is_read(tmp_path):
    engine = opened(tmp_path)
    [reply] = engine.submit([ask("a")])
    engine.close()
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "other-keys", clock=HandClock())
    with pytest.raises(Exception, match="the ring has no key for this subject"):
        engine.decision(reply.decision)
    engine.close()


# Packs


def test_nothing_is_recorded_if_the_packs_are_in_force_already(engine):
    head = engine.log.head
    activated = engine.activate(packs())
    assert engine.log.head == head
    assert sorted(activated.packs) == ["party", "shop"]


def test_before_a_pack_is_active_every_event_is_refused(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    [reply] = engine.submit([ask("a")])
    assert reply.status == "rejected"
    assert "no active pack declares this event type" in reply.error
    assert engine.health()["packs"] == {}
    engine.close()


def test_all_problems_of_a_pack_are_reported_and_nothing_changes(engine):
    before = engine.state.digest(), engine.log.head
    bad = shop(
        ("features.toml", 'fold   = "count"', 'fold   = "tally"'),
        ("features.toml", 'window  = "30d"', 'window  = "30 moons"'),
        ("pack.toml", 'fallback = "review"', 'fallback = "shrug"'),
    )
    with pytest.raises(DeclarationError) as caught:
        engine.activate([bad])
    text = str(caught.value)
    assert all(word in text for word in ("tally", "30 moons", "shrug")), text
    assert len(caught.value.problems) >= 3
    assert (engine.state.digest(), engine.log.head) == before


def test_a_pack_whose_golden_case_fails_is_not_activated(engine):
    before = engine.state.digest(), engine.log.head
    with pytest.raises(DeclarationError, match="pack 'shop' is not activated: golden cases fail") as caught:
        engine.activate([shop(("parameters/limits.toml", "value = 500_000", "value = 600_000"))])
    assert "cases/first.toml: One cent above the limit is declined" in str(caught.value)
    assert (engine.state.digest(), engine.log.head) == before


LOWER = (
    ("parameters/limits.toml", "value = 500_000", "value = 400_000"),
    ("cases/first.toml", "500_001", "400_001"),
)
WIDER = (("features.toml", 'window = "1d"', 'window = "2d"'),)
MORE = (
    (
        "features.toml",
        "[[formula]]",
        """[[fold]]
name = "customer_sum_7d"
of = "shop.request"
by = ["customer"]
fold = "sum"
value = "amount_minor"
window = "7d"

[[formula]]""",
    ),
)


def test_a_changed_threshold_decides_from_then_on(engine):
    amount = 450_000
    assert engine.submit([ask("a", amount)])[0].outcome == "approve"
    digest = engine.state.features.digest()
    engine.activate([shop(*LOWER)])
    assert engine.state.features.digest() == digest
    [reply] = engine.submit([ask("b", amount)])
    assert (reply.outcome, list(reply.reasons)) == ("decline", ["amount_over_limit"])
    assert engine.submit([ask("a", amount)])[0].outcome == "approve"  # What was answered stays answered.


@pytest.mark.parametrize("changes", [WIDER, MORE, WIDER + MORE], ids=["wider", "more", "both"])
def test_changed_folds_are_folded_again_from_the_beginning(tmp_path, changes):
    engine = opened(tmp_path)
    fill(engine, seed=5)
    engine.activate([shop(*changes)])
    assert engine.state.digest() == fresh(engine)
    fill(engine, seed=6, groups=3)
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    engine = opened(tmp_path)
    assert engine.state.digest() == live
    engine.close()


def test_folds_that_change_and_change_back(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=7, groups=4)
    engine.activate([shop(*WIDER)])
    write_snapshot(tmp_path / "data")
    fill(engine, seed=8, groups=2)
    engine.activate([shop()])
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    engine = opened(tmp_path)
    assert engine.state.digest() == live
    engine.close()


# Tokens


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def test_a_token_opens_what_its_scopes_say(engine):
    token = engine.issue_token("web", ["ingest", "read"])
    assert engine.authorise(digest(token), "ingest") == "web"
    assert engine.authorise(digest(token), "read") == "web"
    message = "web: the client may not do this; was ingest, read; allowed: admin. Issue a token with the scope 'admin'."
    with pytest.raises(NotPermitted) as caught:
        engine.authorise(digest(token), "admin")
    assert str(caught.value) == message


def test_admin_may_do_everything(engine):
    token = engine.issue_token("root", ["admin"])
    assert {engine.authorise(digest(token), scope) for scope in ("ingest", "read", "admin")} == {"root"}


def test_an_unknown_token_is_refused(engine):
    with pytest.raises(NotAuthenticated, match="the request carries no valid token"):
        engine.authorise(digest("qh_none"), "read")


def test_tokens_survive_a_restart_and_only_their_digest_is_kept(tmp_path):
    engine = opened(tmp_path)
    token = engine.issue_token("web", ["ingest"])
    engine.close()
    raw = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert token.encode() not in raw
    engine = opened(tmp_path)
    assert engine.authorise(digest(token), "ingest") == "web"
    engine.revoke_token("web")
    with pytest.raises(NotAuthenticated):
        engine.authorise(digest(token), "ingest")
    engine.close()
    engine = opened(tmp_path)
    with pytest.raises(NotAuthenticated):
        engine.authorise(digest(token), "ingest")
    engine.close()


def test_a_token_can_be_revoked_by_its_digest(engine):
    token, other = engine.issue_token("web", ["read"]), engine.issue_token("web", ["read"])
    engine.revoke_token(digest(token).hex())
    assert engine.authorise(digest(other), "read") == "web"
    with pytest.raises(NotAuthenticated):
        engine.authorise(digest(token), "read")


def test_revoking_what_is_not_there(engine):
    with pytest.raises(NotAuthenticated, match="token: no such token; was nobody; allowed: none"):
        engine.revoke_token("nobody")


SCOPES_TOLD = "ingest, post, read, watch, author, approve, admin"


@pytest.mark.parametrize(
    ("name", "scopes", "message"),
    [
        ("web", ["fly"], "scopes: the token cannot be issued; was fly; allowed: " + SCOPES_TOLD),
        ("web", [], "scopes: the token cannot be issued; was nothing; allowed: " + SCOPES_TOLD),
        ("", ["read"], "name: the token cannot be issued; was nothing; allowed: " + SCOPES_TOLD),
    ],
)
def test_a_token_needs_a_name_and_known_scopes(engine, name, scopes, message):
    with pytest.raises(ConfigurationError) as caught:
        engine.issue_token(name, scopes)
    assert str(caught.value) == message


# Erasure


def test_an_erased_subject_cannot_be_read_and_the_log_still_verifies(engine):
    anna, bert = engine.submit([ask("a"), ask("b", customer="bert")])
    offset = engine.erase("party.customer", "anna")
    assert offset == engine.log.head - 1
    for read in (engine.decision, engine.reader.recorded_decision):
        with pytest.raises(DataErased, match="this record's subject was erased; the content is gone for good"):
            read(anna.decision)
    with pytest.raises(DataErased, match=f"log offset {anna.offset}"):
        engine.reader.event(anna.offset)
    assert engine.decision(bert.decision)["outcome"] == "approve"
    assert engine.log.verify().ok
    assert engine.state.digest() == fresh(engine)


def test_a_repeat_of_an_erased_request_says_erased(engine):
    engine.submit([ask("a")])
    engine.erase("party.customer", "anna")
    [reply] = engine.submit([ask("a")])
    assert reply.status == "conflict"
    assert "erased" in reply.error


def test_a_subject_may_come_back_after_erasure(tmp_path):
    engine = opened(tmp_path)
    [old] = engine.submit([ask("a")])
    engine.erase("party.customer", "anna")
    [new] = engine.submit([ask("b")])
    engine.close()
    engine = opened(tmp_path)  # A restart must not take the new key for one that should be gone.
    assert engine.decision(new.decision)["outcome"] == "approve"
    with pytest.raises(DataErased):
        engine.decision(old.decision)
    engine.close()


def test_a_restart_completes_an_erasure_that_was_recorded_only(tmp_path):
    engine = opened(tmp_path)
    [reply] = engine.submit([ask("a")])
    subject = engine.ring.pseudonym("party.customer", "anna")
    engine.writer.record(SUBJECT_ERASED, {"subject": subject.hex()})
    engine.close()  # As if the process had been killed before the key was destroyed.
    engine = opened(tmp_path)
    with pytest.raises(DataErased):
        engine.decision(reply.decision)
    assert engine.log.verify().ok
    engine.close()


def test_a_restart_completes_a_second_erasure_too(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a")])
    engine.erase("party.customer", "anna")
    [reply] = engine.submit([ask("b")])
    subject = engine.ring.pseudonym("party.customer", "anna")
    engine.writer.record(SUBJECT_ERASED, {"subject": subject.hex()})
    engine.close()
    engine = opened(tmp_path)
    with pytest.raises(DataErased):
        engine.decision(reply.decision)
    engine.close()


def test_erasing_a_subject_that_is_not_there_yet_does_not_take_its_later_key(tmp_path):
    engine = opened(tmp_path)
    engine.erase("party.customer", "anna")
    [reply] = engine.submit([ask("a")])
    engine.close()
    engine = opened(tmp_path)
    assert engine.decision(reply.decision)["outcome"] == "approve"
    engine.close()


# Reads


def test_reads_say_as_of_which_offset(engine):
    engine.submit([ask("a"), ask("bad", -1)])
    assert engine.health() == {
        "as_of": 4,
        "epoch": engine.log.epoch,
        "packs": {"party": "1.0.0", "shop": "0.1.0"},
        "development_keys": True,
    }
    assert engine.rejects()["as_of"] == 4
    assert engine.decision(2)["as_of"] == 4


def test_rejects_are_paged(engine):
    engine.submit([ask(f"bad{n}", -1) for n in range(5)])
    assert [one["id"] for one in engine.rejects(limit=2)["items"]] == ["bad3", "bad4"]
    seen, after = [], 0  # A listing begins at 0 and is continued behind the last one seen, until nothing comes.
    while items := engine.rejects(after=after, limit=2)["items"]:
        assert len(items) <= 2
        seen += [one["id"] for one in items]
        after = items[-1]["offset"]
    assert seen == [f"bad{n}" for n in range(5)]


def test_metrics_count_what_the_log_holds(engine):
    engine.submit([ask("a"), ask("b", LIMIT_MINOR + 1), ask("bad", -1), ask("late", deadline_ms=1)])
    metrics = engine.metrics()
    assert metrics["events"] == {"shop.request": 3}
    assert metrics["outcomes"] == {"approve": 1, "decline": 1, "review": 1}
    assert metrics["statuses"] == {"decided": 2, "late": 1}
    assert (metrics["rejected"], metrics["log_records"], metrics["late_events"]) == (1, 8, 0)
    assert metrics["feature_memory_bytes"] > 0
    assert metrics["feature_keys"]["shop.request by customer"] > 0


# What is told when things do not fit together


def test_packs_that_order_their_outcomes_otherwise_cannot_be_active_together(engine):
    other = msgspec.structs.replace(engine.state.program.packs["shop"], name="other", outcomes=("decline", "approve"))
    with pytest.raises(DeclarationError) as caught:
        Program({**engine.state.program.packs, "other": other}, engine.state.program.codes)
    text = str(caught.value)
    assert text.startswith("the packs cannot be active together: 1 problem")
    assert "pack 'other' orders its outcomes otherwise than the packs before it; was decline, approve" in text


def test_a_log_that_is_read_only_or_has_no_key_says_so(tmp_path):
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test")
    with pytest.raises(ConfigurationError, match="this log has no signing key"):
        log.checkpoint()
    with pytest.raises(AppendFailed, match="this log was opened for reading"):
        Log.reader(SqliteLogStore(tmp_path / "log.db")).append([b"x" * 88], T0)
    log.close()
