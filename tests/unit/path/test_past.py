# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Backtests over a real log: what was decided then is what the same version says now; others against plain twins."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal

import numpy as np
import pytest
from shop import DAY_MS, T0, HandClock, ask, opened, packs, shop
from test_engine import LOWER as LOWERED
from test_engine import WIDER, fill

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.features.formulas import rounded
from quanheng.feel.types import NUMBER, STRING
from quanheng.kernel.errors import DeclarationError, InputError, NotFound
from quanheng.kernel.seal import NO_SUBJECT
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.past.backtest import Band, Settings, backtest
from quanheng.past.columns import NoColumn, _rounded, column_of, input_column
from quanheng.past.events import EventReader
from quanheng.past.known import Asker, served
from quanheng.past.versions import Asked, read_asked
from quanheng.past.window import PastReader, Window, survey

LOWER = ("parameters/limits.toml", "value = 500_000", "value = 300_000")
LATER = (
    "parameters/limits.toml",
    "  {from = 2020-01-01, value = 500_000,",
    '  {from = 2020-01-01, value = 300_000, source = "before"},\n  {from = 2026-01-10, value = 500_000,',
)
CURRENCY = 'currency     = {type = "text", pattern = "^[A-Z]{3}$", length_max = 3}'
COMPLAINED = """

[event."shop.complaint"]
title = {en = "Bad", zh = "坏"}
subject = "customer"
time = "time_ms"

[event."shop.complaint".fields]
time_ms = {type = "time"}
customer = {type = "key", entity = "party.customer"}
request = {type = "text", optional = true}"""
COMPLAINT = ("events.toml", CURRENCY, CURRENCY + COMPLAINED)
RULE = ("policies/answer.dmn", "&gt;= amount_to_mean_min", "&gt; amount_to_mean_min")


def asked(name: str) -> Asked:
    return Asked(name, None)


def run(engine: Engine, candidate="active", baseline="recorded", **more):
    made = [one if isinstance(one, Asked) else asked(one) for one in (candidate, baseline)]
    return backtest(engine.reader, read_packs(), Settings("shop", *made, **more))


