"""Whatever a sound accounts.toml declares is read as it was written: assets, accounts, postings, balances, names."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import Problem
from quanheng.kernel.money import EXPONENTS, NUMBERS
from quanheng.ledger.entries import AMOUNT_MAX, AccountFlag
from quanheng.loading import check_pack
from quanheng.loading.balances import balances_of
from quanheng.loading.checks.accounts import OF_MONEY
from quanheng.loading.checks.chart import LIMITS, Chart, read_account_of
from quanheng.loading.declared_accounts import (
    AccountDeclaration,
    AccountOf,
    AccountsDeclaration,
    AssetDeclaration,
    BalanceDeclaration,
    BalanceOf,
    PostingDeclaration,
    Rounding,
    TransferTemplate,
)
from quanheng.loading.lineage import account_text, lineage
from quanheng.loading.notes import Notes
from quanheng.loading.table import Table

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, wallet_files, wallet_pack

AVAILABLE = available()
KEYS = {"party.customer": "payer", "party.merchant": "merchant", "wallet.payment": "payment"}
"""Entity → key field of wallet.payment, the one event that is decided here."""
FLAGS = {"debits_bound": AccountFlag.DEBITS_BOUND, "credits_bound": AccountFlag.CREDITS_BOUND,
         "history": AccountFlag.HISTORY}  # fmt: skip
FLOW = """
[[flow]]
when = "wallet.payment"
purpose = "payment_service"
decide = "accept"
fallback = "decline"
then.approve = [{}]
refused_as = "decline"
"""


def generated(draw: random.Random) -> AccountsDeclaration:
    """Some sound declaration, with every setting as likely as not."""
    names = draw.sample(["CNY", "JPY", "KWD", "Gold_gram", "POINT"], draw.randint(1, 4))
    assets = tuple(asset(name, place, draw.choice(["", name])) for place, name in enumerate(names))
    accounts = tuple(account(draw, f"account_{place}", assets) for place in range(draw.randint(2, 8)))
    first = [made(draw, f"first_{place}", accounts) for place in range(draw.randint(1, 3))]
    postings = tuple(one for one in first if one.transfers)
    postings += tuple(settling(draw, one) for one in postings if one.id and draw.random() < 0.8)
    exponents = {one.name: one.exponent for one in assets}
    balances = []
    for place in range(draw.randint(0, 3)):
        whose, of = draw.choice(accounts), draw.choice(get_args(BalanceOf))
        decimals = exponents[whose.asset] if of in OF_MONEY else 0
        balances.append(BalanceDeclaration(name=f"balance_{place}", account=named(whose), of=of, decimals=decimals))
    return AccountsDeclaration(assets=assets, accounts=accounts, postings=postings, balances=tuple(balances))


def asset(name: str, place: int, title: str) -> AssetDeclaration:
    number, exponent = NUMBERS.get(name, 70_000 + place), EXPONENTS.get(name, place)
    return AssetDeclaration(name=name, number=number, exponent=exponent, en=title, zh=title)


def account(draw: random.Random, name: str, assets: tuple[AssetDeclaration, ...]) -> AccountDeclaration:
    flags = draw.choice([0, *FLAGS.values(), AccountFlag.DEBITS_BOUND | AccountFlag.HISTORY])
    amounts = [0, 1, 10_000, AMOUNT_MAX]
    return AccountDeclaration(
        name=name, per=tuple(draw.sample(list(KEYS), draw.randint(0, 3))), asset=draw.choice(assets).name,
        code=draw.choice([1, 2010, 65_535]), flags=int(flags), entity=draw.choice([0, 7, 2**32 - 1]),
        overdraft_minor=draw.choice(amounts) if flags & AccountFlag.DEBITS_BOUND else 0,
        **{limit: draw.choice([-1, *amounts]) for limit in LIMITS},
    )  # fmt: skip


def named(account: AccountDeclaration) -> AccountOf:
    return AccountOf(account.name, tuple(KEYS[entity] for entity in account.per))


def made(draw: random.Random, name: str, accounts: tuple[AccountDeclaration, ...]) -> PostingDeclaration:
    """A posting of transfers that move or hold value between accounts of one asset."""
    transfers = []
    for place in range(draw.randint(1, 3)):
        debit = draw.choice(accounts)
        others = [one for one in accounts if one.asset == debit.asset and one.name != debit.name]
        if others:
            hold, balancing = draw.random() < 0.5, draw.choice(["", "", "debit", "credit"])
            amount = draw.choice(["amount_minor", "amount_minor / 3 + fee_rate", "refusal_fee * 2"])
            amount = "" if balancing and draw.random() < 0.5 else amount
            transfers.append(TransferTemplate(
                name=f"t{place}", debit=named(debit), credit=named(draw.choice(others)), asset=debit.asset,
                amount=amount, minor=bool(amount) and draw.random() < 0.5,
                rounding=draw.choice(get_args(Rounding)) if amount else "exact", code=draw.randint(1, 65_535),
                where=draw.choice(["", "amount_minor > 5"]), hold=hold, balancing=balancing,
                timeout_ms=draw.choice([0, 1, 604_800_000]) if hold else 0,
            ))  # fmt: skip
    return PostingDeclaration(name=name, transfers=tuple(transfers), id=draw.choice(["", "payment", "merchant"]))


def settling(draw: random.Random, posting: PostingDeclaration) -> PostingDeclaration:
    """A posting that settles or takes back each transfer of another."""
    transfers = []
    for one in posting.transfers:
        act = draw.choice(["post", "void"]) if one.hold else "reverse"
        amount = draw.choice(["", "amount_minor / 2"]) if act != "void" else ""
        transfers.append(TransferTemplate(
            name=one.name, asset=one.asset, act=act, settles=f"{posting.name}.{one.name}", amount=amount,
            minor=bool(amount), rounding="down" if amount else "exact",
            code=one.code if one.hold or draw.random() < 0.5 else 9,
        ))  # fmt: skip
    return PostingDeclaration(name=f"after_{posting.name}", transfers=tuple(transfers), of=posting.id)


def written(declared: AccountsDeclaration, draw: random.Random) -> str:
    """The declaration as TOML; what may be left out sometimes is."""
    lines = []

    def table(heading: str, **values: object) -> None:
        lines.append(f"[{heading}]")
        for key, value in values.items():
            if value is not None and value is not False and value != "":
                shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
                lines.append(f"{key} = {shown}")

    def spaced(account: AccountOf | None) -> str | None:
        return account and draw.choice([account_text(account), f" {account_text(account).replace(',', ' ,')} "])

    for one in declared.assets:
        standard = one.name in NUMBERS and draw.random() < 0.5
        table(f"asset.{one.name}", number=None if standard else one.number, exponent=None if standard else one.exponent)
        if one.en:
            lines.append(f'title = {{en = "{one.en}", zh = "{one.zh}"}}')
    for one in declared.accounts:
        limits = {limit: getattr(one, limit) for limit in LIMITS if getattr(one, limit) >= 0}
        flags = {key: True for key, flag in FLAGS.items() if one.flags & flag}
        table(f"account.{one.name}", asset=one.asset, code=one.code, legal_entity=one.entity, **limits, **flags,
              overdraft_minor=one.overdraft_minor)  # fmt: skip
        lines.append(f"per = {list(one.per)}")
    for posting in declared.postings:
        table(f"posting.{posting.name}", id=posting.id, of=posting.of)
        for one in posting.transfers:
            table(
                f"posting.{posting.name}.transfer.{one.name}", debit=spaced(one.debit), credit=spaced(one.credit),
                **{"amount_minor" if one.minor else "amount": one.amount}, where=one.where, code=one.code,
                rounding=one.rounding if one.amount else "", hold=one.hold, balancing=one.balancing,
                timeout=f"{one.timeout_ms}ms" if one.timeout_ms else "",
                **({} if one.act == "move" else {one.act: one.settles}),
            )  # fmt: skip
    for one in declared.balances:
        table(f"balance.{one.name}", account=spaced(one.account), of=one.of)
    return "\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_written_is_read(seed):
    draw = random.Random(seed)
    declared = generated(draw)
    text = written(declared, draw)
    files = wallet_files()
    head = files["pack.toml"].decode().partition("[[flow]]")[0]
    asks = ", ".join(f'"transfer:{one.name}"' for one in declared.postings)
    policy = files["policies/wallet.dmn"]
    first, last = policy.index(b'  <decision id="authorise"'), policy.index(b'  <decision id="accept"')
    found, problems = check_pack(
        wallet_pack({
            "accounts.toml": text.encode(), "cases/payments.toml": None,
            "pack.toml": (head + FLOW.format(asks).replace("refused_as", "refused_as" if asks else "# none")).encode(),
            "policies/wallet.dmn": policy[:first] + policy[last:],
        }),
        AVAILABLE,
    )  # fmt: skip
    assert problems == (), text
    assert found.accounts == declared
    assert found.flows[0].then == {"approve": tuple(one.name for one in declared.postings)}
    event = next(one for one in found.events if one.name == "wallet.payment")
    assert balances_of(found.accounts, event) == declared.balances
    nodes = lineage(found)
    for posting in declared.postings:
        for transfer in posting.transfers:
            node = nodes[f"transfer:{posting.name}.{transfer.name}"]
            reads = "amount_minor" in transfer.amount + transfer.where
            assert ("wallet.payment.amount_minor" in node.made_of) == reads
            assert not transfer.settles or f"transfer:{transfer.settles}" in node.made_of


@given(st.text(alphabet="abz_1A (),.\t", max_size=30) | st.text(max_size=20))
def test_an_account_is_named_in_one_form_or_refused(text):
    """Whatever stands there: an account with as many keys as it is kept per, or one problem that says what is wrong."""
    per = ("party.customer", "party.merchant")
    accounts = {
        "a": AccountDeclaration(name="a", per=(), asset="CNY", code=1),
        "b": AccountDeclaration(name="b", per=per, asset="CNY", code=1),
    }
    notes = Notes()
    found = read_account_of(Table({"debit": text}, "accounts.toml", "here", notes), "debit", Chart({}, accounts))
    problems: tuple[Problem, ...] = notes.problems
    assert (found is None) == (len(problems) == 1)
    if found is not None:
        assert len(found.keys) == len(accounts[found.account].per)
        assert account_text(found) == "".join(text.split()).replace(",", ", ")
