"""Both scores side by side after the reply, and scores of arms: counted as they were served, however the log is cut."""

from __future__ import annotations

import numpy as np
import pytest
from rated import rated_engine
from test_registering import drafted, pay, take
from test_shadow import reading

from quanheng.shadow import Follower, catch_up
from quanheng.shadow_book import Book


@pytest.fixture
def engine(tmp_path):
    engine = rated_engine(tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def book(tmp_path):
    (tmp_path / "book").mkdir()
    book = Book(tmp_path / "book")
    yield book
    book.close()


def test_the_shadow_scores_the_same_rows_as_the_champion(engine, book):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    for amount, customers in ((200_000, 6), (350_000, 3), (450_000, 1)):
        pay(engine, f"a{amount}", customers, amount)
    catch_up(reading(engine), book)
    (found,) = book.told("rated", hash)["scores"]
    assert (found["event"], found["model"]) == ("rated.request", "risk_score")
    assert found["champion"]["mean"] == pytest.approx(np.mean([0.1] * 6 + [0.9] * 4))
    assert found["shadow"]["mean"] == pytest.approx(np.mean([0.1] * 9 + [0.9]))
    assert found["same_rows"] == {
        "rows": 10, "one_missing": 0, "mean_difference": pytest.approx(-0.24), "mean_absolute": pytest.approx(0.24),
        "largest": 0.8,
    }  # fmt: skip
    assert found["psi"] > 0.25


def test_each_arm_of_a_share_has_its_own_scores(engine, book):
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=4_000)
    outcomes = pay(engine, "s", 60)
    catch_up(reading(engine), book)
    (found,) = book.told("rated", hash)["scores"]
    assert found["challenger"]["rows"] == outcomes.count("approve") > 5
    assert (found["challenger"]["mean"], found["champion"]["mean"]) == (pytest.approx(0.1), pytest.approx(0.9))
    assert (found["champion"]["rows"], found["same_rows"]) == (outcomes.count("decline"), None)


def test_however_the_log_is_cut_the_same_is_found(engine, book, tmp_path):
    hash = drafted(engine)
    take(engine, "shadow", version=hash)
    follower = Follower(book)
    for number, amount in enumerate((200_000, 350_000, 450_000, 301_000)):
        pay(engine, f"a{number}", 7, amount)
        follower.catch_up(reading(engine))
    again = Book(tmp_path)
    catch_up(reading(engine), again)
    assert again.told("rated", hash)["scores"] == book.told("rated", hash)["scores"]
    assert book.told("rated", hash)["scores"][0]["same_rows"]["rows"] == 28
    again.close()


def test_a_version_that_brings_no_other_model_has_no_scores(engine, book):
    hash = take(engine, "draft", files={"README.md": b"# rated\n\nFor whom: a test.\n"}, base="active").hash
    for step in ("submit", "approve", "shadow"):
        take(engine, step, version=hash)
    pay(engine, "a", 3)
    catch_up(reading(engine), book)
    assert book.told("rated", hash)["scores"] == []
