"""Packs among packs: found, required, loaded in order, refused together."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from quanheng.kernel.errors import DeclarationError, NotFound
from quanheng.loading import check_pack, find_packs, load_packs, read_pack, read_packs
from quanheng.loading.checks.manifest import meets
from quanheng.loading.find import load_source
from quanheng.loading.new import starter_files


def pack(name: str, **settings: object) -> dict[str, bytes]:
    """A pack that declares nothing but itself."""
    lines = [f'name = "{name}"', f'version = "{settings.get("version", "1.0.0")}"', 'title = {en = "a", zh = "b"}']
    if "requires" in settings:
        lines.append(f"requires = {settings['requires']}".replace("'", '"'))
    return {"pack.toml": "\n".join(["[pack]", *lines]).encode(), "README.md": b"x"}


def test_shipped_packs_are_found_and_sound():
    packs = read_packs()
    assert {"party", "card_fraud"} <= set(packs)
    for name, files in packs.items():
        assert check_pack(files, packs)[1] == (), name


def test_a_pack_of_another_distribution_is_found_by_its_entry_point(tmp_path: Path, monkeypatch):
    folder = tmp_path / "their_distribution" / "lending_x"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        (path / "__init__.py").write_text("")
    for name, content in pack("lending_x").items():
        (folder / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("lending_x", "their_distribution.lending_x", "quanheng.packs")]
    assert check_pack(read_pack(find_packs(points)["lending_x"]), {})[1] == ()
    assert "lending_x" in read_packs(points)


def test_two_packs_of_one_name_and_a_package_that_is_gone_are_reported_together():
    points = [
        EntryPoint("party", "elsewhere.party", "quanheng.packs"),
        EntryPoint("lost", "no_such.package", "quanheng.packs"),
    ]
    with pytest.raises(DeclarationError) as error:
        find_packs(points)
    assert [str(problem) for problem in error.value.problems] == [
        (
            "no_such.package: quanheng.packs: the package that holds the pack cannot be imported "
            "(No module named 'no_such'); was lost. Install it again."
        ),
        (
            "elsewhere.party: quanheng.packs: the name of the pack is taken; was party. "
            "Uninstall one, or rename the entry point and the pack."
        ),
    ]


def test_a_package_that_fails_while_it_is_imported_is_a_problem_too(tmp_path, monkeypatch):
    (tmp_path / "failing_pack.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeclarationError, match=r"cannot be imported \(division by zero\); was failing"):
        find_packs([EntryPoint("failing", "failing_pack", "quanheng.packs")])
    found, why = load_source(EntryPoint("failing", "failing_pack:Source", "quanheng.sources"))
    assert (found, why) == (None, "the source cannot be imported (division by zero)")


def test_required_packs_come_first_and_once():
    available = {
        name: read_pack(pack(name, requires=requires), name)
        for name, requires in (("a", ["b", "c"]), ("b", ["c"]), ("c", []))
    }
    assert list(load_packs(["a"], available)) == ["c", "b", "a"]
    assert list(load_packs(["c", "a"], available)) == ["c", "b", "a"]


def test_a_pack_that_does_not_exist_is_named():
    with pytest.raises(NotFound) as error:
        load_packs(["cards"], {"card_fraud": read_pack({}, "card_fraud")})
    assert str(error.value) == (
        "cards: there is no such pack; allowed: card_fraud. Give one of these, or a folder that holds a pack.toml."
    )


def test_problems_of_all_packs_are_reported_with_their_pack():
    available = {"a": read_pack(pack("a", requires=["b"]), "a"), "b": read_pack({"pack.toml": b"x"}, "b")}
    with pytest.raises(DeclarationError) as error:
        load_packs(["a"], available)
    files = [problem.file for problem in error.value.problems]
    assert files == ["a/pack.toml", "b/pack.toml", "b/README.md"]
    assert "the packs a cannot be loaded: 3 problems" in str(error.value)


def test_packs_that_require_one_another_are_reported():
    available = {"a": read_pack(pack("a", requires=["b"]), "a"), "b": read_pack(pack("b", requires=["a"]), "b")}
    with pytest.raises(DeclarationError, match="the packs require one another in a circle; was 'a → b → a'"):
        load_packs(["a"], available)


@pytest.mark.parametrize(
    ("version", "bounds", "good"),
    [
        ("1.2.0", (), True),
        ("1.2.0", ((">=", "1.2.0"),), True),
        ("1.10.0", ((">=", "1.9.0"), ("<", "2.0.0")), True),
        ("2.0.0", ((">=", "1.9.0"), ("<", "2.0.0")), False),
        ("1.0.0", (("==", "1.0.0"),), True),
        ("1.0.0", (("!=", "1.0.0"),), False),
        ("1.0.1", ((">", "1.0.0"), ("<=", "1.0.1")), True),
    ],
)
def test_versions_compare_by_number(version, bounds, good):
    assert meets(version, bounds) is good


def test_names_of_other_packs_are_qualified():
    declared, problems = check_pack(read_pack(starter_files("mine"), "mine"), read_packs())
    assert problems == ()
    assert declared.events[0].fields["customer"].entity == "party.customer"
    own = starter_files("mine")
    own["events.toml"] += b'\n[entity.desk]\npersonal = false\ntitle = {en = "Desk", zh = "x"}\n'
    declared, _ = check_pack(read_pack(own, "mine"), read_packs())
    assert [entity.name for entity in declared.entities] == ["mine.desk"]
