"""The `quanheng` command. Each command imports what it needs when it runs, so that --help answers at once."""

from quanheng.cli.main import main

__all__ = ["main"]
