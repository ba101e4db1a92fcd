"""What accounts.toml declares as it is read, what is remarked of it, and where its names lead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.entries import BATCH_MAX, AccountFlag
from quanheng.loading import check_pack, load_packs
from quanheng.loading.balances import balances_of
from quanheng.loading.checks.postings import TRANSFERS_MAX
from quanheng.loading.classes import data_classes
from quanheng.loading.declared_accounts import (
    AccountDeclaration,
    AccountOf,
    AssetDeclaration,
    BalanceDeclaration,
    TransferTemplate,
)
from quanheng.loading.feature_pages import feature_pages
from quanheng.loading.lineage import lineage

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, wallet_files, wallet_pack

AVAILABLE = available()
MOVED = {
    "top_up.principal": "moves amount_minor minor units from bank to wallet(customer)",
    "authorise.principal": "holds amount_minor minor units from wallet(payer) to merchant(merchant)",
    "capture.principal": "posts amount_minor minor units of authorise.principal",
    "capture.fee": "moves amount_minor / 100 * fee_rate CNY from merchant(merchant) to fees, "
    "where amount_minor * fee_rate >= 1",
    "release.principal": "voids all of authorise.principal",
    "refund.principal": "takes back amount_minor minor units of capture.principal",
    "refusal_fee.fee": "moves refusal_fee CNY from wallet(payer) to fees, where wallet_available > 0",
}


@pytest.fixture(scope="module")
def declared():
    return load_packs(["wallet"], {**AVAILABLE, "wallet": wallet_pack()})["wallet"]


def changed(*changes: tuple[str, str, str]):
    """What is declared, what hinders and what is remarked where texts of the wallet's files are replaced."""
    files = wallet_files()
    for name, old, new in changes:
        assert old.encode() in files[name], (name, old)
        files[name] = files[name].replace(old.encode(), new.encode(), 1)
    declared, problems = check_pack(wallet_pack(dict(files)), AVAILABLE)
    return declared, [str(one) for one in problems], [str(one) for one in declared.warnings]


def in_accounts(old: str, new: str):
    return changed(("accounts.toml", old, new))


def test_assets_and_accounts_are_read_as_they_are_said(declared):
    assets, accounts = declared.accounts.assets, {one.name: one for one in declared.accounts.accounts}
    assert assets == (AssetDeclaration(name="CNY", number=156, exponent=2, en="Renminbi", zh="人民币"),)
    assert list(accounts) == ["bank", "wallet", "merchant", "fees"]
    assert accounts["wallet"] == AccountDeclaration(
        name="wallet", per=("party.customer",), asset="CNY", code=2010,
        flags=AccountFlag.DEBITS_BOUND | AccountFlag.HISTORY, payment_max_minor=50_000,
        en="Wallet of a customer", zh="客户钱包",
    )  # fmt: skip
    assert accounts["fees"].per == ()
    assert accounts["fees"].day_max_minor == -1


def test_every_limit_and_the_exponent_of_a_token_are_read():
    limits = {"overdraft_minor": 1, "payment_max_minor": 2, "day_max_minor": 0, "balance_max_minor": 4,
              "net_debit_cap_minor": 5}  # fmt: skip
    text = "\n".join(f"{key} = {value}" for key, value in limits.items())
    token = (
        '[asset.GOLD_GRAM]\nnumber = 4_294_967_295\nexponent = 6\n\n[account.gold]\nper = ["payment", "party.device"]\n'
    )
    token += 'asset = "GOLD_GRAM"\ncode = 65_535\nlegal_entity = 7\n\n[account.bank]\ndebits_bound = true\n' + text
    declared, problems, _ = in_accounts("[account.bank]", token)
    accounts = {one.name: one for one in declared.accounts.accounts}
    assert problems == []
    assert {key: getattr(accounts["bank"], key) for key in limits} == limits
    assert (accounts["gold"].per, accounts["gold"].entity) == (("wallet.payment", "party.device"), 7)
    assert declared.accounts.assets[1] == AssetDeclaration(name="GOLD_GRAM", number=4_294_967_295, exponent=6)


def test_transfers_are_read_as_they_are_said(declared):
    transfers = {f"{one.name}.{each.name}": each for one in declared.accounts.postings for each in one.transfers}
    assert transfers["authorise.principal"] == TransferTemplate(
        name="principal", debit=AccountOf("wallet", ("payer",)), credit=AccountOf("merchant", ("merchant",)),
        asset="CNY", amount="amount_minor", minor=True, code=110, hold=True, timeout_ms=7 * 86_400_000,
    )  # fmt: skip
    assert transfers["capture.fee"] == TransferTemplate(
        name="fee", debit=AccountOf("merchant", ("merchant",)), credit=AccountOf("fees"), asset="CNY",
        amount="amount_minor / 100 * fee_rate", rounding="half_even", where="amount_minor * fee_rate >= 1", code=120,
    )  # fmt: skip
    assert transfers["refund.principal"].act == "reverse"
    assert transfers["refusal_fee.fee"].balancing == "debit"
    assert [(one.id, one.of) for one in declared.accounts.postings][:4] == [
        ("", ""), ("payment", ""), ("payment", "payment"), ("", "payment"),
    ]  # fmt: skip


