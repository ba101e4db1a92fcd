"""Statements as a bank would write them: camt.053 in any version, and MT940, of the same lines."""

from __future__ import annotations

from datetime import date, timedelta

JUNE_3 = 19_877


def day(number):
    return date(1970, 1, 1) + timedelta(days=number)


def element(name, *inside, **attributes):
    written = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(map(str, inside))}</{name}>\n"


def amount_of(minor, places=2):
    """Major units, without a sign."""
    text = f"{abs(minor):0{places + 1}d}"
    return f"{text[:-places]}.{text[-places:]}" if places else text


def money(minor, currency="EUR", places=2):
    return element("Amt", amount_of(minor, places), Ccy=currency) + element(
        "CdtDbtInd", "CRDT" if minor >= 0 else "DBIT"
    )


def balance(code, minor, number=JUNE_3, sub="", currency="EUR", places=2):
    kind = element("CdOrPrtry", element("Cd", code)) + (element("SubTp", element("Cd", sub)) if sub else "")
    return element(
        "Bal", element("Tp", kind), money(minor, currency, places), element("Dt", element("Dt", day(number)))
    )


def entry(minor, details="", status="BOOK", booked=JUNE_3, value=JUNE_3, more="", version=8, currency="EUR", places=2):
    state = element("Sts", element("Cd", status) if version >= 8 else status)
    days = element("BookgDt", element("Dt", day(booked))) + element("ValDt", element("Dt", day(value)))
    inside = element("NtryDtls", details) if details else ""
    return element("Ntry", money(minor, currency, places), more, state, days, inside)


def transaction(minor=None, version=8, places=2, currency="EUR", **references):
    refs = element("Refs", *(element(name, text) for name, text in references.items()))
    if minor is None:
        return element("TxDtls", refs)
    if version < 4:
        amount = element("Amt", amount_of(minor, places), Ccy=currency)
        return element("TxDtls", refs, element("AmtDtls", element("TxAmt", amount)))
    return element("TxDtls", refs, money(minor, currency, places))


def statement(*inside, id="S1", iban="DE89370400440532013000", number="7", currency="EUR"):
    account = element("Acct", element("Id", element("IBAN", iban)), element("Ccy", currency))
    return element("Stmt", element("Id", id), element("ElctrncSeqNb", number), account, *inside)


def document(*statements, version=8, header=""):
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02d}"
    head = element("GrpHdr", element("MsgId", "M1"), header)
    text = element("Document", element("BkToCstmrStmt", head, *statements), xmlns=namespace)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def pagination(number, is_last):
    return element("MsgPgntn", element("PgNb", str(number)), element("LastPgInd", str(is_last).lower()))


def comma(minor, places=2):
    text = amount_of(minor, places).replace(".", ",")
    return text if "," in text else f"{text},"


def mt940_balance(tag, minor, number=JUNE_3, currency="EUR", places=2):
    mark = "C" if minor >= 0 else "D"
    return f":{tag}:{mark}{day(number):%y%m%d}{currency}{comma(minor, places)}"


def mt940_line(minor, own="NONREF", servicer="", booked=JUNE_3, value=JUNE_3, mark="", places=2):
    mark = mark or ("C" if minor >= 0 else "D")
    bank = f"//{servicer}" if servicer else ""
    return f":61:{day(value):%y%m%d}{day(booked):%m%d}{mark}{comma(minor, places)}NTRF{own}{bank}"


def mt940(*fields, id="S1", account="DE89370400440532013000", number="7/1"):
    return "\n".join([f":20:{id}", f":25:{account}", f":28C:{number}", *fields, "-"])
