"""The style as a program: `python tools/tidy.py` names each place that breaks it, and the cure.

It reads the files of this repository and nothing else. Its own tests are in tests/audits/test_tidy.py. What is
excused is listed here with a reason; a list may shrink and never grow (an excuse that is no longer needed, or is
wider than needed, is a finding too).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400


class Ban(NamedTuple):
    """pattern : what may not stand in a line of code; instead : what to write; edges : files where it may (globs)"""

    pattern: str
    instead: str
    edges: tuple[str, ...] = ()


EDGES = (
    "src/quanheng/engine.py",
    "src/quanheng/server/*",
    "src/quanheng/cli/*",
    "src/quanheng/testing/*",
    "src/quanheng/models/evaluation.py",
)
"""Where a clock may be read: the default clock of the engine, the server, the command line, what measures itself."""

BANS = (
    Ban(r"float\(amount", "integer minor units: Money"),
    Ban(r"\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(", "the time that is passed in"),
    Ban(r"\btime\.(time|time_ns|localtime|gmtime)\(", "the clock that is passed in", EDGES),
    Ban(r"\btime\.(perf_counter|monotonic)(_ns)?\(", "the clock that is passed in", EDGES),
    Ban(r"\bimport (pickle|marshal|shelve|dill)\b|\byaml\.load\(", "msgspec, or a format of our own with a digest"),
    Ban(r"(?<![\w.])eval\(", "a checked tree"),
    Ban(r"shell=True|os\.system\(", "a list of arguments"),
    Ban(r"\brandom\.(random|randint|choice|shuffle|seed)\(", "random.Random(seed)"),
    Ban(r"\b(TODO|FIXME|XXX)\b", "the work itself, or an issue"),
    # What writes SQL down is a library that calls itself for each SELECT within another.
    Ban(r"\bsys\.setrecursionlimit\(", "a loop", ("src/quanheng/features/sql/run.py",)),
)

PRINTS = ("src/quanheng/cli/*", "src/quanheng/testing/*")
"""Where print() may stand."""

EXECS = {
    "src/quanheng/events/taker.py": "the reader of an event type, generated from checked names",
    "src/quanheng/feel/columns.py": "FEEL over columns, generated from the checked tree",
    "src/quanheng/feel/compiler.py": "FEEL, generated from the checked tree",
    "src/quanheng/decisions/dmn/compile.py": "a whole decision graph, generated from the checked tree",
}
"""Where exec() may stand: generated code, from checked trees only."""

LONG_FUNCTIONS: dict[str, tuple[int, str]] = {}
"""path::function → its lines now, and why. The number may only fall."""

LONG_FILES: dict[str, tuple[int, str]] = {}
"""path → its lines now, and why. The number may only fall."""

# Written in pieces, so that this file does not hold the words it looks for.
WORDS = (
    "/wo" + "rk/",
    "/ho" + "me/",
    "/tmp/br" + "ief",
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "anaconda" + ".org",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "tuna" + ".tsinghua",
    "mirrors" + ".aliyun",
    "--index" + "-url",
    "--trusted" + "-host",
)
"""What must not stand in a public project: paths of one machine, hosts of package registries."""


class Finding(NamedTuple):
    """One place that breaks the style."""

    path: str
    line: int
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}. {self.cure}"


def check_source(path: str, text: str) -> Iterator[Finding]:
    """Findings in one Python file of the library."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        for ban in BANS:
            found = re.search(ban.pattern, line)
            if found and not any(fnmatch(path, edge) for edge in ban.edges):
                yield Finding(path, number, f"{found.group()!r} is banned", f"Use {ban.instead}")
    tree = ast.parse(text)
    yield from _check_excepts(path, tree, lines)
    yield from _check_calls(path, tree)
    yield from _check_functions(path, tree)
    if len(lines) > FILE_LINES_MAX and path not in LONG_FILES:
        yield Finding(path, 1, f"the file has {len(lines)} lines, the limit is {FILE_LINES_MAX}", "Split it")


def _check_excepts(path: str, tree: ast.AST, lines: list[str]) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        names = {one.id for one in ast.walk(node.type) if isinstance(one, ast.Name)} if node.type else {"everything"}
        broad = names & {"Exception", "BaseException", "everything"}
        if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
            continue  # Cleans up and lets it go on.
        above = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
        if broad and "#" not in lines[node.lineno - 1] and not above.startswith("#"):
            cure = "Name the error, or say in a comment why this is a boundary"
            yield Finding(path, node.lineno, f"`except {broad.pop()}` without a comment", cure)