def folder(tmp_path, name: str, *changes) -> str:
    place = tmp_path / name
    for file, content in shop(*changes).files.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content)
    return str(place)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A log with two activations, some hundred decisions, late and refused requests, and passed deadlines."""
    engine = opened(tmp_path_factory.mktemp("past"))
    fill(engine, seed=21, groups=30)
    engine.activate([shop(*LOWERED)])
    engine.submit([ask(f"x{n}", 1_000 * n, deadline_ms=n % 2, at=T0 + n) for n in range(1, 60)])
    yield engine
    engine.close()


def recorded(engine: Engine):
    window = Window("shop.request")
    found = survey(engine.reader, window, None)
    past = PastReader(engine.reader, window, found, chunk_rows=7)
    return [(offset, body) for rows in past.chunks() for offset, body in zip(rows.decisions, rows.bodies, strict=True)]


# -- the identity law


@pytest.mark.parametrize("rebuilt", [False, True], ids=["served", "rebuilt"])
def test_the_deciding_version_says_what_it_said(tmp_path, rebuilt):
    engine = opened(tmp_path)
    fill(engine, seed=22, groups=30)
    found = run(engine, rebuilt=rebuilt)
    assert (found["changed"], found["only_reasons"], found["left_out"]["not_readable"]) == (0, 0, 0)
    assert found["decisions"] == len(recorded(engine)) > 50
    assert found["rules"]["candidate"] == found["rules"]["baseline"]
    assert found["vectors"] == ("rebuilt" if rebuilt else "as served")
    engine.close()


def test_columns_and_rows_give_one_report(history, tmp_path):
    """Everything that is counted, hits and reasons included; late and failed decisions too."""
    place = folder(tmp_path, "lower", (*LOWER[:2], "value = 30_000"))
    fast, slow = (run(history, place, "active", columns=columns) for columns in (True, False))
    for side in ("candidate", "baseline"):
        assert fast[side].pop("engine")["mode"] == "columns"
        assert slow[side].pop("engine")["why"].endswith("one decision after another: asked for")
    assert fast == slow
    assert fast["changed"] > 0


def test_every_input_is_the_same_as_a_column(history):
    found = survey(history.reader, Window("shop.request"), None)
    for rows in PastReader(history.reader, Window("shop.request"), found).chunks():
        program = history.reader.program(rows.activation)
        asker = Asker(program, "shop", "shop.request")
        known = asker.known(
            rows, served(history.reader, "shop.request", rows), EventReader().read(asker.event_type, rows)
        )
        for one in asker.flow.policy.inputs:
            assert input_column(known, one.name, one.type).to_list() == list(known.column(one.name)), one.name
        for one in asker.pack.folds:
            values = list(known.column(one.name))
            assert column_or_none(known, one.name) in (values, None)


def column_or_none(known, name):
    try:
        return input_column(known, name, NUMBER).to_list()
    except NoColumn:
        return None


@pytest.mark.parametrize("seed", range(4))
def test_rounding_a_column_is_rounding_each_value(seed):
    rng = random.Random(seed)
    ties = [rng.randint(-(10**6), 10**6) / 2 ** rng.randint(0, 9) for _ in range(300)]
    others = [rng.uniform(-1, 1) * 10 ** rng.randint(-6, 9) for _ in range(300)]
    values = np.array([*ties, *others, 0.125, -0.125, 2.5, float("nan"), 0.0, 1e-300])
    for decimals in (0, 1, 2, 4, 6):
        slow = [None if value != value else rounded(value, decimals) for value in values.tolist()]
        assert _rounded(values, decimals).to_list() == slow
    with pytest.raises(NoColumn):
        _rounded(np.array([1e30]), 4)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([Decimal(1).scaleb(-30), 10**12], NUMBER), ([2**62], NUMBER), ([Decimal("NaN")], NUMBER), (["a", 1], STRING)],
)  # fmt: skip
def test_what_no_column_holds_is_judged_by_rows(values, kind):
    with pytest.raises(NoColumn):
        column_of("x", values, kind)


def test_a_chunk_that_does_not_fit_is_judged_by_rows(history, monkeypatch):
    def never(*_):
        raise NoColumn

    monkeypatch.setattr("quanheng.past.columns.input_column", never)
    found = run(history, from_ms=T0 + 1, to_ms=T0 + 60)
    assert found["changed"] == 0
    assert "1 chunks wholly by rows, because a value does not fit a column" in found["candidate"]["engine"]["why"]


def test_a_chunk_is_one_activation_and_bounded(history):
    found = survey(history.reader, Window("shop.request"), None)
    chunks = list(PastReader(history.reader, Window("shop.request"), found, chunk_rows=7).chunks())
    assert max(map(len, chunks)) == 7
    assert len({rows.activation for rows in chunks}) == 2
    assert all(body.program == rows.activation for rows in chunks for body in rows.bodies)
    assert sum(map(len, chunks)) == found.decisions == sum(history.state.decided.values())


def test_late_decisions_stay_late_on_both_sides(history):
    statuses = [body.status for _, body in recorded(history)]
    assert statuses.count("late") > 20
    assert run(history, from_ms=T0 + 1, to_ms=T0 + 60)["changed"] == 0


# -- against plain twins


def twin(tmp_path, *changes):
    """An engine that had the other version in force from the beginning, fed with the same requests."""
    engine = Engine.open(tmp_path / "twin", clock=HandClock())
    engine.activate([read_packs()["party"], without_cases(shop(*changes))])
    return engine


def without_cases(pack):
    """The pack without its golden cases: they hold for the unchanged one."""
    return read_pack({file: content for file, content in pack.files.items() if "cases" not in file}, "shop")


@pytest.mark.parametrize("changes", [(LOWER,), (RULE,)], ids=["parameter", "rule"])
@pytest.mark.parametrize("rebuilt", [False, True], ids=["served", "rebuilt"])
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_a_change_gives_what_an_engine_with_it_would_have_decided(tmp_path, changes, rebuilt, columns):
    engine = opened(tmp_path)
    other = twin(tmp_path, *changes)
    fill(engine, seed=23, groups=40)
    fill(other, seed=23, groups=40)
    mine, theirs = recorded(engine), recorded(other)
    outcomes = engine.state.program.outcomes
    expected = [[0] * 3 for _ in outcomes]
    for (_, one), (_, another) in zip(mine, theirs, strict=True):
        expected[outcomes.index(one.outcome)][outcomes.index(another.outcome)] += 1
    found = run(engine, folder(tmp_path, "changed", *changes), rebuilt=rebuilt, columns=columns)
    assert found["candidate"]["engine"]["mode"] == ("columns" if columns else "rows")
    assert found["matrix"] == expected
    assert found["changed"] == sum(sum(row) for row in expected) - sum(expected[n][n] for n in range(3))
    for one in (engine, other):
        one.close()


def test_other_folds_are_folded_again_as_of_each_event(tmp_path):
    """The vector of the other version holds only what was in the log before, as its own engine would have had it."""
    engine = opened(tmp_path)
    other = twin(tmp_path, *WIDER)
    fill(engine, seed=24, groups=40)
    fill(other, seed=24, groups=40)
    place = folder(tmp_path, "wider", *WIDER)
    with pytest.raises(InputError, match="reads folds that were not recorded with the decisions"):
        run(engine, place)
    found = run(engine, place, rebuilt=True)
    outcomes = engine.state.program.outcomes
    expected = [[0] * 3 for _ in outcomes]
    for (_, one), (_, another) in zip(recorded(engine), recorded(other), strict=True):
        expected[outcomes.index(one.outcome)][outcomes.index(another.outcome)] += 1
    assert found["matrix"] == expected
    assert found["changed"] > 0
    for one in (engine, other):
        one.close()


# -- what is told


def test_changed_decisions_are_told_with_their_rules_and_value(tmp_path):
    engine = opened(tmp_path)
    amounts = [100_000, 300_000, 300_001, 400_000, 500_000, 500_001]
    engine.submit([ask(f"a{n}", amount, customer=f"c{n}") for n, amount in enumerate(amounts)])
    found = run(engine, folder(tmp_path, "lower", LOWER), segments=(Band("currency"), Band("amount_minor", (300_001,))))
    [change] = found["changes"]
    assert (change["from"], change["to"], change["count"]) == ("approve", "decline", 3)
    assert change["value"] == {"EUR": 300_001 + 400_000 + 500_000}
    [rule] = change["rules_gained"]
    assert (rule["table"], rule["rule"], rule["text"]) == (
        "decline_reasons", 1, 'amount_minor: > amount_max_minor -> "amount_over_limit"',
    )  # fmt: skip
    assert rule["words"]["en"] == "amount_minor is above “Largest amount of one request”"
    assert rule["words"]["zh"] == "amount_minor高于“单笔申请金额上限”"
    assert [one["code"] for one in change["reasons_gained"]] == ["amount_over_limit"]
    assert change["rules_lost"] == change["reasons_lost"] == []
    assert {one["decision"] for one in found["sample"]} == set(change["examples"])
    assert found["value"]["EUR"][0][2] == change["value"]["EUR"]
    by = {segment["by"]: {row["value"]: row["changed"] for row in segment["rows"]} for segment in found["segments"]}
    assert by == {"currency": {"EUR": 3}, "amount_minor": {"< 300001": 0, ">= 300001": 3}}
    hits = {(one["table"], one["rule"]): one["hits"] for one in found["rules"]["candidate"]}
    assert hits == {("decline_reasons", 1): 4, ("review_reasons", 1): 0, ("review_reasons", 2): 0}
    assert len(found["never_fired"]["candidate"]) == 2
    engine.close()


def test_an_altered_rule_is_told_with_both_texts(history, tmp_path):
    found = run(history, folder(tmp_path, "rule", *LOWERED, RULE), "active")
    [altered] = found["rules_changed"]["altered"]
    assert (altered["was"]["text"], altered["now"]["text"]) == (
        'amount_to_mean: >= amount_to_mean_min -> "amount_unlike_history"',
        'amount_to_mean: > amount_to_mean_min -> "amount_unlike_history"',
    )
    assert found["rules_changed"]["added"] == found["rules_changed"]["removed"] == []


def test_parameters_of_another_day_judge_old_cases_again(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(
        [read_packs()["party"], without_cases(shop(LATER))]
    )  # 300,000 until the tenth of January, then 500,000; the clock stands on the fifteenth.
    engine.submit([ask("a", 400_000), ask("b", 200_000, customer="bea")])
    early = Asked("active", T0 - 10 * DAY_MS)
    found = run(engine, early, "active")
    assert found["matrix"][0][2] == found["changed"] == 1
    assert found["candidate"]["as_of_ms"] == early.as_of_ms
    assert run(engine, Asked("active", T0), "active")["changed"] == 0
    engine.close()


def test_only_the_window_is_judged(history):
    times = sorted(history.log.record(offset).time_ms for offset, _ in recorded(history))
    middle = times[len(times) // 2]
    before, after = run(history, to_ms=middle)["decisions"], run(history, from_ms=middle)["decisions"]
    assert (before, after) == (sum(one < middle for one in times), sum(one >= middle for one in times))


def test_erased_subjects_are_counted_and_the_rest_is_judged(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask(f"a{n}", customer="anna" if n % 3 else "bea") for n in range(9)])
    engine.erase("party.customer", "anna")
    found = run(engine)
    assert (found["decisions"], found["left_out"]["erased"], found["changed"]) == (3, 6, 0)
    assert run(engine, rebuilt=True)["left_out"]["erased"] == 6
    engine.close()


def test_labels_count_once_they_are_old_enough(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs(COMPLAINT))
    engine.submit([ask(f"a{n}", 400_000 if n < 4 else 600_000, customer=f"c{n}", at=T0 - 9 * DAY_MS) for n in range(8)])
    engine.submit([ask("young", customer="dora", at=T0 - DAY_MS)])
    told = [{"time_ms": T0, "customer": f"c{n}", "request": f"a{n}"} for n in (0, 1, 4)]
    engine.submit([Request("web", f"l{n}", "shop.complaint", json.dumps(one).encode()) for n, one in enumerate(told)])
    place = folder(tmp_path, "lower", COMPLAINT, LOWER)
    found = run(engine, place, label="shop.complaint:request", label_delay_ms=7 * DAY_MS)["labels"]
    assert (found["labelled"], found["positives"], found["unknown"]) == (8, 3, 1)
    rows = {(one["side"], one["flagged_from"]): one for one in found["rows"]}
    before, after = rows["baseline", "decline"], rows["candidate", "decline"]
    assert (before["precision"], before["recall"], before["false_positive_rate"]) == (0.25, 0.333333, 0.6)
    assert (after["precision"], after["recall"], after["false_positive_rate"]) == (0.375, 1.0, 1.0)
    assert (before["missed_value"], after["caught_value"]) == ({"EUR": 800_000}, {"EUR": 1_400_000})
    none = run(engine, place, label="shop.complaint:request", labels_until_ms=T0 - 1, label_delay_ms=0)["labels"]
    assert none["positives"] == 0
    engine.close()


def test_it_changes_nothing(history):
    before = history.state.digest(), history.log.head, history.log.root()
    run(history, rebuilt=True)
    assert (history.state.digest(), history.log.head, history.log.root()) == before


def test_progress_is_told_to_the_end(history):
    steps = []
    backtest(
        history.reader,
        read_packs(),
        Settings("shop", asked("active"), asked("recorded")),
        lambda *one: steps.append(one),
    )
    assert {stage for stage, *_ in steps} == {"looking through the log", "judging"}
    last = {stage: (done, total) for stage, done, total in steps}
    assert all(done == total for done, total in last.values())


# -- which version is meant


def test_a_version_is_found_by_the_first_digits_of_its_hash(history):
    first, second = (dict(one.packs)["shop"] for one in survey(history.reader, Window(""), None).activations)
    found = run(history, first[:8], second)
    assert (found["candidate"]["hash"], found["baseline"]["hash"]) == (first, second)
    assert found["candidate"]["kind"] == "hash"


def test_a_version_that_was_only_stored_is_found_too(history):
    hash = history.content.put_folder(dict(shop(LOWER).files))
    assert run(history, f"sha256:{hash}")["changed"] > 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no/such/folder", "there is no such version; was no/such/folder; allowed: a folder, active, recorded, or at least 8 digits"),
        ("abc1234", "at least 8 digits of a content hash. Correct the folder"),
        ("0123456789abcdef", "the digits mean no recorded version; was 0123456789abcdef"),
    ],
)  # fmt: skip
def test_a_version_that_is_not_there_is_an_error(history, name, text):
    with pytest.raises(InputError, match=re.escape(text)):
        run(history, name)


def test_digits_that_mean_two_versions_are_refused(history, monkeypatch):
    monkeypatch.setattr(
        "quanheng.past.versions.Versions._known", lambda *_: ["12345678" + "a" * 56, "12345678" + "b" * 56]
    )
    with pytest.raises(NotFound, match="the digits mean more than one version"):
        run(history, "12345678")


def test_a_folder_of_another_pack_is_refused(history, tmp_path):
    place = tmp_path / "other"
    for file, content in shop().files.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content.replace(b'name     = "shop"', b'name     = "other"'))
    with pytest.raises(InputError, match="the folder holds another pack; was other; allowed: shop"):
        run(history, str(place))


def test_a_version_that_reads_headers_otherwise_is_refused(history, tmp_path):
    place = folder(
        tmp_path,
        "moved",
        ("events.toml", "amount_minor = {", 'extra = {type = "integer", optional = true}\namount_minor = {'),
    )
    with pytest.raises(DeclarationError, match="to which fields and choices may only be appended") as refused:
        run(history, place)
    assert "cannot read this log: 1 problem" in str(refused.value)


def test_what_was_decided_then_has_no_other_day():
    assert read_asked("active@today", 77) == Asked("active", 77)
    assert read_asked("a@b/pack@2026-01-15T10:00:00Z", 0) == Asked("a@b/pack", T0)
    assert read_asked("a@b/pack", 0) == Asked("a@b/pack", None)
    assert read_asked("active", 0, "2026-01-15T10:00:00Z") == Asked("active", T0)
    assert read_asked("recorded", 0, "today") == Asked("recorded", None)
    with pytest.raises(InputError, match="what was decided then has the parameters of then"):
        read_asked("recorded@today", 0)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"event": "shop.other"}, "the pack does not decide this event; was shop.other; allowed: shop.request"),
        ({"from_ms": T0 + 99 * DAY_MS}, "no decision lies in the window"),
        ({"money": "currency"}, "the field is not money; was currency; allowed: amount_minor"),
        ({"segments": (Band("nothing"),)}, "the pack knows nothing of this name; was nothing"),
        ({"segments": (Band("amount_minor"),)}, "a number is split by bounds, and only a number"),
        ({"segments": (Band("currency", (1,)),)}, "a number is split by bounds, and only a number"),
        ({"label": "shop.request:nothing"}, "the label cannot be read; was shop.request:nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_an_error(history, more, text):
    with pytest.raises(InputError, match=re.escape(text)):
        run(history, **more)


def test_a_pack_that_was_never_in_force_is_an_error(history):
    with pytest.raises(NotFound, match="the pack was never in force in this log"):
        backtest(history.reader, read_packs(), Settings("nothing", asked("active"), asked("recorded")))


def test_a_version_that_decides_another_event_is_refused(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs(COMPLAINT))
    engine.submit([ask("a")])
    place = folder(
        tmp_path, "other", COMPLAINT, ("pack.toml", 'when     = "shop.request"', 'when     = "shop.complaint"')
    )
    with pytest.raises((InputError, DeclarationError), match=r"does not decide this event|cannot be loaded"):
        run(engine, "active", place)
    engine.close()


# -- the ring's many


def test_many_payloads_are_unsealed_at_once(tmp_path):
    engine = opened(tmp_path)
    ring = engine.ring
    subjects = [ring.pseudonym("party.customer", name) for name in ("anna", "bea", "anna")] + [NO_SUBJECT]
    headers = [b"h%d" % n for n in range(4)]
    sealed = ring.seal_many(subjects, headers, [b"one", b"two", b"three", b"clear"])
    assert ring.unseal_many(subjects, headers, sealed) == [b"one", b"two", b"three", b"clear"]
    ring.erase(subjects[1])
    assert ring.unseal_many(subjects, headers, sealed) == [b"one", None, b"three", b"clear"]
    rng = random.Random(1)
    order = rng.sample(range(4), 4)
    picked = [[column[at] for at in order] for column in (subjects, headers, sealed)]
    assert ring.unseal_many(*picked) == [[b"one", None, b"three", b"clear"][at] for at in order]
    from quanheng.kernel.errors import SealBroken

    with pytest.raises(SealBroken, match="the sealed payload does not verify"):
        ring.unseal_many(subjects[:1], [b"other"], sealed[:1])
    engine.close()


# -- events, field by field

ODD = (
    "events.toml",
    CURRENCY,
    CURRENCY + '\nrate = {type = "decimal", scale = 4, optional = true}\nhome = {type = "boolean", optional = true}'
    '\nold = {type = "integer", optional = true}\nseen = {type = "time", optional = true}'
    '\nnote = {type = "text", optional = true}',
)


@pytest.mark.parametrize("names", [(), ("note", "currency", "rate")], ids=["one by one", "together"])
def test_fields_are_read_as_the_schema_reads_them(tmp_path, names):
    """Out of headers and without checks: the very values, zeros at the end of a decimal and nulls included."""
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs(ODD))
    rng = random.Random(3)
    for number in range(60):
        some = {"rate": rng.choice(["1.5000", "0.25", "7"]), "home": rng.random() < 0.5, "old": rng.randint(-9, 9)}
        more = {name: value for name, value in {**some, "seen": T0, "note": "é "}.items() if rng.random() < 0.6}
        request = ask(f"r{number}", customer=f"c{number}", **{k: v for k, v in more.items() if k != "rate"})
        if "rate" in more:  # As a number with its zeros.
            request = Request(*_fields(request)[:3], request.data[:-1] + b', "rate": %s}' % more["rate"].encode())
        assert not engine.submit([request])[0].error
    found = survey(engine.reader, Window("shop.request"), None)
    (rows,) = PastReader(engine.reader, Window("shop.request"), found).chunks()
    kind = engine.state.program.types["shop.request"]
    slow, fast = EventReader().read(kind, rows), EventReader(names).read(kind, rows, kind)
    assert type(slow) is not type(fast)
    for name in kind.declaration.fields:
        one, other = list(slow.column(name)), list(fast.column(name))
        assert [(type(value), str(value)) for value in one] == [(type(value), str(value)) for value in other], name
        series = fast.series(name)
        assert series is None or series.to_list() == one
    assert {name for name in kind.declaration.fields if fast.series(name) is None} == {"rate", "home"}
    engine.close()


def _fields(request: Request) -> list:
    return [getattr(request, name) for name in request.__struct_fields__]


def test_a_backtest_reads_each_decision_once(history, monkeypatch):
    """What is read twice of a log is its headers, never a payload."""
    unsealed = []
    whole = history.ring.unseal_many
    monkeypatch.setattr(history.ring, "unseal_many", lambda *many: unsealed.append(len(many[0])) or whole(*many))
    found = run(history, "active", "recorded")
    assert sum(unsealed) == 2 * found["decisions"]
