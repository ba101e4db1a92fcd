# ruff: noqa: E501  (rows of tables stand whole, on one line)
"""Trials followed beside the writer: the shadow says what an engine with it would have; arms are counted as decided."""

from __future__ import annotations

from collections import Counter

import pytest
from shop import T0, ask, opened, shop
from test_engine import LOWER, MORE, fill
from test_governing import drafted, take

from quanheng.decisions.backtest.sequential import Monitor
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.loading.find import read_packs
from quanheng.past.backtest import Settings, backtest
from quanheng.past.explaining import explain_decision
from quanheng.past.versions import Asked
from quanheng.reading import Reader
from quanheng.shadow import Follower, catch_up
from quanheng.shadow_book import CHANGED_MAX, Book
from quanheng.state import Trial


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def book(tmp_path):
    (tmp_path / "book").mkdir()
    book = Book(tmp_path / "book")
    yield book
    book.close()


def reading(engine) -> Reader:
    """A reader as of now, as another process has it."""
    return Reader(Log.reader(SqliteLogStore(engine.folder / "log.db")), engine.content, engine.ring)


def matrix(told) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for cell in told["matrix"]:
        counts[cell["champion"], cell["shadow"]] += cell["count"]
    return dict(counts)


def test_the_shadow_says_what_a_backtest_says_of_the_same_decisions(engine, book):
    engine.submit([ask("before", 450_000, customer="before")])  # Before the trial: not judged.
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    first = engine.log.head
    replies = engine.submit([ask(f"s{n}", 5_000 * n, customer=f"c{n}", at=T0 + n) for n in range(1, 120)])
    fill(engine, seed=2, groups=6)
    reached = catch_up(reading(engine), book)
    told = book.told("shop", hash)
    assert (reached, told["reached"], told["problem"], told["erased"]) == (engine.log.head, engine.log.head, "", 0)
    settings = Settings("shop", Asked(hash, None), Asked("recorded", None))
    found = backtest(engine.reader, read_packs(), settings)
    cells = [(one, other) for one in found["outcomes"] for other in found["outcomes"]]
    expected = dict(zip(cells, (count for row in found["matrix"] for count in row), strict=True))
    expected["approve", "decline"] -= 1
    assert matrix(told) == {pair: count for pair, count in expected.items() if count}
    assert expected["approve", "decline"] > 5
    assert sum(matrix(told).values()) == sum(1 for n in range(first, engine.log.head) if engine.log.record(n).kind == 2)
    newest = told["changed"][0]["decision"]
    assert engine.reader.recorded_decision(newest).outcome == told["changed"][0]["champion"]
    assert {reply.outcome for reply in replies} <= {"approve", "review", "decline"}


def test_amounts_are_summed_by_currency(engine, book):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    engine.submit(
        [ask("a", 450_000, customer="anna"), ask("b", 460_000, customer="ben"), ask("c", 10, customer="carl")]
    )
    catch_up(reading(engine), book)
    assert book.told("shop", hash)["matrix"] == [
        {"event": "shop.request", "champion": "approve", "shadow": "approve", "currency": "EUR", "count": 1, "minor": 10},
        {"event": "shop.request", "champion": "approve", "shadow": "decline", "currency": "EUR", "count": 2,
         "minor": 910_000},
    ]  # fmt: skip


def test_followed_in_parts_or_again_from_the_beginning_it_finds_the_same(engine, book, tmp_path):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    for seed in range(4):
        fill(engine, seed=seed, groups=3 + 3 * seed)
        catch_up(reading(engine), book)
    catch_up(reading(engine), book)  # Nothing came: nothing is counted twice.
    again = Book(tmp_path)
    catch_up(reading(engine), again)
    assert again.told("shop", hash) == book.told("shop", hash)
    assert sum(matrix(again.told("shop", hash)).values()) > 20
    again.close()


def test_a_follower_goes_on_where_it_is_and_reads_nothing_twice(engine, book, tmp_path, monkeypatch):
    """What a look costs must not grow with the log; what it finds is what a fresh follower finds."""
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    follower, read = Follower(book), []
    whole = Log.read_columns

    def noted(self, first, *more):
        read.append(first)
        return whole(self, first, *more)

    for seed in range(4):
        fill(engine, seed=seed, groups=3 + 3 * seed)
        reached = book.told("shop", hash)["reached"]
        monkeypatch.setattr(Log, "read_columns", noted)
        follower.catch_up(reading(engine))
        monkeypatch.undo()
        assert read == [reached]
        read.clear()
    again = Book(tmp_path)
    catch_up(reading(engine), again)
    assert again.told("shop", hash) == book.told("shop", hash)
    assert sum(matrix(again.told("shop", hash)).values()) > 20
    again.close()


def test_a_follower_compiles_again_when_other_packs_are_in_force(engine, book, tmp_path):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    follower = Follower(book)
    for seed, changes in enumerate([(), MORE, ()]):
        if changes:
            engine.activate([shop(*changes)])
        fill(engine, seed=seed, groups=3 + 3 * seed)
        follower.catch_up(reading(engine))
    again = Book(tmp_path)
    catch_up(reading(engine), again)
    assert again.told("shop", hash) == book.told("shop", hash)
    again.close()


def test_a_part_that_fails_is_not_kept(engine, book, monkeypatch):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    fill(engine, seed=3, groups=3)
    monkeypatch.setattr(Book, "reached", failing)
    with pytest.raises(OSError, match="the disk is full"):
        catch_up(reading(engine), book)
    monkeypatch.undo()
    assert (book.told("shop", hash)["reached"], book.told("shop", hash)["matrix"]) == (0, [])
    catch_up(reading(engine), book)
    assert book.told("shop", hash)["matrix"]