def test_a_settling_transfer_has_the_asset_and_where_it_says_none_the_code_of_the_other():
    """Through a reversal of a posting of a hold, in whatever order they stand."""
    fee = "\n[posting.capture.transfer.fee]"
    text = wallet_files()["accounts.toml"].decode().replace(f"code         = 110\n{fee}", fee)
    first, _, rest = text.partition("[posting.top_up]")
    refund = rest[rest.index("[posting.refund]") : rest.index("[posting.refusal_fee]")]
    text = first + refund.replace("code         = 110\n", "") + "[posting.top_up]" + rest.replace(refund, "")
    declared, problems = check_pack(wallet_pack({"accounts.toml": text.encode()}), AVAILABLE)
    assert problems == ()
    transfers = {one.name: one.transfers[0] for one in declared.accounts.postings}
    assert next(iter(transfers)) == "refund"
    settling = [transfers[name] for name in ("refund", "capture", "release")]
    assert [(one.asset, one.code) for one in settling] == [("CNY", 110)] * 3


def test_what_is_taken_back_may_have_a_code_of_its_own():
    old = 'reverse      = "capture.principal"\namount_minor = "amount_minor"\ncode         = 110'
    declared, problems, _ = in_accounts(old, old.replace("110", "111"))
    assert problems == []
    refund = next(one for one in declared.accounts.postings if one.name == "refund")
    assert refund.transfers[0].code == 111


def test_a_posting_that_settles_without_an_amount_means_all():
    declared, problems, _ = in_accounts('post         = "authorise.principal"\namount_minor = "amount_minor"\n',
                                        'post         = "authorise.principal"\n')  # fmt: skip
    assert problems == []
    assert next(one for one in declared.accounts.postings if one.name == "capture").transfers[0].amount == ""


def test_balances_have_the_decimals_of_their_asset_or_count(declared):
    available, held = declared.accounts.balances
    assert available == BalanceDeclaration(
        name="wallet_available", account=AccountOf("wallet", ("payer",)), of="available", decimals=2,
        en="What is there to pay with", zh="可用余额",
    )  # fmt: skip
    assert (held.of, held.decimals) == ("credits_held", 2)
    counted = in_accounts('of      = "credits_held"', 'of      = "days_since"')[0].accounts.balances[1]
    assert (counted.of, counted.decimals) == ("days_since", 0)


def test_a_balance_is_known_of_events_with_its_keys(declared):
    known = {one.name: [each.name for each in balances_of(declared.accounts, one)] for one in declared.events}
    assert known == {
        "wallet.topped_up": [], "wallet.payment": ["wallet_available", "merchant_held"],
        "wallet.capture": ["merchant_held"], "wallet.released": [], "wallet.refund": [],
    }  # fmt: skip


def test_a_key_of_another_entity_names_no_account(declared):
    event = next(one for one in declared.events if one.name == "wallet.payment")
    payer = event.fields["payer"]
    other = replace(event, fields={**event.fields, "payer": replace(payer, entity="party.device")})
    text = replace(event, fields={**event.fields, "payer": replace(payer, kind="text", entity="")})
    for one in (other, text):
        assert [each.name for each in balances_of(declared.accounts, one)] == ["merchant_held"]


def test_a_balance_of_the_house_is_known_of_every_event():
    text = '[balance.house]\naccount = "fees"\nof = "days_since"\n\n[balance.merchant_held]'
    declared, problems, _ = in_accounts("[balance.merchant_held]", text)
    assert problems == []
    assert all("house" in [each.name for each in balances_of(declared.accounts, one)] for one in declared.events)


def test_formulas_models_and_policies_read_balances():
    formula = '[[formula]]\nname = "share_of_wallet"\nfeel = "amount_minor / 100 / wallet_available"\ndecimals = 3\n'
    files = {**wallet_files(), "features.toml": formula.encode()}
    declared, problems = check_pack(wallet_pack(dict(files)), AVAILABLE)
    assert problems == ()
    assert declared.formulas[0].uses == ("amount_minor", "wallet_available")
    assert data_classes(declared, {one.name: one for one in declared.events})["share_of_wallet"] == "financial"
    taken = formula.replace("share_of_wallet", "merchant_held").encode()
    _, problems = check_pack(wallet_pack({"features.toml": taken}), AVAILABLE)
    assert [str(one) for one in problems] == [
        (
            "features.toml: formula.merchant_held.name: the name is taken by balance.merchant_held of accounts.toml; "
            "was 'merchant_held'. Give each fold and formula a name of its own."
        )
    ]