def _check_calls(path: str, tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            for part in _texts(node.exc):
                if re.search(r"\bgot\b", part.value):
                    yield Finding(path, part.lineno, "an error text says 'got'", "Write 'was'")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "print" and not any(fnmatch(path, edge) for edge in PRINTS):
                yield Finding(path, node.lineno, "print() in the library", "Return the text, or log it")
            if node.func.id == "exec" and path not in EXECS:
                yield Finding(path, node.lineno, "exec() outside the compilers", "Build a tree and compile it there")


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """Texts in an expression, without what is replaced in the texts of others: text.replace("got", "was")."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
        yield from _texts(node.func.value)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _functions(tree: ast.AST) -> Iterator[tuple[str, int, int]]:
    """Name, line and lines of each function, without decorators and docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            described = docstring.end_lineno - docstring.lineno + 1 if docstring and docstring.end_lineno else 0
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1 - described


def _check_functions(path: str, tree: ast.AST) -> Iterator[Finding]:
    for name, line, lines in _functions(tree):
        if lines > FUNCTION_LINES_MAX and f"{path}::{name}" not in LONG_FUNCTIONS:
            what = f"{name} has {lines} lines, the limit is {FUNCTION_LINES_MAX}"
            yield Finding(path, line, what, "Split it where a reader would pause")


def check_words(path: str, text: str) -> Iterator[Finding]:
    """Words that must not stand in any file of a public project."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in WORDS:
            if word in line:
                yield Finding(path, number, f"{word!r} does not belong into a public project", "Leave it out")


def check_excuses(sources: dict[str, str]) -> Iterator[Finding]:
    """Excuses that are no longer needed, or wider than needed."""
    here = "tools/tidy.py"
    for path, (lines_max, _) in LONG_FILES.items():
        lines = len(sources.get(path, "").splitlines())
        if lines <= FILE_LINES_MAX:
            yield Finding(here, 1, f"{path} needs no excuse any more", "Remove it from LONG_FILES")
        elif lines != lines_max:
            yield Finding(here, 1, f"{path} has {lines} lines, excused are {lines_max}", _ratchet(lines, lines_max))
    for place, (lines_max, _) in LONG_FUNCTIONS.items():
        path, _, name = place.partition("::")
        found = [lines for one, _, lines in _functions(ast.parse(sources.get(path, ""))) if one == name]
        lines = max(found, default=0)
        if lines <= FUNCTION_LINES_MAX:
            yield Finding(here, 1, f"{place} needs no excuse any more", "Remove it from LONG_FUNCTIONS")
        elif lines != lines_max:
            yield Finding(here, 1, f"{place} has {lines} lines, excused are {lines_max}", _ratchet(lines, lines_max))
    for path in EXECS:
        if not re.search(r"(?<![\w.])exec\(", sources.get(path, "")):
            yield Finding(here, 1, f"{path} needs no excuse for exec() any more", "Remove it from EXECS")


def _ratchet(lines: int, lines_max: int) -> str:
    return f"Write {lines}: the list may only shrink" if lines < lines_max else "Shorten it: the list may only shrink"


def tracked_files() -> list[str]:
    """Files of this repository that exist, tracked or new, by path from its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(path for path in set(listed.stdout.splitlines()) if (ROOT / path).is_file())
    skipped = {".git", ".venv", "__pycache__"}
    files = (path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.parts))
    return sorted(str(path.relative_to(ROOT)) for path in files)


def read_text(path: str) -> str:
    """Text of a file of this repository; empty if it is binary."""
    raw = (ROOT / path).read_bytes()
    return "" if b"\0" in raw[:8192] else raw.decode("utf-8", "replace")


def tidy() -> list[Finding]:
    """Every finding in this repository."""
    files = tracked_files()
    findings: list[Finding] = []
    sources = {path: read_text(path) for path in files if path.startswith("src/quanheng/") and path.endswith(".py")}
    for path, text in sources.items():
        findings += check_source(path, text)
    for path in files:
        findings += check_words(path, read_text(path))
    findings += check_excuses(sources)
    return findings


def main() -> int:
    """Print every finding; 1 if there is one."""
    findings = tidy()
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
