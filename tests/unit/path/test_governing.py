"""Versions of a pack from draft to champion over a real log: each step an event, trials replayed, four eyes kept."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import msgspec
import pytest
from shop import HandClock, ask, opened, packs, shop
from test_engine import LOWER, WIDER, fresh
from test_two_packs import second

from quanheng.decisions.versions import Move, Status
from quanheng.engine import Engine
from quanheng.events.schema import NO_KEY
from quanheng.follower import write_snapshot
from quanheng.governing import Asked, shown
from quanheng.kernel.errors import ConfigurationError, DeclarationError, InputError, NotFound, NotPermitted
from quanheng.program import Challenger
from quanheng.replay import replay
from quanheng.state import PACKS_ACTIVATED, VERSION_MOVED, State

AMOUNT = 450_000
"""Approved by the shop as it is, declined by LOWER."""
CUSTOMERS = 2_000


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def engine(tmp_path, clock):
    engine = opened(tmp_path, clock)
    yield engine
    engine.close()


def take(engine: Engine, step: str, actor: str = "", version: str = "", pack: str = "shop", **more: object) -> Move:
    """One step, each at a moment of its own."""
    engine.writer.clock.now_ms += 1_000
    actor = actor or ("ann" if step in ("draft", "submit", "shadow", "retire") else "bo")
    more.setdefault("reason", f"because {step}")
    return engine.take_step(engine.propose_step(Asked(step, actor, pack, version, **more)))


def drafted(engine: Engine, *changes, upto: str = "approve", files=None, pack: str = "shop") -> str:
    """The hash of a version that ann drafted and bo approved."""
    files = dict(files or shop(*(changes or LOWER)).files)
    hash = take(engine, "draft", files=files, pack="").hash
    for step in ("submit", "approve"):
        if upto == "draft":
            break
        take(engine, step, version=hash, pack=pack)
        if upto == step:
            break
    return hash


def outcomes(engine: Engine, prefix: str, customers: int = CUSTOMERS) -> dict[str, str]:
    """The outcome of one request of each customer."""
    requests = [ask(f"{prefix}{n}", AMOUNT, customer=f"c{n}") for n in range(customers)]
    return {f"c{n}": reply.outcome for n, reply in enumerate(engine.submit(requests))}


def status(engine: Engine, hash: str) -> Status:
    found = engine.state.versions.find("shop", hash)
    assert found is not None
    return found.status


def platform_events(engine: Engine, after: int) -> list[tuple[int, object]]:
    kinds = {VERSION_MOVED: Move, PACKS_ACTIVATED: msgspec.Raw}
    records = [engine.log.record(offset) for offset in range(after, engine.log.head)]
    return [(one.type, msgspec.json.decode(one.payload, type=kinds[one.type])) for one in records if one.type in kinds]


# -- the whole way


def test_a_change_walks_from_draft_to_champion_and_back_each_step_an_event(engine):
    first = engine.reader.activated(engine.state.program.activation).packs["shop"]
    begun = engine.log.head
    hash = drafted(engine, upto="draft")
    assert (status(engine, hash), engine.submit([ask("a", AMOUNT)])[0].outcome) == (Status.DRAFT, "approve")
    for step, after in (("submit", Status.REVIEW), ("approve", Status.REVIEWED), ("shadow", Status.SHADOW)):
        take(engine, step, version=hash[:8])
        assert status(engine, hash) is after
    assert engine.submit([ask("b", AMOUNT)])[0].outcome == "approve"  # A shadow answers nobody.
    take(engine, "share", version=hash, share_bp=2_000)
    assert Counter(outcomes(engine, "s").values()).keys() == {"approve", "decline"}
    take(engine, "promote", version=hash)
    assert set(outcomes(engine, "p").values()) == {"decline"}
    back = take(engine, "roll_back", actor="carl")
    assert (back.hash, status(engine, first), status(engine, hash)) == (first, Status.CHAMPION, Status.RETIRED)
    assert set(outcomes(engine, "r", 20).values()) <= {"approve", "review"}
    steps = [
        (type, one.step, one.actor) if type == VERSION_MOVED else type for type, one in platform_events(engine, begun)
    ]
    assert steps == [
        (VERSION_MOVED, "draft", "ann"),
        (VERSION_MOVED, "submit", "ann"),
        (VERSION_MOVED, "approve", "bo"),
        (VERSION_MOVED, "shadow", "ann"),
        PACKS_ACTIVATED,
        (VERSION_MOVED, "share", "bo"),
        PACKS_ACTIVATED,
        (VERSION_MOVED, "promote", "bo"),
        PACKS_ACTIVATED,
        (VERSION_MOVED, "roll_back", "carl"),
        PACKS_ACTIVATED,
    ]
    told = shown(engine.state.versions, "shop")
    assert [one["status"] for one in told] == ["champion", "retired"]
    assert [(one["step"], one["actor"], one["reason"]) for one in told[0]["steps"]] == [
        ("install", "key holder", ""),
        ("roll_back", "carl", "because roll_back"),
    ]
    assert told[1]["steps"][4]["share_bp"] == 2_000
    assert told[1]["authors"] == ["ann"]


def test_a_restart_and_a_snapshot_keep_every_version(tmp_path, clock):
    engine = opened(tmp_path, clock)
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=2_000)
    before = outcomes(engine, "a", 300)
    live, told = engine.state.digest(), shown(engine.state.versions)
    assert live == fresh(engine)
    engine.close()
    for with_snapshot in (False, True):
        if with_snapshot:
            assert write_snapshot(tmp_path / "data", check=True).digest == live
        engine = opened(tmp_path, clock)
        assert (engine.state.digest(), shown(engine.state.versions)) == (live, told)
        (challenger,) = engine.state.program.challengers
        assert (challenger.hash, challenger.share_bp) == (hash, 2_000)
        engine.close()
    engine = opened(tmp_path, clock)
    assert {name for name, outcome in outcomes(engine, "b", 300).items() if outcome == "decline"} == {
        name for name, outcome in before.items() if outcome == "decline"
    }
    engine.close()


def test_the_engine_shows_the_versions_of_a_pack_or_of_all(engine):
    assert [one["pack"] for one in engine.versions()["versions"]] == ["party", "shop"]
    assert engine.versions("shop") == {"as_of": engine.log.head, "versions": shown(engine.state.versions, "shop")}
    with pytest.raises(NotFound, match="none: the pack has no version here; allowed: party, shop"):
        engine.versions("none")


def test_a_snapshot_of_before_there_were_versions_is_passed_over(tmp_path, clock, monkeypatch):
    engine = opened(tmp_path, clock)
    drafted(engine)
    live = engine.state.digest()
    engine.close()
    real = State._kept

    def older(state: State, lists: bytes = b"") -> bytes:
        kept = msgspec.msgpack.decode(real(state, lists))
        del kept["versions"]
        return msgspec.msgpack.encode(kept)

    monkeypatch.setattr(State, "_kept", older)
    assert write_snapshot(tmp_path / "data").written
    monkeypatch.undo()
    engine = opened(tmp_path, clock)
    assert engine.state.digest() == live
    engine.close()


# -- who may, and when


@pytest.mark.parametrize("step", ["approve", "reject", "share", "promote"])
def test_an_author_never_judges_the_own_version(engine, step):
    hash = drafted(engine, upto="submit" if step in ("approve", "reject") else "approve")
    before = engine.state.digest(), engine.log.head
    with pytest.raises(NotPermitted) as caught:
        take(engine, step, actor="ann", version=hash, share_bp=100)
    assert str(caught.value) == (
        f"shop {hash[:12]}, step {step}: whoever drafted or submitted a version cannot take this step; was ann. "
        "Ask another person: four eyes see more than two."
    )
    assert (engine.state.digest(), engine.log.head) == before


def test_whoever_submitted_it_is_an_author_too(engine):
    hash = drafted(engine, upto="draft")
    take(engine, "submit", actor="bo", version=hash)
    with pytest.raises(NotPermitted, match="whoever drafted or submitted a version"):
        take(engine, "approve", actor="bo", version=hash)
    take(engine, "approve", actor="carl", version=hash)


def test_an_author_does_not_bring_the_own_version_back(engine):
    hash = drafted(engine)
    take(engine, "promote", version=hash)
    take(engine, "roll_back")
    with pytest.raises(NotPermitted, match="four eyes see more than two"):
        take(engine, "roll_back", actor="ann", version=hash)


REFUSED = [
    ("promote", {}, "there is no such step", "leap"),
    ("approve", {}, "a version that stands there cannot take this step; was reviewed; allowed: review. See where", ""),
    ("promote", {"reason": " "}, "this step needs a reason. Give one with --reason.", ""),
    (
        "share",
        {"share_bp": 0},
        "the share of traffic is out of range; was 0 basis points; allowed: 1 to 9999 basis",
        "",
    ),
    ("share", {"share_bp": 10_000}, "To give it all the traffic, promote it.", ""),
    ("roll_back", {}, "a version that stands there cannot take this step", ""),
]


@pytest.mark.parametrize(("step", "more", "text", "other"), REFUSED)
def test_a_step_that_cannot_be_taken_says_why_and_changes_nothing(engine, step, more, text, other):
    hash = drafted(engine)
    before = engine.state.digest(), engine.log.head
    with pytest.raises(InputError) as caught:
        take(engine, other or step, version=hash, **more)
    assert text in str(caught.value)
    assert (engine.state.digest(), engine.log.head) == before


def test_only_a_version_that_was_champion_can_come_back(engine):
    hash = drafted(engine)
    take(engine, "retire", version=hash)
    with pytest.raises(InputError, match="this version was never champion"):
        take(engine, "roll_back", version=hash)
    text = r"shop: there is no champion before\. Only a version that was champion can come back\."
    with pytest.raises(NotFound, match=text):
        take(engine, "roll_back")


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("", "a version is named by its hash; was ''; allowed: at least 8 characters"),
        ("0123456", "a version is named by its hash; was '0123456'"),
        ("0" * 12, "no version begins like that; was 000000000000; allowed: "),
    ],
)
def test_a_version_that_is_not_there(engine, version, text):
    with pytest.raises(NotFound) as caught:
        take(engine, "submit", version=version)
    assert text in str(caught.value)


def test_a_prefix_that_two_versions_share(engine):
    for last in "ab":
        engine.state.versions.apply(Move("shop", "c" * 63 + last, "1", "draft", "ann"))
    with pytest.raises(NotFound, match="several versions begin like that; was cccccccc; allowed: "):
        take(engine, "submit", version="c" * 8)


def test_a_draft_with_problems_or_failing_cases_is_none(engine):
    higher = ("parameters/limits.toml", "value = 500_000", "value = 600_000")
    files = dict(shop(higher).files)  # A golden case still says that 500,001 is too much.
    with pytest.raises(DeclarationError, match="golden cases fail"):
        take(engine, "draft", files=files)
    with pytest.raises(InputError, match=r"shop: this content is in force already; was \w+\. Change something\."):
        take(engine, "draft", files=dict(shop().files))
    assert [one.status for one in engine.state.versions.of("shop")] == [Status.CHAMPION]


def test_another_step_that_came_between_refuses_the_first(engine):
    hash = drafted(engine, upto="submit")
    approve, reject = (engine.propose_step(Asked(one, "bo", "shop", hash, reason="x")) for one in ("approve", "reject"))
    engine.take_step(reject)
    with pytest.raises(InputError, match="was rejected; allowed: review"):
        engine.take_step(approve)


def test_an_activation_that_came_between_refuses_a_promotion(engine):
    hash = drafted(engine)
    promote = engine.propose_step(Asked("promote", "bo", "shop", hash, reason="x"))
    engine.activate([shop(*WIDER)])
    before = engine.state.digest(), engine.log.head
    with pytest.raises(ConfigurationError, match="other packs were put in force while these were being checked"):
        engine.take_step(promote)
    assert (engine.state.digest(), engine.log.head, status(engine, hash)) == (*before, Status.REVIEWED)


# -- the share


def test_a_share_is_sticky_by_subject_and_about_what_was_declared(engine):
    hash = drafted(engine)
    tried: list[set[str]] = []
    for share_bp in (500, 2_000, 5_000):
        take(engine, "share", version=hash, share_bp=share_bp)
        mine = {name for name, outcome in outcomes(engine, f"a{share_bp}.").items() if outcome == "decline"}
        again = {name for name, outcome in outcomes(engine, f"b{share_bp}.").items() if outcome == "decline"}
        assert mine == again
        expected, spread = (
            CUSTOMERS * share_bp / 10_000,
            (CUSTOMERS * share_bp / 10_000 * (1 - share_bp / 10_000)) ** 0.5,
        )
        assert abs(len(mine) - expected) < 5 * spread
        tried.append(mine)
    assert tried[0] < tried[1] < tried[2]


def test_an_event_without_a_subject_falls_by_its_request():
    one = Challenger(None, "shop", frozenset({16}), "ab" * 32, 2_500)  # type: ignore[arg-type]
    events = [Keyed(NO_KEY, n.to_bytes(16)) for n in range(4_000)]
    taken = [event.request_key for event in events if one.takes(event)]  # type: ignore[arg-type]
    assert abs(len(taken) - 1_000) < 5 * 750**0.5
    assert taken == [event.request_key for event in events if one.takes(event)]  # type: ignore[arg-type]


def test_a_share_ends_at_its_last_basis_point():
    """Each of the 10,000 parts falls to one arm: a subject is in from the share on that its own part begins."""
    for number in range(50):
        event = Keyed(NO_KEY, number.to_bytes(16))
        least = next(bp for bp in range(10_001) if of_share(bp).takes(event))  # type: ignore[arg-type]
        assert least > 0, "no share takes nobody"
        assert not of_share(least - 1).takes(event)  # type: ignore[arg-type]
    everybody = of_share(10_000)
    assert all(everybody.takes(Keyed(NO_KEY, n.to_bytes(16))) for n in range(500))  # type: ignore[arg-type]
    part = int.from_bytes(blake2b((7).to_bytes(16), key=bytes.fromhex("ab" * 32), digest_size=8).digest()) % 10_000
    seven = Keyed(NO_KEY, (7).to_bytes(16))
    assert [of_share(part + more).takes(seven) for more in (0, 1)] == [False, True]  # type: ignore[arg-type]


def of_share(share_bp: int) -> Challenger:
    return Challenger(None, "shop", frozenset({16}), "ab" * 32, share_bp)  # type: ignore[arg-type]


class Keyed(msgspec.Struct):
    subject: bytes
    request_key: bytes


def test_decisions_of_both_arms_name_their_arm_and_replay_byte_for_byte(engine):
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=5_000)
    replies = engine.submit([ask(f"a{n}", AMOUNT, customer=f"c{n % 40}") for n in range(80)])
    arms = Counter()
    for reply in replies:
        recorded = engine.reader.recorded_decision(reply.decision)
        arms[recorded.body.arm] += 1
        assert (recorded.body.arm == hash) is (reply.outcome == "decline")
        # A champion's body has the nine parts of logs from before there were arms.
        assert len(msgspec.msgpack.decode(recorded.payload)) == (10 if recorded.body.arm else 9)
        report = replay(engine.reader, engine.snapshots, reply.decision)
        assert (report.same, report.differences) == (True, ())
        told = engine.decision(reply.decision)["versions"]["packs"]
        assert told["party"]["arm"] == "champion"
        assert told["shop"]["arm"] == ("challenger" if recorded.body.arm else "champion")
        assert (told["shop"]["hash"] == hash) is bool(recorded.body.arm)
    assert min(arms[""], arms[hash]) > 10


def test_challengers_still_replay_after_another_version_is_champion(engine):
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=5_000)
    replies = engine.submit([ask(f"a{n}", AMOUNT, customer=f"c{n}") for n in range(20)])
    take(engine, "promote", version=hash)
    take(engine, "roll_back")
    assert all(replay(engine.reader, None, reply.decision).same for reply in replies)


def test_requests_alone_fall_to_the_arm_of_their_group(engine):
    take(engine, "share", version=drafted(engine), share_bp=4_000)
    group = engine.submit([ask(f"a{n}", AMOUNT, customer=f"c{n}") for n in range(60)])
    alone = [engine.dry_run([ask(f"b{n}", AMOUNT, customer=f"c{n}")])[0].outcome for n in range(60)]
    assert [reply.outcome for reply in group] == alone
    assert set(alone) == {"approve", "decline"}


def test_a_challenger_with_other_folds_is_refused_with_the_problem(engine):
    hash = drafted(engine, *WIDER)
    take(engine, "shadow", version=hash)
    with pytest.raises(DeclarationError) as caught:
        take(engine, "share", version=hash, share_bp=100)
    text = str(caught.value)
    assert f"version {hash[:12]} of 'shop' cannot share the traffic" in text
    assert "features.toml" in text
    assert "a challenger shares events, folds, processes, outcomes and decided events with the champion" in text
    assert "change only policies, parameters, formulas and models" in text
    assert status(engine, hash) is Status.SHADOW
    take(engine, "promote", version=hash)  # All the traffic it may have: its windows are folded from the log.
    assert engine.state.digest() == fresh(engine)


def test_one_challenger_of_a_pack_at_a_time(engine):
    one, two = drafted(engine), drafted(engine, ("parameters/limits.toml", "value = 10,", "value = 9,"))
    take(engine, "share", version=one, share_bp=100)
    with pytest.raises(InputError, match=r"another version of this pack has a share of the traffic\. Retire the other"):
        take(engine, "share", version=two, share_bp=100)
    take(engine, "shadow", version=one)
    take(engine, "share", version=two, share_bp=100)
    assert [trial.share_bp for trial in engine.reader.activated(engine.state.program.activation).trials] == [0, 100]


def test_two_challengers_on_one_event_are_refused(tmp_path, clock):
    engine = opened(tmp_path, clock)
    engine.activate([*packs(), second()])
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=100)
    policy = second().files["policies/look.dmn"].replace(b"if odd", b"if amount_minor > 9 and odd")
    other = drafted(engine, files={**second().files, "policies/look.dmn": policy}, pack="second")
    with pytest.raises(ConfigurationError) as caught:
        take(engine, "share", pack="second", version=other, share_bp=100)
    assert "two challengers would share the traffic of one event; was " in str(caught.value)
    engine.close()


# -- four eyes


def test_with_four_eyes_a_champion_is_not_replaced_by_one_person(engine):
    engine.four_eyes = True
    before = engine.state.digest(), engine.log.head
    with pytest.raises(NotPermitted) as caught:
        engine.activate([shop(*LOWER)], actor="ann")
    assert str(caught.value) == (
        "shop: a champion is replaced by two people; was ann; allowed: draft, submit, and another person who approves "
        "and promotes. quanheng policy draft FOLDER; in an emergency: --break-glass REASON, which is recorded."
    )
    with pytest.raises(NotPermitted):
        engine.activate([shop(*LOWER)], actor="ann", break_glass="  ")
    assert (engine.state.digest(), engine.log.head) == before
    engine.activate([shop(*LOWER)], actor="ann", break_glass="the limit lets fraud through")
    broken = engine.state.versions.champion("shop")
    assert broken is not None
    assert [(move.step, move.actor, move.reason) for move in broken.moves] == [
        ("install", "ann", "the limit lets fraud through")
    ]
    activated = engine.reader.activated(engine.state.program.activation)
    assert (activated.by, activated.why) == ("ann", "the limit lets fraud through")


def glass(engine: Engine, hash: str) -> dict[str, str] | None:
    """What is shown of the broken glass of a version."""
    return next(one["glass"] for one in shown(engine.state.versions, "shop") if one["hash"] == hash)


def test_a_broken_glass_awaits_review_over_restarts_and_snapshots(tmp_path, clock):
    engine = opened(tmp_path, clock)
    engine.four_eyes = True
    engine.activate([shop(*LOWER)], actor="eve", break_glass=" fraud wave ")
    hash = engine.reader.activated(engine.state.program.activation).packs["shop"]
    awaiting = glass(engine, hash)
    assert awaiting is not None
    assert (awaiting["state"], awaiting["actor"], awaiting["reason"]) == ("awaiting review", "eve", "fraud wave")
    assert engine.metrics()["versions_awaiting_review"] == 1
    engine.close()
    assert write_snapshot(tmp_path / "data", check=True).written
    engine = opened(tmp_path, clock)
    assert glass(engine, hash) == awaiting
    with pytest.raises(NotPermitted) as caught:
        take(engine, "accept_glass", actor="eve", version=hash)
    assert str(caught.value) == (
        f"shop {hash[:12]}, step accept_glass: whoever broke the glass for a version cannot take this step; was eve. "
        "Ask another person: four eyes see more than two."
    )
    with pytest.raises(InputError, match=r"step reject_glass: this step needs a reason\. Give one with --reason"):
        take(engine, "reject_glass", actor="bo", version=hash, reason=" ")
    decides, head = engine.state.program, engine.log.head
    take(engine, "accept_glass", actor="bo", version=hash)
    assert (engine.state.program, engine.log.head) == (decides, head + 1), "a review changes nothing that is in force"
    accepted = glass(engine, hash)
    assert accepted == {
        **awaiting, "state": "accepted", "reviewer": "bo", "review": "because accept_glass",
        "title": {"en": "Broken glass: accepted afterwards", "zh": "紧急放行：事后复核通过"},
    }  # fmt: skip
    with pytest.raises(InputError) as caught:
        take(engine, "reject_glass", actor="carl", version=hash)
    assert str(caught.value) == (
        f"shop {hash[:12]}, step reject_glass: no broken glass of this version awaits review. See what does: "
        "quanheng policy list."
    )
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    engine = opened(tmp_path, clock)
    assert (engine.state.digest(), glass(engine, hash)) == (live, accepted)
    assert engine.metrics()["versions_awaiting_review"] == 0
    engine.close()


def test_a_review_of_the_glass_leaves_the_trial_of_the_version_alone(engine):
    engine.activate([shop(*LOWER)], actor="eve", break_glass="fraud wave")
    hash = engine.reader.activated(engine.state.program.activation).packs["shop"]
    take(engine, "roll_back", actor="bo")
    assert drafted(engine) == hash
    take(engine, "share", version=hash, share_bp=100)
    head = engine.log.head
    take(engine, "reject_glass", actor="bo", version=hash)
    assert (status(engine, hash), engine.log.head) == (Status.SHARE, head + 1)
    assert [one.hash for one in engine.reader.activated(engine.state.program.activation).trials] == [hash]


def test_whoever_broke_the_glass_does_not_bring_the_version_back_alone(engine):
    engine.four_eyes = True
    engine.activate([shop(*LOWER)], actor="eve", break_glass="fraud wave")
    hash = engine.reader.activated(engine.state.program.activation).packs["shop"]
    take(engine, "roll_back", actor="bo")
    with pytest.raises(NotPermitted, match="whoever broke the glass for a version cannot take this step; was eve"):
        take(engine, "roll_back", actor="eve", version=hash)


def test_only_a_broken_glass_can_be_reviewed(engine):
    first = engine.reader.activated(engine.state.program.activation).packs["shop"]
    assert glass(engine, first) is None
    with pytest.raises(InputError, match="no broken glass of this version awaits review"):
        take(engine, "accept_glass", version=first)


def test_with_four_eyes_two_people_change_a_champion_and_the_first_needs_none(tmp_path, clock):
    engine = Engine.open(tmp_path / "data", clock=clock)
    engine.four_eyes = True
    engine.activate(packs())
    hash = drafted(engine)
    take(engine, "promote", version=hash)
    assert status(engine, hash) is Status.CHAMPION
    take(engine, "roll_back", actor="carl")
    assert engine.state.digest() == fresh(engine)
    engine.close()
