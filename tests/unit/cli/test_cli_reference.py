"""docs/reference/command-line.md names every command and every option of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli_commands import COMMANDS

from quanheng.cli.main import app

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "command-line.md"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_page_names_every_command_and_option(path):
    text = PAGE.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].strip("` "): part for part in text.split("\n## ")[1:]}
    section = sections[f"quanheng {' '.join(path)}"]
    command = app
    for name in path:
        command = command[name]
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show and argument.name not in ("--config", "--data", "--keys"):
            assert f"`{argument.name}`" in section, f"{argument.name} is not on the page"