def test_a_formula_of_a_balance_is_known_where_the_balance_is():
    formula = '[[formula]]\nname = "share"\nfeel = "amount_minor / wallet_available"\n'
    files = {**wallet_files(), "features.toml": formula.encode()}
    accounts = files["accounts.toml"].decode().replace('amount_minor = "amount_minor"', 'amount_minor = "share"', 1)
    _, problems = check_pack(wallet_pack({**files, "accounts.toml": accounts.encode()}), AVAILABLE)
    assert [str(one).partition("; allowed")[0] for one in problems] == [
        (
            "accounts.toml: posting.top_up.transfer.principal.amount_minor: the expression uses a name that is not "
            "known for wallet.topped_up; was 'share'"
        )
    ]


@pytest.mark.parametrize("name", ["accounts.toml", "events.toml", "pack.toml", "parameters/fees.toml"])
def test_what_reads_a_file_that_cannot_be_read_is_not_blamed(name):
    files = {**wallet_files(), name: wallet_files()[name] + b"\n[broken"}
    _, problems = check_pack(wallet_pack(dict(files)), AVAILABLE)
    assert [one.file for one in problems] == [name], "\n".join(map(str, problems))


def test_what_flows_ask_for_is_read(declared):
    flow = next(one for one in declared.flows if one.when == "wallet.payment")
    assert flow.then == {"approve": ("authorise",), "review": ("authorise",), "refused": ("refusal_fee",)}
    assert flow.refused_as == "decline"


def test_an_outcome_may_ask_for_nothing_and_a_flow_for_nothing_at_all():
    asks = 'then.approve = ["transfer:capture"]\nrefused_as   = "decline"'
    for new in ("", "then.approve = []", "then.decline = []"):
        declared, problems, _ = changed(("pack.toml", asks, new))
        said = [one for one in problems if not one.startswith("cases/")]
        flow = next(one for one in declared.flows if one.when == "wallet.capture")
        assert said == []
        assert flow.refused_as == ""
        assert all(names == () for names in flow.then.values())


