"""Mistakes that need more than one changed text: bounds, and packs among packs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from sample_pack import available, sample_files, sample_pack

from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.loading import PackFiles, check_pack, load_packs, read_pack
from quanheng.loading.new import starter_files

Run = Callable[[], list[str]]


def beyond() -> Iterator[tuple[Run, list[str]]]:
    """Each run with the problems it must give."""
    yield (
        _whole("traffic.toml", b"seed  = 1\n", b"seed  = 1" + b"0" * 5000 + b"\n"),
        [
            "traffic.toml: the file cannot be read as TOML; was ValueError. "
            "Look for a number of thousands of digits, or for lists inside lists inside lists."
        ],
    )
    yield (
        _whole("traffic.toml", b"seed  = 1\n", b"seed  = " + b"[" * 3000 + b"]" * 3000 + b"\n"),
        [
            "traffic.toml: the file cannot be read as TOML; was RecursionError. "
            "Look for a number of thousands of digits, or for lists inside lists inside lists."
        ],
    )
    yield (
        _bounded("checks.events", "FIELDS_MAX", 7),
        ['events.toml: event."sample.report".fields: the event has too many fields; was 8; allowed: at most 7'],
    )
    yield (
        _bounded("checks.events", "CHOICES_MAX", 1),
        [
            'events.toml: event."sample.request".fields.channel.choices: the list is too long; was 2 entries; allowed: at most 1'
        ],
    )
    yield (
        _bounded("checks.features", "FEATURES_MAX", 2),
        ["features.toml: fold: there are too many features; was 3; allowed: at most 2"],
    )
    yield (
        _bounded("checks.models", "INPUTS_MAX", 2),
        ["models/risk.toml: model.inputs: the list is too long; was 3 entries; allowed: at most 2"],
    )
    yield (
        _bounded("checks.parameters", "VALUES_MAX", 0),
        [
            f"parameters/limits.toml: parameter.{name}.values: the parameter has too many values; was 1; allowed: at most 0"
            for name in ("amount_max_minor", "customer_count_1d_max", "amount_to_mean_min")
        ],
    )
    yield (
        _with(
            "events.toml",
            (
                b'shop            = {type = "key", entity = "shop"}',
                b'seller          = {type = "key", entity = "shop"}',
            ),
            (
                "features.toml",
                b'of     = "sample.request"\nby     = ["customer"]',
                b'of     = "sample.report"\nby     = ["seller"]',
            ),
            ("mappings/file.toml", b"fields.shop            =", b"fields.seller          ="),
            ("traffic.toml", b"[report]\n", b"[report]\n"),
        ),
        [
            "features.toml: fold[1].by: no decided event has these key fields of the same entity; was 'seller'; "
            "allowed: sample.request. Name the key field alike in both events.",
            "traffic.toml: report: required fields of the report are not filled; was 'seller'. "
            "Name them as in the payment event, or give them a part.",
        ],
    )
    yield (
        _with(
            "policies/answer.dmn",
            (
                b'<inputData id="input_customer_count_1d_max" name="customer_count_1d_max"><variable name="customer_count_1d_max" typeRef="number"/></inputData>',
                b'<inputData id="input_customer_count_1d_max" name="currency"><variable name="currency" typeRef="number"/></inputData>',
            ),
            ("policies/answer.dmn", b"&gt; customer_count_1d_max", b"&gt; currency"),
        ),
        [
            "policies/answer.dmn: currency: the input has another type than its source; was 'number'; allowed: string. "
            'Write typeRef="string".'
        ],
    )
    yield (
        _with(
            "events.toml",
            (b"amount_minor = {", b"attack       = {"),
            ("traffic.toml", b'amount   = "amount_minor"', b'amount   = "attack"'),
            only="traffic.toml",
        ),
        ["traffic.toml: event.amount: a simulation cannot fill a field of this name; was 'attack'. Rename the field."],
    )
    yield (
        _required_is_broken,
        [
            "pack.toml: pack.requires: the required pack has problems of its own, the first: README.md: the file is missing. "
            "Say for whom the pack is, under which law, on which data, with which measured quality.; was 'party'. "
            "Run: quanheng pack check on the pack 'party'."
        ],
    )
    yield (
        _event_twice,
        [
            "two/events.toml: event.\"sample.request\": the event is declared by the pack 'one' too; was 'sample.request'. "
            "An event has one name everywhere: rename one, or require the other pack and use its event."
        ],
    )
    yield (
        _versions_conflict,
        [
            "one/pack.toml: pack.requires: the required pack has another version; was party 1.0.0; allowed: party >= 2.0.0. "
            "Install a version within the bounds, or change the bounds.",
            "one/pack.toml: pack.requires: packs want different versions of 'party': one requires party >= 2.0.0; "
            "two requires party >= 1.0.0; was party 1.0.0. Find versions whose bounds overlap.",
        ],
    )


def _texts(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def _whole(file: str, old: bytes, new: bytes) -> Run:
    content = sample_files()[file].replace(old, new)
    return lambda: _texts(check_pack(sample_pack({file: content}), available())[1])


def _with(file: str, change: tuple[bytes, bytes], *more: tuple[str, bytes, bytes], only: str = "") -> Run:
    files = sample_files()
    for name, old, new in ((file, *change), *more):
        assert old in files[name], (name, old)
        files[name] = (
            new.join(files[name].rsplit(old, 1))
            if name == "events.toml" and not only
            else files[name].replace(old, new)
        )
    return lambda: [
        text for text in _texts(check_pack(sample_pack(dict(files)), available())[1]) if text.startswith(only)
    ]


def _bounded(module: str, name: str, value: int) -> Run:
    def run() -> list[str]:
        loaded = import_module(f"quanheng.loading.{module}")
        before = getattr(loaded, name)
        setattr(loaded, name, value)
        try:
            return _texts(check_pack(sample_pack(), available())[1])
        finally:
            setattr(loaded, name, before)

    return run


def _required_is_broken() -> list[str]:
    party = {name: content for name, content in available()["party"].files.items() if name != "README.md"}
    return _texts(check_pack(sample_pack(), {"party": read_pack(party, "party")})[1])


def _load(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    packs: dict[str, PackFiles] = {
        "one": read_pack(one, "one"),
        "two": read_pack(two, "two"),
        "party": available()["party"],
    }
    try:
        load_packs(["one", "two"], packs)
    except DeclarationError as error:
        return _texts(error.problems)
    return []


def _event_twice() -> list[str]:
    files = starter_files("sample")
    renamed = {
        name: {**files, "pack.toml": files["pack.toml"].replace(b'"sample"', f'"{name}"'.encode())}
        for name in ("one", "two")
    }
    return _load(renamed["one"], renamed["two"])


def _versions_conflict() -> list[str]:
    one = starter_files("one")
    one["pack.toml"] = one["pack.toml"].replace(b"party >= 1.0.0", b"party >= 2.0.0")
    return _load(one, starter_files("two"))
