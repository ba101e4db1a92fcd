"""Who may do what when, as a table: for each act and each stage of a piece, who must sign; `-` = it is not allowed.

drawer, acceptor, payee : of the bill
holder : of the piece; pledgee : of its pledge
taker, guarantor, payer : named by the act

Who pays interest in a sale signs too. Days, marks and kinds of banks are judged after this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from quanheng.ledger.instruments.bill.actions import Stage

TABLE = """
act        | drawn     | accepted     | held         | discounted   | pledged | presented | refused | closed
accept     | acceptor  | -            | -            | -            | -       | -         | -       | -
decline    | acceptor  | -            | -            | -            | -       | -         | -       | -
withdraw   | drawer    | drawer       | -            | -            | -       | -         | -       | -
guarantee  | guarantor | guarantor    | guarantor    | -            | -       | -         | -       | -
deliver    | -         | drawer payee | -            | -            | -       | -         | -       | -
split      | -         | -            | holder       | holder       | -       | -         | -       | -
endorse    | -         | -            | holder taker | -            | -       | -         | -       | -
discount   | -         | -            | holder taker | -            | -       | -         | -       | -
interbank  | -         | -            | -            | holder taker | -       | -         | -       | -
rediscount | -         | -            | -            | holder taker | -       | -         | -       | -
pledge     | -         | -            | holder taker | holder taker | -       | -         | -       | -
release    | -         | -            | -            | -            | pledgee | -         | -       | -
enforce    | -         | -            | -            | -            | pledgee | -         | -       | -
present    | -         | -            | holder       | holder       | -       | -         | -       | -
pay        | -         | -            | -            | -            | -       | acceptor  | -       | -
refuse     | -         | -            | -            | -            | -       | acceptor  | -       | -
protest    | -         | -            | -            | -            | -       | holder    | -       | -
claim      | -         | -            | -            | -            | -       | -         | holder  | -
settle     | -         | -            | -            | -            | -       | -         | payer   | -
"""


def _read(table: str) -> Mapping[str, Mapping[Stage, tuple[str, ...]]]:
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    stages = [Stage(name) for name in head[1:]]
    return MappingProxyType({
        act: MappingProxyType({
            stage: tuple(cell.split()) for stage, cell in zip(stages, cells, strict=True) if cell != "-"
        })
        for act, *cells in rows
    })  # fmt: skip


POWERS = _read(TABLE)
"""Act -> stage -> roles that must sign; a stage that is missing does not allow the act."""