GIFT = """
[posting.gift]
[posting.gift.transfer.one]
debit = "bank"
credit = "fees"
amount = "1"
code = 1

[posting.refund]
"""
FOR_EVER = "nothing posts or voids this hold, and it has no time-out"
NOT_WHOLE = "decimals, and one that is not whole in minor units is refused"
REMARKS = {
    "no flow asks": ("[posting.refund]\n", GIFT, (
        "posting.gift: no flow asks for this posting. "
        'Ask for it: then.OUTCOME = ["transfer:gift"] in a flow of pack.toml.'
    )),
    "a hold for ever": (
        'credit       = "wallet(customer)"\n', 'credit = "wallet(customer)"\nhold = true\n',
        f"posting.top_up.transfer.principal: {FOR_EVER}. Say `timeout`, or settle it.",
    ),
    "a currency of another number": (
        "number = 156", "number = 840",
        ("asset.CNY.number: the currency has another number in ISO 4217; was 840; allowed: 156. Write number = 156, or "
         "leave it out."),
    ),
    "minor as major": (
        'credit       = "wallet(customer)"\namount_minor = "amount_minor"',
        'credit       = "wallet(customer)"\namount       = "amount_minor"',
        ("posting.top_up.transfer.principal.amount: the field of wallet.topped_up counts minor units, and `amount` "
         'major ones; was amount_minor. Write amount_minor = "amount_minor".'),
    ),
    "a parameter of more decimals": (
        'amount   = "amount_minor / 100 * fee_rate"\nrounding = "half_even"',
        'amount   = "fee_rate"',
        (f"posting.capture.transfer.fee.amount: the amount may have 3 {NOT_WHOLE}; was fee_rate; allowed: at most 2. "
         "Say how to round: rounding."),
    ),
    "major units as minor": (
        'amount    = "refusal_fee"',
        'amount_minor = "wallet_available"',
        (f"posting.refusal_fee.transfer.fee.amount_minor: the amount may have 2 {NOT_WHOLE}; was wallet_available; "
         "allowed: at most 0. Say how to round: rounding."),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REMARKS)
def test_what_hinders_nothing_is_remarked(name):
    old, new, remark = REMARKS[name]
    _, problems, warnings = in_accounts(old, new)
    assert (problems, warnings) == ([], [f"accounts.toml: {remark}"])


def test_a_hold_that_is_settled_or_ends_is_not_remarked():
    to_wallet = 'credit       = "wallet(customer)"\n'
    for old, new in (('timeout      = "7d"\n', ""), (to_wallet, f'{to_wallet}hold = true\ntimeout = "1d"\n')):
        assert in_accounts(old, new)[1:] == ([], [])


def test_a_currency_needs_neither_number_nor_exponent():
    declared, problems, warnings = in_accounts("number = 156\n", "")
    assert (problems, warnings) == ([], [])
    assert (declared.accounts.assets[0].number, declared.accounts.assets[0].exponent) == (156, 2)


def test_conditions_may_say_which_of_two_settles_a_hold():
    both = 'void = "authorise.principal"\nwhere = "time_ms > 0"\n\n[posting.release.transfer.or_post]\n'
    both += 'post = "authorise.principal"\nwhere = "time_ms <= 0"\n'
    _, problems, _ = in_accounts('void = "authorise.principal"\n', both)
    assert problems == []


def test_a_decimal_field_of_more_decimals_than_the_asset_is_remarked():
    field = 'amount_minor = {type = "integer", unit = "minor", min = 1, class = "financial"}'
    for scale, remarks in ((2, 0), (3, 1)):
        decimal = f'amount_minor = {{type = "decimal", scale = {scale}, min = 1, class = "financial"}}'
        _, problems, warnings = changed(
            ("events.toml", field, decimal),
            (
                "accounts.toml",
                'credit       = "wallet(customer)"\namount_minor =',
                'credit = "wallet(customer)"\namount =',
            ),
        )
        assert (problems, len(warnings)) == ([], remarks)


def test_a_posting_may_serve_several_events_and_its_names_are_checked_for_each():
    asks = 'then.approve = ["transfer:release"]'
    _, problems, _ = changed(("pack.toml", asks, 'then.approve = ["transfer:release", "transfer:refund"]'))
    assert [one.partition("; allowed")[0] for one in problems] == [
        (
            "accounts.toml: posting.refund.transfer.principal.amount_minor: the expression uses a name that is not "
            "known for wallet.released; was 'amount_minor'"
        )
    ]


def test_the_bound_of_a_chain_is_the_ledgers():
    assert TRANSFERS_MAX == BATCH_MAX


def test_lineage_leads_from_fields_and_balances_over_decisions_to_transfers(declared):
    nodes = lineage(declared)
    assert {name: nodes[f"transfer:{name}"].text for name in MOVED} == MOVED
    assert nodes["wallet_available"].made_of == ("wallet.payment.payer",)
    assert "transfer:refusal_fee.fee" in nodes["wallet_available"].used_by
    assert nodes["merchant_held"].made_of == ("wallet.payment.merchant", "wallet.capture.merchant")
    assert nodes["merchant_held"].data_class == "financial"
    assert nodes["transfer:authorise.principal"].made_of == (
        "wallet.payment.payer", "wallet.payment.merchant", "wallet.payment.payment", "wallet.payment.amount_minor",
        "wallet.authorise",
    )  # fmt: skip
    assert nodes["transfer:authorise.principal"].used_by == ("transfer:capture.principal", "transfer:release.principal")
    assert nodes["transfer:capture.principal"].used_by == ("transfer:refund.principal",)
    assert all(node.data_class == "financial" for node in nodes.values() if node.kind == "transfer")
    for name, node in nodes.items():
        assert all(name in nodes[one].used_by for one in node.made_of)
        assert all(name in nodes[one].made_of for one in node.used_by)


def test_a_decision_that_several_events_ask_for_names_each_and_what_it_reads_itself(declared):
    nodes = lineage(declared)
    node = nodes["wallet.accept"]
    assert node.made_of == (), "what another decision of its file reads is not its own"
    assert set(nodes["wallet.authorise"].made_of) == {"wallet.payment.amount_minor", "wallet_available"}
    assert node.text.startswith("decided when wallet.topped_up arrives, for payment_service; decided when wallet.cap")


def test_a_balance_is_as_sensitive_as_its_key_and_at_least_financial(declared):
    event = next(one for one in declared.events if one.name == "wallet.payment")
    payer = replace(event.fields["payer"], data_class="sensitive")
    secret = replace(event, fields={**event.fields, "payer": payer})
    classes = data_classes(declared, {"wallet.payment": secret})
    assert (classes["wallet_available"], classes["merchant_held"]) == ("sensitive", "financial")


def test_every_balance_has_a_page(declared):
    pages = feature_pages(declared)
    assert (
        "| account | `wallet(payer)` |\n| of | available |\n| unit | CNY with 2 decimals |"
        in pages["wallet_available.md"]
    )
    assert "可用余额" in pages["wallet_available.md"]
    assert "| of | credits_held |\n| unit | CNY with 2 decimals |" in pages["merchant_held.md"]
    counted = in_accounts('of      = "credits_held"', 'of      = "days_since"')[0]
    assert "| unit | days |" in feature_pages(counted)["merchant_held.md"]
    assert "| [`wallet_available`](wallet_available.md) | balance | financial | What is there" in pages["index.md"]
