"""What compiles the functions of the kernel that Python calls, under the digest of all that is compiled in."""

from pathlib import Path

from quanheng.kernel.compiled import entry_of, source_of
from quanheng.ledger import entries, outcomes

SOURCE = source_of(Path(__file__).parent, (Path(entries.__file__), Path(outcomes.__file__)))
entry = entry_of(SOURCE)
