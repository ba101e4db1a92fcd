"""Documents run: every python and console block does what the page says, and every link leads somewhere.

```python    blocks of a page run one after another in one namespace, in an empty folder
```console   lines with `$ ` run in that folder; what follows must appear in that order, `…` stands for anything
```console server   the same, but the command keeps running until the next such block or the end of the page
```text, and every other language, is shown and not run
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from audited import ROOT

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "ARCHITECTURE.md"]
)
PORT = "8770"
"""Stands in the pages; every run has a free port in its place."""
COMMAND_S_MAX = 240
SERVER_S_MAX = 120
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    kind: str
    line: int
    text: str


def blocks(text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        yield Block(found.group(1).strip(), text.count("\n", 0, found.start()) + 2, found.group(2))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


RUN = [page for page in PAGES if any(block.kind.startswith(("python", "console")) for block in blocks(read(page)))]


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    port, servers, namespace = free_port(), [], {"__name__": "page"}
    try:
        for block in blocks(read(page)):
            text = block.text.replace(PORT, port)
            if block.kind == "python":
                exec(compile("\n" * (block.line - 1) + text, str(ROOT / page), "exec"), namespace)
            elif block.kind == "console":
                for command, expected in commands(text):
                    run(command, expected, f"{page}:{block.line}")
            elif block.kind == "console server":
                stop(servers)
                servers += [serve(command, port) for command, _ in commands(text)]
    finally:
        stop(servers)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command, with what must appear."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(index for index, line in enumerate(lines) if not line.endswith("\\"))
        yield "\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :]).strip()


def run(command: str, expected: str, where: str) -> None:
    ran = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    output = " ".join((ran.stdout + ran.stderr).split())
    pattern = ".*?".join(re.escape(" ".join(part.split())) for part in expected.split("…"))
    assert re.search(pattern.replace(r"\ .*?", r".*?").replace(r".*?\ ", ".*?"), output), (
        f"{where}: $ {command}\nexpected:\n{expected}\nwas:\n{ran.stdout}{ran.stderr}"
    )
    may_fail = "error:" in expected or re.search(r"\b[1-9]\d* problem", expected)
    assert ran.returncode == 0 or may_fail, f"{where}: $ {command} ended with {ran.returncode}\n{ran.stderr}"


def stop(servers: list[subprocess.Popen]) -> None:
    while servers:
        server = servers.pop()
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=60)


def serve(command: str, port: str) -> subprocess.Popen:
    with Path("server.out").open("ab") as out:
        server = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=out, stderr=out, start_new_session=True)
    until_s = time.monotonic() + SERVER_S_MAX
    while time.monotonic() < until_s and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=1)
        except OSError:
            time.sleep(0.2)
        else:
            return server
    raise AssertionError(f"$ {command} did not answer:\n{Path('server.out').read_text()}")


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def prose(page: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", read(page)))


def anchors(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower().replace("`", "")).strip().replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", read(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f"{page}: {broken}"


def test_every_page_is_in_the_index():
    index = read("docs/index.md")
    missing = [page for page in PAGES if page.startswith("docs/") and page != "docs/index.md"]
    missing = [page for page in missing if f"({page.removeprefix('docs/')})" not in index]
    assert not missing, f"docs/index.md does not lead to {missing}"


@pytest.mark.parametrize("page", PAGES)
def test_prose_respects_the_reader(page):
    """What is simple needs no one to say so; what is not, should not be called so."""
    words = r"\b(simply|just|obviously|easily|of course|seamless\w*|blazing\w*|leverag\w+)\b"
    found = re.findall(words, prose(page), re.IGNORECASE)
    assert not found, f"{page}: {found}"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_begins_with_a_title(page):
    assert read(page).startswith("# ")


def test_what_a_block_expects_is_compared_loosely(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("echo 'one   two three'", "one two …", "x")
    run("printf 'a\\nb\\nc\\n'", "a\n…\nc", "x")
    with pytest.raises(AssertionError, match=r"x: \$ echo one\s+expected:\s+two\s+was:\s+one"):
        run("echo one", "two", "x")
    with pytest.raises(AssertionError, match="ended with 3"):
        run("exit 3", "", "x")
    assert list(commands("$ a \\\n  b\nout\n$ c\n")) == [("a \\\n  b", "out"), ("c", "")]
