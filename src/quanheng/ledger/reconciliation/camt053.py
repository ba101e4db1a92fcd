"""camt.053 of ISO 20022, the statement of a bank to its customer, versions 02 to 13. Nothing outside is opened.

One entry is one line; an entry with several transactions whose amounts sum to it is a line for each, with the batch's
reference. Amounts are of the account's currency; what another currency came to is the bank's to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from lxml import etree

from quanheng.kernel.errors import InputError, Problem
from quanheng.kernel.money import Money
from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.reconciliation.statements import BankLine, BankStatement, StatedBalance

if TYPE_CHECKING:
    Xml = etree._Element

VERSIONS = range(2, 14)
_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.(\d{3})\.001\.(\d{2})")
_DECIMAL = re.compile(r"\d{1,18}(\.\d{1,17})?|\.\d{1,17}")
_SIGNS = {"CRDT": 1, "DBIT": -1}
_OPENING, _CLOSING = ("OPBD", "PRCD", "ITBD"), ("CLBD", "ITBD")
_UNKNOWN = frozenset({"NOTPROVIDED", "NOT PROVIDED", "NONREF"})


def read_camt053(raw: bytes, file: str) -> tuple[list[BankStatement], list[Problem]]:
    """Pages of statements, and every fault. `file` is its name in messages."""
    reader = _Reader(file)
    root = reader.root(raw)
    documents = [] if root is None else [one for one in root.iter() if reader.is_document(one)]
    pages = [page for one in documents for page in reader.message(one)]
    if root is not None and not documents and not reader.problems:
        reader.problem(root, "there is no statement in the file", str(root.tag), "a Document of camt.053.001.02 to 13")
    return pages, reader.problems


class _Broken(Exception):
    """The fault is told; the element that has it is left out."""


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.problems, self.namespace = file, list[Problem](), ""

    def problem(self, node: Xml | None, what: str, found: str = "", known: str = "", cure: str = "") -> None:
        """Note a fault."""
        where = "" if node is None else self.where(node)
        cure = cure or "Ask the bank for the statement again."
        self.problems.append(Problem(self.file, where, what, found, known, cure))

    def where(self, node: Xml) -> str:
        """Line and path of an element, such as `line 41, Stmt/Ntry/Amt`."""
        names = [etree.QName(one).localname for one in (*reversed(list(node.iterancestors())), node)]
        names = names[names.index("Stmt") :] if "Stmt" in names else names[-1:]
        return f"line {node.sourceline}, {'/'.join(names)}"

    # --- the file

    def root(self, raw: bytes) -> Xml | None:
        """The root of the file, or None where it is no XML that is read."""
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
            remove_pis=True,
        )  # fmt: skip
        try:
            root = etree.fromstring(raw, parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            self.problem(None, "the statement is not well-formed XML", str(error), "", "Ask the bank for it again.")
            return None
        if doctype := str(getattr(root.getroottree().docinfo, "doctype", "") or ""):
            what = "the statement declares a document type"
            self.problem(None, what, doctype, "no DOCTYPE", "Do not trust the file.")
            return None
        return root

    def is_document(self, node: Xml) -> bool:
        """Whether an element is a statement message; other messages of the family, and other versions, are faults."""
        name = etree.QName(node)
        if name.localname != "Document":
            return False
        found = _NAMESPACE.fullmatch(name.namespace or "")
        if found is None or found[1] != "053" or int(found[2]) not in VERSIONS:
            known = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{VERSIONS[0]:02d} to {VERSIONS[-1]}"
            self.problem(node, "this is no bank statement in camt.053", name.namespace or "no namespace", known,
                         "Ask the bank for camt.053.")  # fmt: skip
            return False
        return True

    def message(self, document: Xml) -> list[BankStatement]:
        """All statements of a message. Its first and last one may go on in other messages, as its page says."""
        self.namespace = etree.QName(document).namespace or ""
        statements = document.findall(self._path("BkToCstmrStmt/Stmt"))
        number, is_last = self._page(self._one(document, "BkToCstmrStmt/GrpHdr/MsgPgntn"))
        found = []
        for place, node in enumerate(statements, 1):
            own, own_last = self._page(self._one(node, "StmtPgntn"))
            continues = own not in ("", "1") or (number not in ("", "1") and place == 1)
            continued = not own_last or (not is_last and place == len(statements))
            page = self._statement(node, own or number, continues, continued)
            if page is not None:
                found.append(page)
        return found

    def _page(self, page: Any) -> tuple[str, bool]:
        """Number of a page, and whether it is the last one."""
        if page is None:
            return "", True
        return self._text(page, "PgNb"), self._text(page, "LastPgInd") not in ("false", "0")

    # --- a statement

    def _statement(self, node: Xml, page: str, continues: bool, continued: bool) -> BankStatement | None:
        account = self._text(node, "Acct/Id/IBAN") or self._text(node, "Acct/Id/Othr/Id")
        stated = next((one.get("Ccy", "") for one in node.findall(self._path("Bal/Amt"))), "")
        currency = self._text(node, "Acct/Ccy") or stated
        if not account or not currency:
            what = "the statement does not say of which account and currency it is"
            self.problem(node, what, f"{account or 'no account'}, {currency or 'no currency'}", "Acct/Id and Acct/Ccy")
            return None
        before, lines, pending = len(self.problems), list[BankLine](), 0
        opening = self._balance(node, _OPENING, currency)
        closing = self._balance(node, _CLOSING, currency)
        for place, entry in enumerate(node.findall(self._path("Ntry")), 1):
            try:
                if self._is_booked(entry):
                    lines += self._entry(entry, str(place), currency)
                else:
                    pending += 1
            except _Broken:
                continue
        number = self._text(node, "ElctrncSeqNb") or self._text(node, "LglSeqNb")
        continues = self._is_intermediate(opening) or (opening is None and continues)
        continued = self._is_intermediate(closing) or (closing is None and continued)
        for kind, balance, may_lack in (("opening", opening, continues), ("closing", closing, continued)):
            if balance is None and not may_lack and len(self.problems) == before:
                self.problem(node, f"the statement has no {kind} balance", "none",
                             "a balance OPBD or PRCD, and CLBD")  # fmt: skip
        self._check_summary(node, currency, len(self.problems) == before)
        return BankStatement(
            self.file, self.where(node), account, currency, self._text(node, "Id"), number, page,
            opening and opening[0], closing and closing[0], tuple(lines), continues, continued, pending,
            len(self.problems) == before,
        )  # fmt: skip

    def _balance(self, node: Xml, codes: Sequence[str], currency: str) -> tuple[StatedBalance, bool] | None:
        """The balance of the first of the codes that is there, and whether it is an intermediate one."""
        found = node.findall(self._path("Bal"))
        for code in codes:
            named = [one for one in found if self._text(one, "Tp/CdOrPrtry/Cd") == code]
            if named:
                one = named[-1] if code == "ITBD" and codes == _CLOSING else named[0]
                try:
                    amount = self._signed(one, currency)
                    where = self.where(one)
                    is_part = code == "ITBD" or self._text(one, "Tp/SubTp/Cd") == "INTM"
                    return StatedBalance(amount, self._day(one, "Dt"), where), is_part
                except _Broken:
                    return None
        return None

    @staticmethod
    def _is_intermediate(balance: tuple[StatedBalance, bool] | None) -> bool:
        return balance is not None and balance[1]

    def _check_summary(self, node: Xml, currency: str, is_whole: bool) -> None:
        """The counts and sums that the bank states besides, where it does, of entries that could all be read."""
        if not is_whole:
            return
        entries = node.findall(self._path("Ntry"))
        for name, sign in (("TtlNtries", ""), ("TtlCdtNtries", "CRDT"), ("TtlDbtNtries", "DBIT")):
            total = self._one(node, f"TxsSummry/{name}")
            if total is None:
                continue
            chosen = [one for one in entries if sign in ("", self._text(one, "CdtDbtInd"))]
            stated = self._text(total, "NbOfNtries")
            if stated and stated != str(len(chosen)):
                self.problem(total, "the bank counts other entries than there are", stated, str(len(chosen)))
                return
            summed = self._one(total, "Sum")
            if summed is None:
                continue
            try:
                known = sum(self._minor(one, "Amt", currency) for one in chosen)
                if self._parsed(summed, currency) != known:
                    self.problem(summed, "the bank's sum of entries is not theirs", summed.text or "", f"{known} minor")
            except _Broken:
                return

    # --- an entry

    def _is_booked(self, entry: Xml) -> bool:
        status = self._text(entry, "Sts/Cd") or self._text(entry, "Sts") or self._text(entry, "Sts/Prtry")
        if status not in ("BOOK", "PDNG", "INFO", "FUTR"):
            raise self._broken(entry, "the status of an entry is unknown", status or "none", "BOOK, PDNG, INFO, FUTR")
        return status == "BOOK"

    def _entry(self, entry: Xml, id: str, currency: str) -> list[BankLine]:
        amount = self._signed(entry, currency)
        value = self._one(entry, "ValDt")
        booked = self._day(entry, "BookgDt" if self._one(entry, "BookgDt") is not None or value is None else "ValDt")
        line = BankLine(
            id, self.where(entry), amount, booked, booked if value is None else self._day(entry, "ValDt"),
            servicer=self._reference(entry, "AcctSvcrRef"), text=self._text(entry, "AddtlNtryInf"),
            reversal=self._text(entry, "RvslInd") in ("true", "1"),
        )  # fmt: skip
        blocks = entry.findall(self._path("NtryDtls"))
        details = [(block, one) for block in blocks for one in block.findall(self._path("TxDtls"))]
        batch = next((found for block in blocks if (found := self._batch(block))), "")
        if len(details) <= 1:
            line = self._with(line, details[0][1]) if details else line
            return [line._replace(own=batch or line.own)]
        parts = [self._part(line, one, currency, place) for place, (_, one) in enumerate(details, 1)]
        if None in parts:
            return [line._replace(own=batch)]
        known = [part for part in parts if part is not None]
        total = sum(part.amount_minor for part in known)
        if total == amount:
            return [part._replace(batch=batch or line.servicer) for part in known]
        if not self._has_charges(entry):
            what = "the transactions of an entry do not sum to it"
            self.problem(entry, what, f"{total} minor units", str(amount), "It is taken as one line.")
        return [line._replace(own=batch)]

    def _part(self, line: BankLine, details: Xml, currency: str, place: int) -> BankLine | None:
        """A transaction of an entry; None if it has no amount in the account's currency."""
        name = next((path for path in ("Amt", "AmtDtls/TxAmt/Amt") if self._one(details, path) is not None), "")
        node = self._one(details, name) if name else None
        if node is None or node.get("Ccy") != currency:
            return None
        sign = self._text(details, "CdtDbtInd")
        whole = 1 if line.amount_minor >= 0 else -1
        amount = self._parsed(node, currency) * _SIGNS.get(sign, whole)
        part = self._with(line, details)
        return part._replace(id=f"{line.id}/{place}", where=self.where(details), amount_minor=amount)

    def _with(self, line: BankLine, details: Xml) -> BankLine:
        """The line with what is said of its one transaction."""
        own = self._reference(details, "Refs/InstrId") or self._reference(details, "Refs/PmtInfId")
        notes = [one.text or "" for one in details.findall(self._path("RmtInf/Ustrd"))]
        return line._replace(
            end_to_end=self._reference(details, "Refs/EndToEndId"), own=own,
            structured=self._reference(details, "RmtInf/Strd/CdtrRefInf/Ref"),
            servicer=self._reference(details, "Refs/AcctSvcrRef") or line.servicer,
            text=" ".join(notes) or self._text(details, "AddtlTxInf") or line.text,
        )  # fmt: skip

    def _batch(self, block: Xml) -> str:
        return self._reference(block, "Btch/PmtInfId") or self._reference(block, "Btch/MsgId")

    def _has_charges(self, entry: Xml) -> bool:
        return any(etree.QName(one).localname in ("Chrgs", "ChrgsInf") for one in entry.iter())

    # --- values

    def _signed(self, node: Xml, currency: str) -> int:
        sign = self._text(node, "CdtDbtInd")
        if sign not in _SIGNS:
            raise self._broken(node, "it is not said whether money came in or went out", sign or "none", "CRDT or DBIT")
        return _SIGNS[sign] * self._minor(node, "Amt", currency)

    def _minor(self, node: Xml, path: str, currency: str) -> int:
        amount = self._one(node, path)
        if amount is None:
            raise self._broken(node, "an amount is missing", "none", path)
        if amount.get("Ccy") != currency:
            raise self._broken(amount, "an amount is in another currency", str(amount.get("Ccy")), currency)
        return self._parsed(amount, currency)

    def _parsed(self, amount: Xml, currency: str) -> int:
        text = (amount.text or "").strip()
        try:
            if _DECIMAL.fullmatch(text):
                return Money.parse(f"{text} {currency}").minor
        except InputError:
            pass
        known = f"a number without sign, such as 12.5, exact in {currency}"
        raise self._broken(amount, "an amount cannot be read", repr(text), known)

    def _day(self, node: Xml, path: str) -> int:
        """The day that is written, of a date or of a moment in the bank's own time."""
        text = self._text(node, f"{path}/Dt") or self._text(node, f"{path}/DtTm")
        try:
            return day_of(date.fromisoformat(text[:10]))
        except ValueError:
            raise self._broken(node, "a date cannot be read", repr(text), f"{path} as 2024-06-03") from None

    def _reference(self, node: Xml, path: str) -> str:
        text = self._text(node, path)
        return "" if text.upper() in _UNKNOWN else text

    def _broken(self, node: Xml, what: str, found: str, known: str) -> _Broken:
        self.problem(node, what, found, known)
        return _Broken()

    def _path(self, names: str) -> str:
        return "/".join(f"{{{self.namespace}}}{name}" for name in names.split("/"))

    def _one(self, node: Xml, path: str) -> Any:
        return node.find(self._path(path))

    def _text(self, node: Xml, path: str) -> str:
        return (node.findtext(self._path(path)) or "").strip()
