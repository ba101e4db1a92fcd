"""Events of the platform in packs: given where they are used, nowhere else, and never to be brought by a file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from watch import CASE, FEATURES, PACK, unused, watch, with_files

from quanheng.ledger.posted import LEDGER_POSTED, Posted
from quanheng.loading import check_pack, load_packs
from quanheng.loading.checks.platform import platform
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.lineage import lineage

FOLD_ALONE = """
[[fold]]
name   = "spent"
of     = "ledger.posted"
by     = ["debit"]
fold   = "count"
window = "1d"
title  = {en = "Payments of the account", zh = "账户付款笔数"}
"""


def problems_of(pack: PackFiles) -> list[str]:
    return [str(problem) for problem in check_pack(pack, {})[1]]


def test_a_pack_that_decides_the_event_is_given_its_declaration():
    declared, problems = check_pack(watch(), {})
    assert not problems
    assert declared.events == (platform().events[LEDGER_POSTED],)
    assert declared.entities == ()
    assert {fold.name for fold in declared.folds} == {"received_1d", "passed_on_1d"}
    assert lineage(declared)["ledger.posted.amount_minor"].used_by


def test_a_fold_alone_is_a_use_and_a_pack_without_one_knows_nothing_of_it():
    folding = with_files(unused(), features=FOLD_ALONE)
    assert [event.name for event in check_pack(folding, {})[0].events] == [LEDGER_POSTED]
    assert check_pack(unused(), {})[0].events == ()
    assert problems_of(folding) == problems_of(unused()) == []


def test_packs_that_use_it_together_do_not_collide():
    both = load_packs(["watch", "wary"], {"watch": watch(), "wary": watch("wary")})
    assert [[event.name for event in pack.events] for pack in both.values()] == [[LEDGER_POSTED]] * 2


def test_a_pack_that_requires_a_user_of_it_is_no_user():
    above = PACK.partition("[[flow]]")[0].format(name="above")
    above = above.replace('version  = "0.1.0"', 'version  = "0.1.0"\nrequires = ["watch"]')
    pack = read_pack({"pack.toml": above.encode(), "README.md": b"# above\n"}, "above")
    declared, problems = check_pack(pack, {"watch": watch()})
    assert (declared.events, problems) == ((), ())


def test_events_of_a_pack_may_have_accounts_of_the_ledger_as_keys():
    """So that folds over transfers can be asked at the moment of the pack's own events."""
    events = """
[event."watch.request"]
title = {en = "Payment asked for", zh = "付款请求"}

[event."watch.request".fields]
time_ms = {type = "time"}
credit  = {type = "key", entity = "ledger.account"}
"""
    pack = with_files(watch(), events=events)
    declared, problems = check_pack(pack, {})
    assert not problems
    assert [event.name for event in declared.events] == ["watch.request", LEDGER_POSTED]
    assert declared.events[0].fields["credit"].entity == declared.events[1].fields["credit"].entity


def test_no_file_brings_the_event():
    mapping = '[event."ledger.posted"]\nfields.time_ms = {column = "time"}\n'
    [problem] = problems_of(with_files(watch(), mappings__file=mapping))
    assert "no such event is declared here or in a required pack; was 'ledger.posted'" in problem


def test_a_fold_on_a_field_that_it_lacks_is_a_problem_like_any_other():
    [problem, *_] = problems_of(with_files(watch(), features=FEATURES.replace('"amount_minor"', '"amount"')))
    assert "amount" in problem


def test_a_golden_case_plays_the_event():
    declared, problems = check_pack(with_files(watch(), cases__large=CASE), {})
    assert not problems
    assert declared.cases[0].events[0].type == LEDGER_POSTED


def test_the_data_of_the_event_has_the_declared_fields_in_their_order():
    assert tuple(platform().events[LEDGER_POSTED].fields) == Posted.__struct_fields__
