"""Amounts and ids of what decisions ask the ledger for."""

from __future__ import annotations

from decimal import Decimal

import pytest
from wallet import opened, topped_up, wallet_of

from quanheng.amounts import minor_units
from quanheng.asking import named_account, transfer_id
from quanheng.kernel.errors import InputError, NotFound
from quanheng.ledger.balances import account_id
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.loading.declared_accounts import Unasked
from quanheng.server.ledger_core import read_of

AMOUNTS = [
    # what FEEL gave, exponent, rounding, minor units
    (12, 2, "exact", 1_200),
    (Decimal("12.34"), 2, "exact", 1_234),
    (Decimal("12.340"), 2, "exact", 1_234),
    (Decimal("12.345"), 2, "exact", Unasked.AMOUNT_DOES_NOT_FIT),
    (Decimal("12.345"), 2, "half_even", 1_234),
    (Decimal("12.355"), 2, "half_even", 1_236),
    (Decimal("12.345"), 2, "half_up", 1_235),
    (Decimal("12.349"), 2, "down", 1_234),
    (Decimal("12.341"), 2, "up", 1_235),
    (Decimal("-12.345"), 2, "half_up", -1_235),
    (Decimal("-12.349"), 2, "down", -1_234),
    (Decimal("0.001"), 2, "up", 1),
    (Decimal("0.001"), 2, "down", 0),
    (1_234, 0, "exact", 1_234),
    (Decimal("1E+3"), 0, "exact", 1_000),
    (Decimal("0.5"), 0, "exact", Unasked.AMOUNT_DOES_NOT_FIT),
    (Decimal("1.234"), 3, "exact", 1_234),
    (AMOUNT_MAX, 0, "exact", AMOUNT_MAX),
    (AMOUNT_MAX + 1, 0, "exact", Unasked.AMOUNT_DOES_NOT_FIT),
    (-AMOUNT_MAX - 1, 0, "exact", Unasked.AMOUNT_DOES_NOT_FIT),
    (Decimal("1E+40"), 2, "down", Unasked.AMOUNT_DOES_NOT_FIT),
    (Decimal("1." + "1" * 33), 2, "exact", Unasked.AMOUNT_DOES_NOT_FIT),
    (Decimal("1." + "1" * 33), 2, "down", 111),
    (None, 2, "exact", Unasked.AMOUNT_IS_NULL),
    ("12", 2, "exact", Unasked.AMOUNT_IS_NULL),
    (True, 2, "exact", Unasked.AMOUNT_IS_NULL),
]


@pytest.mark.parametrize(("value", "exponent", "rounding", "minor"), AMOUNTS, ids=str)
def test_an_amount_in_minor_units(value, exponent, rounding, minor):
    assert minor_units(value, exponent, rounding) == minor


def test_ids_depend_on_name_and_deal():
    ids = {transfer_id(name, deal) for name in ("a.b.c", "a.b.d") for deal in (bytes(15) + b"\1", bytes(15) + b"\2")}
    assert len(ids) == 4
    assert transfer_id("a.b.c", b"0" * 16) == transfer_id("a.b.c", b"0" * 16) < 2**128
    assert account_id("a.b", [b"0" * 16]) != account_id("a.b", [b"0" * 16] * 2) != account_id("a.b", [])


def test_an_account_is_found_by_the_names_that_people_know(tmp_path):
    engine = opened(tmp_path)
    engine.submit([topped_up("a", 100)])
    packs = engine.state.program.packs
    assert named_account(packs, engine.ring, "wallet.wallet", ["anna"]) == wallet_of(engine, "anna")
    bank = engine.state.ledger.account(named_account(packs, engine.ring, "wallet.bank", []))
    assert bank.balance.debits_posted_minor == 100
    with pytest.raises(NotFound, match=r"no active pack declares this account.*wallet\.bank, wallet\.fees") as found:
        named_account(packs, engine.ring, "wallet.wallets", ["anna"])
    assert found.value.found == "wallet.wallets"
    with pytest.raises(InputError, match=r"another number of keys.*Give one key for each") as wrong:
        named_account(packs, engine.ring, "wallet.wallet", [])
    assert (wrong.value.found, wrong.value.allowed) == ("none", "party.customer")
    with pytest.raises(InputError, match="there is one, of the house"):
        named_account(packs, engine.ring, "wallet.bank", ["x"])
    engine.close()


def test_reads_of_the_ledger_take_names_where_they_take_ids(tmp_path):
    engine = opened(tmp_path)
    engine.submit([topped_up("a", 100), topped_up("b", 7, "cleo (d'Or)")])
    id = wallet_of(engine, "anna")
    by_name = read_of(engine.ledger, "account", {"id": "wallet.wallet(anna)"})
    assert by_name == read_of(engine.ledger, "account", {"id": str(id)})
    odd = read_of(engine.ledger, "balance", {"id": "wallet.wallet(cleo (d'Or))", "at_ms": None})
    assert odd["balance"]["credits_posted_minor"] == 7
    bank = named_account(engine.state.program.packs, engine.ring, "wallet.bank", [])
    assert engine.ledger.named("wallet.bank") == bank
    assert engine.ledger.named("4711") is None
    with pytest.raises(NotFound, match="no active pack declares this account"):
        read_of(engine.ledger, "account", {"id": "wallet.purse(anna)"})
    with pytest.raises(NotFound, match="there is no account with this id"):
        read_of(engine.ledger, "account", {"id": "wallet.wallet(nobody)"})
    engine.close()
