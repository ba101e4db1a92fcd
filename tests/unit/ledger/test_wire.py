"""Records byte by byte, as the docstring of `wire` states them; what has no place in them is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.ledger import wire
from quanheng.ledger.entries import BATCH_MAX, Account, Amendment, Answer, Balance, Transfer
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome

WIDE = 2**127 + 2**64 + 5
SIZES = {"TRANSFER_REQUEST": 112, "TRANSFER_ANSWER": 152, "TRANSFER_FACT": 128, "ACCOUNT_FACT": 128}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_no_byte_is_padding(name, size):
    dtype = getattr(wire, name)
    ends = [offset + kind.itemsize for kind, offset in dtype.fields.values()]
    assert dtype.itemsize == size == ends[-1]
    assert [0, *ends[:-1]] == [offset for _, offset in dtype.fields.values()]
    assert all(kind.byteorder in "<=|" for kind, _ in dtype.fields.values())


def stated(page: str) -> list[tuple[int, str]]:
    """Offsets and names of a column of the docstring."""
    return [(int(offset), name) for offset, name in re.findall(r"(\d+)  ([a-z_]+)", page)]


def test_the_docstring_states_the_offsets():
    text = wire.__doc__ or ""
    requests, facts = text.split("A fact is what was applied")
    left = [line[:36] for line in requests.splitlines()]
    for offset, name in stated("\n".join(left)):
        fields = wire.TRANSFER_REQUEST.fields
        assert (fields.get(name) or fields[f"{name}_lo"])[1] == offset
    columns = [(wire.TRANSFER_FACT, slice(0, 36)), (wire.ACCOUNT_FACT, slice(36, None))]
    for dtype, part in columns:
        found = stated("\n".join(line[part] for line in facts.splitlines()))
        assert len(found) > 8
        for offset, name in found:
            assert (dtype.fields.get(name) or dtype.fields[f"{name}_lo"])[1] == offset, name


def test_a_request_as_bytes():
    one = Transfer(WIDE, 2, 3, 4, 5, 6, 7, 8, 9, WIDE + 1)
    [row] = wire.encode_transfers([one])
    raw = row.tobytes()
    assert raw[:16] == WIDE.to_bytes(16, "little")
    assert raw[64:80] == (WIDE + 1).to_bytes(16, "little")
    assert raw[80:104] == b"".join(number.to_bytes(8, "little") for number in (4, 8, 9))
    assert raw[104:] == bytes([6, 0, 0, 0, 5, 0, 0, 0])
    assert list(wire.numbers_of(np.array([row]), "id")) == [WIDE]


def test_facts_as_bytes():
    ledger = Ledger()
    ledger.open_accounts([Account(1, 2, 7, owner=WIDE, entity=3, opened_ms=0, user_data=4), Account(2, 2, 7)], 10, 1)
    ledger.amend_accounts([Amendment(1, overdraft_minor=9)], 11, 1)
    ledger.transfer([Transfer(WIDE, 1, 2, 50, 5, 2, timeout_ms=3, user_data=6)], 12, 2)
    ledger.transfer([Transfer(8, 1, 1, 50, 5, 256)], 20, 3)
    facts = ledger.facts()
    assert facts["kind"].tolist() == [4, 4, 5, 1, 2, 3]
    assert facts["applied_ms"].tolist() == [10, 10, 11, 12, 20, 20]
    assert facts["day"].tolist() == [1, 1, 1, 2, 3, 3]
    accounts = facts.view(wire.ACCOUNT_FACT)
    assert accounts["overdraft_minor"][:3].tolist() == [0, 0, 9]
    assert next(wire.numbers_of(accounts, "owner")) == WIDE
    assert facts["time_ms"].tolist()[3:5] == [3, 15]
    assert list(wire.numbers_of(facts, "reference"))[4] == WIDE
    assert list(wire.numbers_of(facts, "id"))[3:] == [WIDE, 0, 8]
    assert facts["amount_minor"].tolist()[3:5] == [50, 50]


@pytest.mark.parametrize(
    ("encode", "one"),
    [
        (wire.encode_transfers, Transfer(2**128, 1, 2, 3, 4)),
        (wire.encode_transfers, Transfer(-1, 1, 2, 3, 4)),
        (wire.encode_transfers, Transfer(1, 1, 2, 2**63, 4)),
        (wire.encode_transfers, Transfer(1, 1, 2, 3, 65_536)),
        (wire.encode_transfers, Transfer(1, 1, 2, 3, 4, flags=2**32)),
        (wire.encode_transfers, Transfer(1, 1, 2, 1.5, 4)),
        (wire.encode_transfers, Transfer(1, "1", 2, 1, 4)),
        (wire.encode_accounts, Account(1, 2**32, 7)),
        (wire.encode_accounts, Account(1, 1, 7, overdraft_minor=2**63)),
        (wire.encode_amendments, Amendment(1, flags=65_536)),
    ],
)
def test_a_number_without_a_place_is_refused(encode, one):
    what = {"Transfer": "transfer", "Account": "account", "Amendment": "amendment"}[type(one).__name__]
    with pytest.raises(InputError, match=f"row 1 of the batch: a number of the {what} has no place in its record"):
        encode([one._replace(**{"id": 1, **({"debit": 1, "credit": 2, "amount_minor": 3, "code": 4, "flags": 0}
               if what == "transfer" else {"flags": 0, "overdraft_minor": 0})}
               | ({"asset": 1} if what == "account" else {})), one])  # fmt: skip


def test_a_batch_that_is_too_long_is_refused():
    batch = [Transfer(one, 1, 2, 3, 4) for one in range(1, BATCH_MAX + 2)]
    with pytest.raises(
        InputError, match=r"the batch is too long; was 8191 rows; allowed: up to 8190\. Send it in parts"
    ):
        wire.encode_transfers(batch)
    assert len(wire.encode_transfers(batch[:-1])) == BATCH_MAX


def test_answers_as_values():
    rows = np.zeros(3, wire.TRANSFER_ANSWER)
    rows["outcome"] = 0, 39, 91
    rows["amount_minor"], rows["applied_ms"] = 5, 6
    rows["debit_debits_posted_hi"], rows["credit_credits_held_lo"] = 1, 2**64 - 1
    applied, exists, refused = wire.decode_answers(rows)
    assert applied == Answer(TransferOutcome.APPLIED, 5, 6, Balance(2**64), Balance(0, 0, 0, 2**64 - 1))
    assert exists == applied._replace(outcome=TransferOutcome.EXISTS)
    assert refused == Answer(TransferOutcome.DEBIT_ACCOUNT_NOT_FOUND)
