"""The house: folders say what they are for, the core names no pack, imports stay light."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter

import pytest
from audited import ROOT, SRC, TESTS, trees

HEAVY = (
    "numba", "numpy", "polars", "lxml", "litestar", "granian", "psycopg", "cryptography",
    "lightgbm", "sklearn", "onnxruntime", "duckdb", "pyarrow", "zen",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after `code` ran in a fresh interpreter."""
    code = f"{code}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_import_quanheng_is_light():
    assert not loaded_by("import quanheng") & set(HEAVY)


def test_errors_and_money_are_light():
    assert not loaded_by("from quanheng import Money, errors, new_id, parse_time_ms") & set(HEAVY)


def test_the_core_of_the_server_loads_no_data_frames():
    # A tenth of a second of every start: what serves reads no files of rows.
    assert "polars" not in loaded_by("import quanheng.engine, quanheng.loading, quanheng.server.process")


HELP = """
import contextlib, io
from quanheng.cli.main import main
with contextlib.redirect_stdout(io.StringIO()): main({})
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["pack", "--help"], ["serve", "--help"]])
def test_help_is_light(arguments):
    assert not loaded_by(HELP.format(arguments)) & set(HEAVY)


def folders() -> list[str]:
    return sorted({str(path.parent.relative_to(ROOT)) for path in SRC.rglob("*.py") if "__pycache__" not in path.parts})


@pytest.mark.parametrize("folder", folders())
def test_every_folder_says_what_it_is_for(folder):
    path = f"{folder}/__init__.py"
    assert path in trees(), f"{folder} has no __init__.py"
    text = ast.get_docstring(trees()[path]) or ""
    assert len(text) > 30, f"{path}: say in a sentence what the folder is for"


def test_every_module_says_what_it_is_for():
    silent = [path for path, tree in trees().items() if len(ast.get_docstring(tree) or "") < 20]
    assert not silent


EXAMPLES = {
    ("src/quanheng/loading/checks/calls.py", "party"): "the example of a qualified name in a message",
    ("src/quanheng/loading/checks/events.py", "party"): "the example of a qualified name in a message",
    ("src/quanheng/loading/checks/manifest.py", "party"): "the example of a requirement in a message",
    ("src/quanheng/loading/checks/manifest.py", "card_fraud"): "the example of a pack's name in a message",
    ("src/quanheng/loading/declared.py", "party"): "the example of a qualified name in a docstring",
}
"""Where a pack may be named: as an example for people, never as something the code acts on."""


def test_the_core_names_no_pack():
    packs = [path.parent.name for path in sorted((ROOT / "src" / "quanheng_packs").glob("*/pack.toml"))]
    assert "card_fraud" in packs
    found = []
    for path in sorted(SRC.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for pack in packs:
                place = str(path.relative_to(ROOT)), pack
                if re.search(rf"\b{pack}\b", line) and not (place in EXAMPLES and ('"' in line or "#" in line)):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "the core names a pack:\n" + "\n".join(found)


def test_the_import_law_is_told_as_it_is_checked():
    checked = re.findall(r"quanheng\.(\w+)", (ROOT / ".importlinter").read_text(encoding="utf-8").split("layers =")[1])
    checked = checked[: checked.index("kernel") + 1]
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Import law")[1]
    told = re.findall(r"\w+", page.split("```")[1].removeprefix("text"))
    assert told == checked


def test_no_two_tests_have_one_file_name():
    """pytest imports each test by its file name: two of one name would hide each other."""
    names = Counter(path.name for path in TESTS.rglob("*.py") if path.name not in ("__init__.py", "conftest.py"))
    assert not [name for name, count in names.items() if count > 1]


SPEAKS_FOR_ITSELF_LINES = 10
DESCRIBED_ELSEWHERE = {
    "src/quanheng/feel/functions/": "the built-ins of FEEL: the standard and docs/reference/feel.md describe them",
    "src/quanheng/feel/operators.py": "the operators of FEEL: the standard and docs/reference/feel.md describe them",
    "src/quanheng/feel/tree.py": "each class is the FEEL construct its name says",
    "src/quanheng/decisions/dmn/model.py": "each class is the DMN element its name says",
    "src/quanheng/testing/log_store.py": "each check has a sentence as its name",
}


def test_public_functions_and_classes_of_modules_are_described():
    """Public = no leading underscore, at module level. A function of a few lines may speak for itself."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    silent = [
        f"  {path}:{node.lineno}: {node.name}"
        for path, tree in trees().items()
        for node in tree.body
        if isinstance(node, kinds) and not node.name.startswith("_") and ast.get_docstring(node) is None
        if (node.end_lineno or 0) - node.lineno >= SPEAKS_FOR_ITSELF_LINES or isinstance(node, ast.ClassDef)
        if not path.startswith(tuple(DESCRIBED_ELSEWHERE))
    ]
    assert not silent, "no docstring:\n" + "\n".join(silent)


def test_versions_agree():
    import tomllib

    import quanheng

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == quanheng.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{quanheng.__version__}]" in changelog


def test_pins_have_no_addresses():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in pins if line.strip() and not line.startswith("#")]
    assert pins
    pin = r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][0-9A-Za-z.+!]*(\s*;.*)?"
    assert not [line for line in pins if not re.fullmatch(pin, line)]