def failing(*_):
    raise OSError("the disk is full")


def test_folds_that_were_not_served_are_told_and_the_rest_goes_on(engine, book):
    formula = (
        "features.toml",
        'feel     = "amount_minor / customer_mean_30d_before"',
        'feel     = "amount_minor / customer_mean_30d_before + 0 * customer_sum_7d"',
    )
    hash = drafted(engine, *MORE, formula, upto="submit")
    take(engine, "approve", version=hash)
    take(engine, "shadow", version=hash)
    engine.submit([ask("a")])
    assert catch_up(reading(engine), book) == engine.log.head
    assert "the version reads folds that were not recorded" in book.told("shop", hash)["problem"]


def test_erased_subjects_are_left_out_and_counted(engine, book):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    engine.submit([ask("a", customer="anna"), ask("b", customer="ben")])
    engine.erase("party.customer", "anna")
    catch_up(reading(engine), book)
    told = book.told("shop", hash)
    assert (told["erased"], sum(matrix(told).values())) == (1, 1)


def test_arms_are_counted_as_they_decided(engine, book):
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=5_000)
    replies = engine.submit([ask(f"a{n}", 450_000, customer=f"c{n}") for n in range(600)])
    catch_up(reading(engine), book)
    told = book.told("shop", hash)
    assert told["matrix"] == []
    declined = sum(reply.outcome == "decline" for reply in replies)
    arms = {one["outcome"]: one for one in told["arms"]}
    assert arms["decline"]["challenger"] == {"decisions": declined, "hits": declined}
    assert arms["decline"]["champion"] == {"decisions": 600 - declined, "hits": 0}
    assert (arms["decline"]["real"], arms["decline"]["difference"]) == (True, 1.0)
    assert (arms["review"]["real"], arms["review"]["p_value"]) == (False, 1.0)
    twin = Monitor(("approve", "review", "decline"))
    assert arms["approve"]["p_value"] <= twin.watches["approve"].alpha


def test_equal_arms_are_not_called_different(engine, book):
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=5_000)
    for part in range(5):
        engine.submit([ask(f"{part}.{n}", 600_000 if n % 3 else 100, customer=f"c{part}.{n}") for n in range(200)])
        catch_up(reading(engine), book)
    arms = book.told("shop", hash)["arms"]
    assert sum(one["champion"]["decisions"] + one["challenger"]["decisions"] for one in arms) == 3 * 1_000
    assert not any(one["real"] for one in arms)


def test_only_the_newest_changed_decisions_are_kept(book):
    from quanheng.shadow_book import Compared

    trial = Trial("shop", "ab" * 32, "1")
    with book.turn():
        for start in range(0, 3 * CHANGED_MAX, 500):
            rows = [Compared(start + n, "approve", "decline", "EUR", 2**62) for n in range(500)]
            book.judged(trial, "shop.request", rows)
    told = book.told("shop", trial.hash, newest=10 * CHANGED_MAX)
    assert [one["decision"] for one in told["changed"]] == list(range(3 * CHANGED_MAX - 1, 2 * CHANGED_MAX - 1, -1))
    assert told["matrix"][0]["minor"] == 3 * CHANGED_MAX * 2**62


EXTRA = ("features.toml", "[[formula]]", '[[formula]]\nname = "double"\nfeel = "amount_minor * 2"\n\n[[formula]]')


def test_decisions_of_both_arms_are_backtested_and_explained_by_what_decided_them(engine):
    """The challenger has one more formula, so that the evidence of the arms is laid out differently."""
    hash = drafted(engine, *LOWER, EXTRA)
    take(engine, "share", version=hash, share_bp=5_000)
    replies = engine.submit([ask(f"a{n}", 450_000, customer=f"c{n}") for n in range(80)])
    declined = [reply.decision for reply in replies if reply.outcome == "decline"]
    against_champion = backtest(
        engine.reader, read_packs(), Settings("shop", Asked("active", None), Asked("recorded", None), sample_max=100)
    )
    against_challenger = backtest(
        engine.reader, read_packs(), Settings("shop", Asked(hash, None), Asked("recorded", None), sample_max=100)
    )
    assert [(one["from"], one["to"], one["count"]) for one in against_champion["changes"]] == [
        ("decline", "approve", len(declined))
    ]
    assert against_champion["changes"][0]["examples"] == declined[:5]
    assert [(one["from"], one["to"], one["count"]) for one in against_challenger["changes"]] == [
        ("approve", "decline", 80 - len(declined))
    ]
    assert against_champion["left_out"]["not_readable"] == against_challenger["left_out"]["not_readable"] == 0
    told = explain_decision(engine.reader, declined[0])
    assert told.outcome == "decline"


def test_a_shadow_beside_a_challenger_is_compared_with_the_champion_alone(engine, book):
    hash = drafted(engine)
    other = drafted(engine, ("parameters/limits.toml", "value = 10,", "value = 9,"))
    take(engine, "share", version=hash, share_bp=5_000)
    take(engine, "shadow", version=other)
    replies = engine.submit([ask(f"a{n}", 450_000, customer=f"c{n}") for n in range(80)])
    catch_up(reading(engine), book)
    by_champion = sum(reply.outcome == "approve" for reply in replies)
    assert matrix(book.told("shop", other)) == {("approve", "approve"): by_champion}
