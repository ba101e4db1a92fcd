"""What compiles the functions of the book's kernel that Python calls, under the digest of its sources."""

from pathlib import Path

from quanheng.kernel.compiled import entry_of, source_of

entry = entry_of(source_of(Path(__file__).parent))
