"""What compiles the functions of this kernel that Python calls, under the digest of its sources and those it uses."""

from pathlib import Path

from quanheng.kernel.compiled import entry_of, source_of
from quanheng.ledger.instruments.loan_book.kernel import rounding

entry = entry_of(source_of(Path(__file__).parent, [Path(rounding.__file__)]))
