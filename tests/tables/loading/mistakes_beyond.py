"""Mistakes that need more than one changed text: bounds, and packs among packs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sample_pack import available, loans_pack, sample_files, sample_pack, screen_pack, wallet_files, wallet_pack

from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.loading import PackFiles, check_pack, load_packs, read_pack
from quanheng.loading.new import starter_files

Run = Callable[[], list[str]]
AVAILABLE = available()
LENDER = Path(__file__).parents[2] / "packs" / "lender"


def beyond() -> dict[str, Run]:
    """What makes each mistake of the table [beyond] in mistakes.toml."""
    old, new = b"seed  = 1\n", b"seed  = %b\n"
    shop, seller = b'shop            = {type = "key"', b'seller          = {type = "key"'
    limit = b'name="customer_count_1d_max"'
    return {
        "thousands of digits": _with(("traffic.toml", old, new % (b"1" * 5000))),
        "lists without end": _with(("traffic.toml", old, new % (b"[" * 3000 + b"]" * 3000))),
        "fields": _bounded("checks.events", "FIELDS_MAX", 7),
        "keys": _bounded("checks.events", "KEYS_MAX", 1),
        "numbers": _bounded("checks.events", "NUMBERS_MAX", 4),
        "choices": _bounded("checks.events", "CHOICES_MAX", 1),
        "features": _bounded("checks.features", "FEATURES_MAX", 2),
        "inputs": _bounded("checks.models", "INPUTS_MAX", 2),
        "values": _bounded("checks.parameters", "VALUES_MAX", 0),
        "assets": _bounded("checks.chart", "ASSETS_MAX", 0, wallet_pack),
        "accounts": _bounded("checks.chart", "ACCOUNTS_MAX", 3, wallet_pack),
        "postings": _bounded("checks.postings", "POSTINGS_MAX", 5, wallet_pack),
        "transfers of a posting": _bounded("checks.postings", "TRANSFERS_MAX", 1, wallet_pack),
        "transfers of an outcome": _bounded("checks.acts", "TRANSFERS_MAX", 1, wallet_pack),
        "balances": _bounded("checks.accounts", "BALANCES_MAX", 1, wallet_pack),
        "products": _bounded("checks.loans", "PRODUCTS_MAX", 0, loans_pack),
        "acts on loans": _bounded("checks.loans", "SERVICINGS_MAX", 1, loans_pack),
        "measures": _bounded("checks.loans", "MEASURES_MAX", 1, loans_pack),
        "calls": _bounded("checks.calls", "CALLS_MAX", 1, screen_pack),
        "reason without a sentence": _lender("reasons.toml", b"[reason.housing_situation_m", b"[reason.housing_m"),
        "weights that nobody can read": _lender("models/risk.scorecard", b"{", b"["),
        "asset of two packs": _beside((b"number = 156", b"number = 156\nexponent = 4")),
        "number of two packs": _beside((b"CNY", b"CNH"), (b"number = 156", b"number = 156\nexponent = 2")),
        "by not shared": _with(
            ("events.toml", shop, seller),
            ("features.toml", b'request"\nby     = ["customer"]', b'report"\nby     = ["seller"]'),
            ("mappings/file.toml", b"fields.shop            =", b"fields.seller          ="),
        ),
        "input type": _with(
            ("policies/answer.dmn", limit + b"><variable " + limit, b'name="currency"><variable name="currency"'),
            ("policies/answer.dmn", b"&gt; customer_count_1d_max", b"&gt; currency"),
        ),
        "reserved field": _with(
            ("events.toml", b"amount_minor = {", b"attack       = {"),
            ("traffic.toml", b'amount   = "amount_minor"', b'amount   = "attack"'),
            only="traffic.toml",
        ),
        "required is broken": _required_is_broken,
        "event twice": _event_twice,
        "versions conflict": _versions_conflict,
    }


def _texts(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def _with(*changes: tuple[str, bytes, bytes], only: str = "") -> Run:
    files = sample_files()
    for name, old, new in changes:
        assert old in files[name], (name, old)
        files[name] = files[name].replace(old, new)
    return lambda: [
        text for text in _texts(check_pack(sample_pack(dict(files)), AVAILABLE)[1]) if text.startswith(only)
    ]


def _lender(name: str, old: bytes, new: bytes) -> Run:
    files = dict(read_pack(LENDER).files)
    assert old in files[name], (name, old)
    files[name] = files[name].replace(old, new, 1)
    return lambda: _texts(check_pack(read_pack(files, "lender"), AVAILABLE)[1])


def _bounded(module: str, name: str, value: int, pack: Callable[[], PackFiles] = sample_pack) -> Run:
    def run() -> list[str]:
        loaded = import_module(f"quanheng.loading.{module}")
        before = getattr(loaded, name)
        setattr(loaded, name, value)
        try:
            return _texts(check_pack(pack(), AVAILABLE)[1])
        finally:
            setattr(loaded, name, before)

    return run


def _required_is_broken() -> list[str]:
    party = {name: content for name, content in AVAILABLE["party"].files.items() if name != "README.md"}
    return _texts(check_pack(sample_pack(), {"party": read_pack(party, "party")})[1])


def _load(one: dict[str, bytes], two: dict[str, bytes], first: str = "one", second: str = "two") -> list[str]:
    packs: dict[str, PackFiles] = {
        first: read_pack(one, first),
        second: read_pack(two, second),
        "party": AVAILABLE["party"],
    }
    try:
        load_packs([first, second], packs)
    except DeclarationError as error:
        return _texts(error.problems)
    return []


def _event_twice() -> list[str]:
    one, two = starter_files("sample"), starter_files("sample")
    for name, files in (("one", one), ("two", two)):
        files["pack.toml"] = files["pack.toml"].replace(b'"sample"', f'"{name}"'.encode())
    return _load(one, two)


def _versions_conflict() -> list[str]:
    one = starter_files("one")
    one["pack.toml"] = one["pack.toml"].replace(b"party >= 1.0.0", b"party >= 2.0.0")
    return _load(one, starter_files("two"))


def _beside(*changes: tuple[bytes, bytes]) -> Run:
    """The wallet beside another one, whose events have other names and whose assets are changed."""
    one, two = wallet_files(), {}
    for name, content in one.items():
        two[name] = content.replace(b"wallet.", b"purse.").replace(b'"wallet"', b'"purse"')
    two["policies/wallet.dmn"] = one["policies/wallet.dmn"]
    for old, new in changes:
        two["accounts.toml"] = two["accounts.toml"].replace(old, new)
    return lambda: _load(one, two, "wallet", "purse")
