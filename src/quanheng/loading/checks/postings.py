"""The postings of accounts.toml: transfers that are made together, and those that settle or take back earlier ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from quanheng.kernel.errors import Problem
from quanheng.ledger.entries import BATCH_MAX
from quanheng.loading.checks.chart import CODE_MAX, FILE, Chart, read_account_of
from quanheng.loading.declared_accounts import PostingDeclaration, TransferTemplate
from quanheng.loading.notes import Words
from quanheng.loading.table import NAME, Table

POSTINGS_MAX = 1000
TRANSFERS_MAX = BATCH_MAX
"""Transfers of one posting, and of all that a flow asks for under one outcome: they are one chain of the ledger."""
ACTS = ("post", "void", "reverse")
ROUNDINGS = ("exact", "half_even", "half_up", "down", "up")
SETTLED = re.compile(rf"{NAME.pattern}\.{NAME.pattern}")
OF_THE_OTHER = ("debit", "credit", "hold", "timeout", "balancing")
"""Settings that a transfer which settles another does not have: it moves what the other holds or moved."""


class _Draft(msgspec.Struct, frozen=True):
    """A transfer as written, with its table for problems."""

    table: Table
    posting: str
    transfer: TransferTemplate


def read_postings(top: Table, chart: Chart) -> tuple[PostingDeclaration, ...]:
    """Read `[posting.NAME]` with its transfers. What a settling transfer takes from the other one is filled in."""
    tables: dict[str, Table] = {}
    postings: dict[str, PostingDeclaration] = {}
    drafts: dict[str, _Draft] = {}
    for name, table in top.named("posting", NAME, of="posting"):
        tables[name] = table
        title = table.title(required=False)
        id, of = (table.text(key, required=False, pattern=NAME, wanted="a key field") for key in ("id", "of"))
        for inner_name, inner in table.named("transfer", NAME, required=True, of="transfer"):
            transfer = _transfer(inner_name, inner, chart)
            drafts[f"{name}.{inner_name}"] = _Draft(inner, name, transfer)
        written = table.values.get("transfer")
        if not isinstance(written, dict) or not written:
            top.notes.doubt("transfer")
        if isinstance(written, dict) and not written:
            table.problem("transfer", "the posting has no transfer", known=f"[posting.{name}.transfer.NAME]")
        elif isinstance(written, dict) and len(written) > TRANSFERS_MAX:
            message = "the posting has too many transfers"
            table.problem("transfer", message, found=len(written), known=f"at most {TRANSFERS_MAX}")
        if table.strays():
            top.notes.doubt("transfer")
        table.done()
        postings[name] = PostingDeclaration(name=name, transfers=(), id=id, of=of, en=title.en, zh=title.zh)
    if top.notes.doubted("posting"):
        top.notes.doubt("transfer")
    if len(postings) > POSTINGS_MAX:
        top.problem("posting", "there are too many postings", found=len(postings), known=f"at most {POSTINGS_MAX}")
    for name in drafts:
        _check_settled(name, drafts, tables)
    for name, posting in postings.items():
        own = [one for one in drafts.values() if one.posting == name]
        _check_of(tables[name], posting, [one.transfer for one in own])
        _check_once(own)
    if not (top.notes.doubted("posting") or top.notes.doubted("transfer")):
        top.notes.warn(_for_ever(drafts))
    made = {name: _completed(name, drafts, chart, ()) for name in drafts}
    return tuple(
        replace(posting, transfers=tuple(made[name] for name, one in drafts.items() if one.posting == posting.name))
        for posting in postings.values()
    )


def _transfer(name: str, table: Table, chart: Chart) -> TransferTemplate:
    """One `[posting.NAME.transfer.NAME]`, of which what it settles is not looked up yet."""
    acts = [one for one in ACTS if table.has(one)]
    act: Literal["move", "post", "void", "reverse"] = acts[0] if acts else "move"  # type: ignore[assignment]
    settles = ""
    for one in ACTS:
        found = table.text(one, required=False, pattern=SETTLED, wanted='a transfer, as "posting.transfer"')
        settles = settles or (found if one == act else "")
    if len(acts) > 1:
        found, cure = Words(" and ".join(f"`{one}`" for one in acts)), "Write a transfer for each."
        table.problem(acts[1], "a transfer settles or takes back one other", found=found, cure=cure)
    transfer = TransferTemplate(
        name=name, asset="", act=act, settles=settles, code=0,
        amount=_amount(table, act),
        minor=table.has("amount_minor"),
        rounding=table.choice("rounding", ROUNDINGS, default="exact", required=False),
        where=table.text("where", required=False, wanted="a FEEL condition"),
    )  # fmt: skip
    if table.has("rounding") and not transfer.amount and (act != "move" or table.has("balancing")):
        cure = "Remove `rounding`, or say an amount."
        table.problem("rounding", "there is no amount to round", found=table.values["rounding"], cure=cure)
    code = table.integer("code", required=act == "move", default=0, least=1, most=CODE_MAX)
    if act == "move":
        transfer = _moved(table, transfer, chart)
    else:
        _check_absent(table, act)
    if table.strays():
        table.notes.doubt("posting", "feature", "source")
    table.done()
    return replace(transfer, code=code)


def _amount(table: Table, act: str) -> str:
    """The amount as it is written, "" = all there is."""
    wanted = "a FEEL expression"
    major = table.text("amount", required=False, wanted=f"{wanted} in major units")
    minor = table.text("amount_minor", required=False, wanted=f"{wanted} in minor units")
    both = table.has("amount") and table.has("amount_minor")
    if act == "void":
        for key in ("amount", "amount_minor"):
            if table.has(key):
                message = "a hold is let go as a whole: the transfer has no amount"
                table.problem(key, message, found=table.values[key], cure=f"Remove `{key}`.")
    elif both:
        found, cure = Words("`amount` and `amount_minor`"), "Keep `amount` for major units, `amount_minor` for minor."
        table.problem("amount_minor", "an amount is said once", found=found, cure=cure)
    elif act == "move" and not table.has("balancing") and not (table.has("amount") or table.has("amount_minor")):
        cure = "Write amount or amount_minor; only a transfer that settles, takes back or balances may mean all."
        table.problem("amount", "the key is missing", known="a FEEL expression in major units", cure=cure)
    return major or minor


def _moved(table: Table, transfer: TransferTemplate, chart: Chart) -> TransferTemplate:
    """What a transfer says that moves or holds value itself."""
    debit, credit = (read_account_of(table, key, chart) for key in ("debit", "credit"))
    hold = table.boolean("hold")
    timeout_ms = table.duration_ms("timeout", least_ms=1) or 0
    if table.has("timeout") and not hold:
        cure = "Write hold = true, or remove `timeout`."
        table.problem("timeout", "only a hold has a time-out", found=table.values["timeout"], cure=cure)
    balancing = table.choice("balancing", ("debit", "credit"), required=False)
    if debit is not None and credit is not None:
        one, other = (chart.accounts[side.account].asset for side in (debit, credit))
        if one != other:
            message, found = "debit and credit are of different assets", Words(f"{one} and {other}")
            cure = "A transfer moves one asset: exchange by two transfers of one posting, each in its own."
            table.problem("credit", message, found=found, cure=cure)
        elif debit == credit:
            cure = "Value moves between two accounts."
            table.problem("credit", "debit and credit are the same account", found=table.values["credit"], cure=cure)
    return replace(
        transfer, debit=debit, credit=credit, hold=hold, timeout_ms=timeout_ms, balancing=balancing,
        asset=chart.accounts[debit.account].asset if debit is not None else "",
    )  # fmt: skip


def _check_absent(table: Table, act: str) -> None:
    for key in OF_THE_OTHER:
        if table.has(key):
            table.any(key)
            message = f"a transfer with `{act}` takes this from the one it names"
            table.problem(key, message, found=table.values[key], cure=f"Remove `{key}`.")


def _check_settled(name: str, drafts: Mapping[str, _Draft], postings: Mapping[str, Table]) -> None:
    """What a transfer settles or takes back is there, can be found again, and holds or moves something."""
    draft = drafts[name]
    act, settles, table = draft.transfer.act, draft.transfer.settles, draft.table
    if act == "move" or not settles:
        return
    other = drafts.get(settles)
    if other is None:
        known = [one for one, draft in drafts.items() if draft.transfer.hold or act == "reverse"]
        message = "no such transfer is declared in this file"
        table.problem(act, message, found=settles, known=known, of="transfer")
    elif other.posting == draft.posting:
        cure = "Settle it in a posting of its own."
        message = "a posting cannot settle its own transfers: they are made together"
        table.problem(act, message, found=settles, cure=cure)
    elif other.table.sound:
        _check_act(draft, other, drafts)
        if not postings[other.posting].has("id"):
            message = f"the posting {other.posting} does not say under which `id` its transfers are found again"
            cure = f'Write id = "…" in [posting.{other.posting}]: the key field that names the deal.'
            table.problem(act, message, found=settles, cure=cure, of="posting")
        way = _way(name, drafts)
        if way[-1] == name:
            cure = "Take one of them back by a transfer that moves value itself."
            message = "the transfers take one another back in a circle"
            table.problem(act, message, found=Words(" → ".join(way)), cure=cure)


def _check_act(draft: _Draft, other: _Draft, drafts: Mapping[str, _Draft]) -> None:
    act, settles, table = draft.transfer.act, draft.transfer.settles, draft.table
    if act == "reverse":
        if other.transfer.hold or other.transfer.act == "void":
            cure = "Void the hold, or take back the transfer that posts it."
            table.problem(act, "the transfer moves no value, so nothing can be taken back", found=settles, cure=cure)
        return
    if not other.transfer.hold:
        known = [one for one, draft in drafts.items() if draft.transfer.hold]
        cure = "Write hold = true there, or name a transfer that holds."
        message = f"the transfer holds nothing, so there is nothing to {act}"
        table.problem(act, message, found=settles, known=known, cure=cure)
    elif draft.transfer.code and draft.transfer.code != other.transfer.code:
        cure = "Remove `code`."
        message = f"a transfer with `{act}` has the code of the hold"
        table.problem("code", message, found=draft.transfer.code, known=str(other.transfer.code), cure=cure)


def _way(name: str, drafts: Mapping[str, _Draft]) -> list[str]:
    """From a transfer to what it settles, and on, until an end or a name that was there before."""
    way = [name]
    while (following := drafts[way[-1]].transfer.settles) in drafts:
        way.append(following)
        if following in way[:-1]:
            break
    return way


def _check_of(table: Table, posting: PostingDeclaration, transfers: list[TransferTemplate]) -> None:
    settling = [one.settles for one in transfers if one.settles]
    if settling and not posting.of and not table.has("of"):
        message = f"the posting settles {settling[0]} and does not say of which deal; the key is missing"
        table.problem("of", message, known="the key field of the event that names the deal", of="posting")
    elif posting.of and not any(one.act != "move" for one in transfers):
        cure = "Remove `of`, or give a transfer post, void or reverse."
        message = "nothing in this posting settles another"
        table.problem("of", message, found=posting.of, cure=cure, of="transfer")


def _check_once(drafts: list[_Draft]) -> None:
    """Of two transfers that settle one hold together, the second is refused; conditions may leave one of them out."""
    settled: dict[str, str] = {}
    for draft in drafts:
        one = draft.transfer
        if one.act in ("post", "void") and one.settles and not one.where:
            if one.settles in settled:
                message = f"the transfer {settled[one.settles]} of this posting settles the hold already"
                draft.table.problem(one.act, message, found=one.settles, cure="A hold is settled once: keep one.")
            settled.setdefault(one.settles, one.name)


def _for_ever(drafts: Mapping[str, _Draft]) -> list[Problem]:
    """Holds that have no time-out and that nothing posts or voids: remarks."""
    settled = {one.transfer.settles for one in drafts.values() if one.transfer.act in ("post", "void")}
    message, cure = "nothing posts or voids this hold, and it has no time-out", "Say `timeout`, or settle it."
    return [
        Problem(FILE, one.table.key, message, cure=cure)
        for name, one in drafts.items()
        if one.transfer.hold and not one.table.has("timeout") and name not in settled
    ]


def _completed(name: str, drafts: Mapping[str, _Draft], chart: Chart, above: tuple[str, ...]) -> TransferTemplate:
    """A transfer with the asset and code of the one it settles, where it has none of its own."""
    one = drafts[name].transfer
    if one.settles not in drafts or one.settles in (*above, name):
        return one
    other = _completed(one.settles, drafts, chart, (*above, name))
    return replace(one, asset=other.asset, code=one.code or other.code)
