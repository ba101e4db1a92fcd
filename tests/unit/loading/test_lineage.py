"""Lineage both ways, classes that are inherited, pages."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from quanheng.kernel.errors import NotFound
from quanheng.loading import load_packs
from quanheng.loading.declared import Fold
from quanheng.loading.feature_pages import feature_pages, statistics
from quanheng.loading.find import read_packs
from quanheng.loading.lineage import find, lineage


@pytest.fixture(scope="module")
def declared():
    return load_packs(["card_fraud"], read_packs())["card_fraud"]


def test_lineage_goes_both_ways(declared):
    nodes = lineage(declared)
    for name, node in nodes.items():
        assert all(name in nodes[one].used_by for one in node.made_of)
        assert all(name in nodes[one].made_of for one in node.used_by)
    share = nodes["terminal_fraud_share_7d"]
    assert set(share.made_of) == {"terminal_fraud_count_7d", "terminal_count_7d"}
    assert "fraud_score" in share.used_by
    assert nodes["fraud_score"].used_by == ("authorise.authorise",)
    assert "terminal_count_7d" in nodes["card.payment.terminal"].used_by


def test_the_class_is_the_strictest_of_what_a_feature_is_made_of(declared):
    nodes = lineage(declared)
    assert nodes["terminal_count_7d"].data_class == "internal"
    assert nodes["customer_count_1d"].data_class == "personal"
    assert nodes["customer_mean_1d"].data_class == "financial"
    assert nodes["amount_to_max_settled"].data_class == "financial"


def test_an_unknown_name_is_refused_with_what_is_near(declared):
    with pytest.raises(NotFound, match="the pack has nothing of this name; was 'terminal_c'") as refused:
        find(lineage(declared), "terminal_c")
    assert "terminal_count_7d" in str(refused.value)


def test_every_feature_has_a_page(declared):
    values = {"customer_count_1d": np.array([1.0, 2.0, np.nan, 4.0])}
    pages = feature_pages(declared, values)
    assert len(pages) == 1 + len(declared.folds) + len(declared.formulas)
    page = pages["customer_count_1d.md"]
    assert "| class | personal |" in page
    assert "| missing | 0.25 |" in page
    assert "used by `fraud_score` (model, financial)" in page
    assert "made of `card.payment.customer` (field, personal)" in page
    assert "made of [`terminal_count_7d`](terminal_count_7d.md) (fold, internal)" in pages["terminal_fraud_share_7d.md"]
    assert "| [`customer_count_1d`](customer_count_1d.md) | fold | personal |" in pages["index.md"]
    assert "## Statistics" not in pages["customer_count_7d.md"]
    assert statistics(np.array([])) == {"rows": 0}


def test_ways_calendars_and_settings_are_said_and_their_classes_inherited(declared):
    """The fold that another goes through may be declared behind it."""
    of, by = "card.payment", ("terminal",)
    folds = (
        Fold(
            name="shop", of=of, by=by, fold="percentile", value="amount_minor", quantile=Decimal("0.5"), through="way"
        ),
        Fold(name="seen_here", of=of, by=by, fold="count", match=("terminal",), age_ms_max=60_000),
        Fold(name="calm", of=of, by=by, fold="count", through="way"),
        Fold(name="way", of=of, by=("customer",), fold="last", value="terminal"),
        Fold(name="rest", of=of, by=(), fold="holiday", zone="Asia/Shanghai", calendar="china"),
        Fold(name="share", of=of, by=by, fold="top_share", value="amount_minor", window_ms=60_000),
        Fold(name="slope", of=of, by=by, fold="trend", value="amount_minor", per_ms=1000, window_ms=60_000),
    )
    changed = msgspec.structs.replace(declared, folds=(*declared.folds, *folds))
    nodes = lineage(changed)
    assert nodes["shop"].data_class == "financial"
    assert nodes["seen_here"].data_class == "internal"
    assert nodes["calm"].data_class == "personal", "the fold that finds the key is of a customer"
    assert nodes["way"].used_by == ("shop", "calm")
    text = "percentile (quantile 0.5) of amount_minor over card.payment by terminal read through way, all history"
    assert nodes["shop"].text == text
    assert "read by terminal" in nodes["seen_here"].text
    assert "older than 1 min" in nodes["seen_here"].text or "older than 60" in nodes["seen_here"].text
    assert nodes["rest"].text == "holiday of the moment of card.payment in Asia/Shanghai by china"
    pages = feature_pages(changed)
    assert "| unit | share |" in pages["share.md"]
    assert "| unit | minor per 1000 ms |" in pages["slope.md"]
    assert "trend (per 1 s) of amount_minor" in nodes["slope"].text
    assert "| settings | per 1 s |" in pages["slope.md"]
    assert "none: it asks the moment alone" in pages["rest.md"]
    assert "| zone | Asia/Shanghai |\n| calendar | china |" in pages["rest.md"]
    assert "| value | `amount_minor` |" in pages["shop.md"]
    assert "| key comes from | the answer of `way` |" in pages["shop.md"]
    assert "| key comes from | `terminal` of the decided event |" in pages["seen_here.md"]
    assert "| nothing in the window | 0 |" in pages["customer_count_1d.md"]
    assert "| nothing in the window | null |" in pages["slope.md"]
