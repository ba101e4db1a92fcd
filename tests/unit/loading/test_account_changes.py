"""What a later version may change in accounts.toml, and what it may not while the ledger holds accounts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quanheng.engine import Engine
from quanheng.kernel.errors import DeclarationError
from quanheng.ledger.entries import Account
from quanheng.loading import check_pack, read_pack
from quanheng.loading.account_changes import account_changes
from quanheng.loading.new import starter_files

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, wallet_files, wallet_pack

AVAILABLE = available()
WALLET = check_pack(wallet_pack(), AVAILABLE)[0]
OF_ASSET = "the ledger holds accounts, so an asset stays as it is"
OF_ACCOUNT = "the ledger holds accounts, so whose account it is stays as it is"
ELSEWHERE = "Declare an account of another name, and move what is there."
REFUSED = [
    ("number = 156", "number = 999",
     f"asset.CNY.number: {OF_ASSET}; was 999; allowed: 156. Declare another asset, and move value by an exchange."),
    ("number = 156", "exponent = 4",
     f"asset.CNY.exponent: {OF_ASSET}; was 4; allowed: 2. Declare another asset, and move value by an exchange."),
    ('per               = ["party.customer"]', 'per = ["party.device"]',
     f"account.wallet.per: {OF_ACCOUNT}; was party.device; allowed: party.customer. {ELSEWHERE}"),
    ('per          = ["party.merchant"]', "",
     f"account.merchant.per: {OF_ACCOUNT}; was none; allowed: party.merchant. {ELSEWHERE}"),
    ('asset = "CNY"\ncode  = 1010', 'asset = "EUR"\ncode  = 1010',
     f"account.bank.asset: {OF_ACCOUNT}; was EUR; allowed: CNY. {ELSEWHERE}"),
]  # fmt: skip
ALLOWED = [
    ("payment_max_minor = 50_000", "payment_max_minor = 60_000"),
    ("debits_bound      = true", "debits_bound = false"),
    ("[account.fees]", "[account.fees_of_another_name]"),
    ("number = 156", "number = 156\n[asset.EUR]"),
    ("code  = 1010", "code  = 1020"),
]


def later(old: str, new: str):
    """What a version declares in which a text is another one; sound or not, it is there to be compared."""
    text = wallet_files()["accounts.toml"].decode()
    assert old in text
    return check_pack(wallet_pack({"accounts.toml": text.replace(old, new, 1).encode()}), AVAILABLE)[0]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_what_value_means_and_whose_it_is_stays(old, new, said):
    problems = account_changes({"wallet": WALLET}, {"wallet": later(old, new)})
    assert [str(one) for one in problems] == [f"wallet/accounts.toml: {said}"]


@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_what_is_new_and_what_rules_may_change(old, new):
    assert account_changes({"wallet": WALLET}, {"wallet": later(old, new)}) == []


def test_an_asset_stays_whichever_pack_declares_it_and_an_account_is_its_packs_own():
    other = later("number = 156", "number = 999")
    assert [one.key for one in account_changes({"wallet": WALLET}, {"purse": other})] == ["asset.CNY.number"]
    assert account_changes({"wallet": WALLET}, {"purse": later('per          = ["party.merchant"]', "")}) == []
    assert account_changes({}, {"wallet": WALLET}) == account_changes({"wallet": WALLET}, {}) == []


def test_an_activation_that_would_make_other_value_of_what_is_there_is_refused(tmp_path):
    def shop(exponent: int):
        text = f'[asset.POINT]\nnumber = 900\nexponent = {exponent}\n[account.given]\nasset = "POINT"\ncode = 1\n'
        return [AVAILABLE["party"], read_pack({**starter_files("shop"), "accounts.toml": text.encode()}, "shop")]

    engine = Engine.open(tmp_path / "data", clock=lambda: 1_768_471_200_000)
    engine.activate(shop(0))
    engine.activate(shop(2))  # Nothing is there yet.
    engine.open_accounts([Account(7, 900, 1)])
    with pytest.raises(DeclarationError, match="the packs are not activated") as caught:
        engine.activate(shop(3))
    assert f"shop/accounts.toml: asset.POINT.exponent: {OF_ASSET}; was 3; allowed: 2." in str(caught.value)
    assert engine.state.program.packs["shop"].accounts.assets[0].exponent == 2
    engine.close()
