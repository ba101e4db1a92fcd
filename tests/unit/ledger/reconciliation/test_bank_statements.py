"""Statements in camt.053 and MT940: what is read, pages and batches, a row for each fault, files of others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bank_files import (
    JUNE_3,
    balance,
    document,
    element,
    entry,
    mt940,
    mt940_balance,
    mt940_line,
    pagination,
    statement,
    transaction,
)

from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.ledger.reconciliation.matching import reconcile
from quanheng.ledger.reconciliation.rules import Item, MatchKind, Rules
from quanheng.ledger.reconciliation.statements import items_of, read_bank_statements

IBAN = "DE89370400440532013000"
SAMPLES = Path(os.environ.get("QUANHENG_SHARED", Path(__file__).parents[5] / "shared")) / "iso20022"
OPEN, CLOSE = balance("OPBD", 100_00), balance("CLBD", 150_00)
DETAILS = transaction(EndToEndId="E-1", InstrId="I-1", AcctSvcrRef="B-1")


def read(tmp_path, *texts):
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"statement-{number}")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_bank_statements(paths)


def only(found):
    assert found.problems == ()
    [one] = found.statements
    return one


# --- camt.053


@pytest.mark.parametrize("version", range(2, 14))
def test_a_statement_of_each_version(tmp_path, version):
    text = document(statement(OPEN, CLOSE, entry(50_00, DETAILS, value=JUNE_3 + 2, version=version)), version=version)
    one = only(read(tmp_path, text))
    assert (one.account, one.currency, one.id, one.number) == (IBAN, "EUR", "S1", "7")
    assert (one.opening.amount_minor, one.closing.amount_minor, one.closing.day) == (100_00, 150_00, JUNE_3)
    [line] = one.lines
    assert (line.id, line.amount_minor, line.booked_day, line.value_day) == ("1/1", 50_00, JUNE_3, JUNE_3 + 2)
    assert (line.end_to_end, line.own, line.servicer, line.batch) == ("E-1", "I-1", "B-1", "")
    assert line.where.endswith("Stmt/Ntry")


@pytest.mark.parametrize(("currency", "places", "minor"), [("JPY", 0, 1_234), ("KWD", 3, 1_234), ("EUR", 2, -1_234)])
def test_amounts_are_minor_units_of_the_currency(tmp_path, currency, places, minor):
    of = {"currency": currency, "places": places}
    inside = balance("OPBD", 0, **of), balance("CLBD", minor, **of), entry(minor, **of)
    assert only(read(tmp_path, document(statement(*inside, currency=currency)))).lines[0].amount_minor == minor


def test_a_batch_whose_parts_sum_to_it_is_its_parts(tmp_path):
    batch = element("Btch", element("PmtInfId", "RUN 17"))
    parts = [transaction(-20_00, EndToEndId="E-1"), transaction(-30_00, EndToEndId="NOTPROVIDED")]
    text = document(statement(balance("OPBD", 50_00), balance("CLBD", 0), entry(-50_00, batch + "".join(parts))))
    lines = only(read(tmp_path, text)).lines
    assert [(one.id, one.amount_minor, one.end_to_end, one.batch) for one in lines] == [
        ("1/1/1", -20_00, "E-1", "RUN 17"), ("1/1/2", -30_00, "", "RUN 17"),
    ]  # fmt: skip
    # One posting of the ledger that has the batch's name, or one for each part: both match.
    items = items_of(read(tmp_path, text).statements)
    whole = reconcile([Item("a", -50_00, JUNE_3, "RUN 17")], items, Rules())
    assert [one.kind for one in whole.matches] == [MatchKind.BATCH]
    each = reconcile([Item("a", -20_00, JUNE_3, "E-1"), Item("b", -30_00, JUNE_3, "E-2")], items, Rules())
    assert [one.kind for one in each.matches] == [MatchKind.REFERENCE, MatchKind.AMOUNT]


def test_a_part_that_goes_the_other_way_has_its_own_sign(tmp_path):
    parts = transaction(70_00, EndToEndId="E-1") + transaction(-20_00, EndToEndId="E-2")
    lines = only(read(tmp_path, document(statement(OPEN, CLOSE, entry(50_00, parts))))).lines
    assert [one.amount_minor for one in lines] == [70_00, -20_00]


@pytest.mark.parametrize(
    "details",
    [
        element("Btch", element("MsgId", "RUN 17")),
        element("Btch", element("MsgId", "RUN 17")) + transaction() + transaction(),
        element("Btch", element("MsgId", "RUN 17")) + transaction(30_00) + transaction(21_00, currency="USD"),
        element("Btch", element("MsgId", "RUN 17")) + transaction(30_00) + transaction(21_00)
        + element("Chrgs", element("TtlChrgsAndTaxAmt", "1.00")),
    ],
    ids=["no details", "no amounts", "another currency", "charges explain the difference"],
)  # fmt: skip
def test_a_batch_whose_parts_are_not_known_is_one_line(tmp_path, details):
    [line] = only(read(tmp_path, document(statement(OPEN, CLOSE, entry(50_00, details))))).lines
    assert (line.amount_minor, line.own, line.batch) == (50_00, "RUN 17", "")


def test_entries_that_are_not_booked_are_no_lines(tmp_path):
    inside = OPEN, CLOSE, entry(50_00), entry(9_00, status="PDNG"), entry(8_00, status="INFO")
    one = only(read(tmp_path, document(statement(*inside))))
    assert (len(one.lines), one.pending) == (1, 2)


def test_a_reversal_reverses_the_line_that_it_names(tmp_path):
    back = element("RvslInd", "true")
    refs = transaction(EndToEndId="E-1")
    inside = balance("OPBD", 0), balance("CLBD", 5), entry(7_00, refs), entry(-7_00, refs, more=back), entry(5)
    found = read(tmp_path, document(statement(*inside)))
    assert [line.reversal for line in only(found).lines] == [False, True, False]
    items = items_of(found.statements)
    assert [one.reverses for one in items] == ["", "1/1", ""]
    assert [one.kind for one in reconcile([Item("a", 5, JUNE_3)], items, Rules()).matches] == [
        MatchKind.REVERSED, MatchKind.AMOUNT,
    ]  # fmt: skip


def test_a_reversal_of_nothing_that_is_here_is_an_item_like_others(tmp_path):
    inside = OPEN, CLOSE, entry(50_00, transaction(EndToEndId="E-1"), more=element("RvslInd", "1"))
    assert items_of(read(tmp_path, document(statement(*inside))).statements)[0].reverses == ""


def test_balances_by_value_date_add_up_without_what_is_valued_later(tmp_path):
    """As PostFinance states them: what was booked with a later value is not in the closing balance."""
    first = statement(OPEN, balance("CLBD", 120_00), entry(20_00), entry(30_00, value=JUNE_3 + 1))
    second = statement(balance("OPBD", 150_00, JUNE_3 + 1), balance("CLBD", 150_00, JUNE_3 + 1), id="S2", number="8")
    assert read(tmp_path, document(first, second)).problems == ()


def test_statements_of_several_accounts_and_days_in_one_file(tmp_path):
    other = statement(balance("OPBD", 5), balance("CLBD", 5), iban="FI7433010001222090", currency="EUR")
    next_day = statement(balance("PRCD", 150_00), balance("CLBD", 149_00), entry(-1_00), id="S2", number="8")
    found = read(tmp_path, document(statement(OPEN, CLOSE, entry(50_00)), other, next_day))
    assert found.problems == ()
    assert [(one.account[:2], len(one.lines)) for one in found.statements] == [("DE", 1), ("FI", 0), ("DE", 1)]
    assert [line.id for one in found.statements for line in one.lines] == ["1/1", "3/1"]


def test_pages_in_several_messages_are_one_statement(tmp_path):
    """Balances on the first and the last page only; entries are counted on."""
    pages = [
        document(statement(OPEN, entry(20_00)), header=pagination(1, False)),
        document(statement(entry(10_00)), header=pagination(2, False)),
        document(statement(CLOSE, entry(20_00)), header=pagination(3, True)),
    ]
    one = only(read(tmp_path, *pages))
    assert [line.id for line in one.lines] == ["1/1", "1/2", "1/3"]
    assert "the page after this one is missing" in str(read(tmp_path, *pages[:2]).problems[0])
    assert "the page before this one is missing" in str(read(tmp_path, *pages[1:]).problems[0])


def test_pages_with_intermediate_balances(tmp_path):
    first = statement(OPEN, balance("CLBD", 120_00, sub="INTM"), entry(20_00))
    second = statement(balance("OPBD", 120_00, sub="INTM"), CLOSE, entry(30_00))
    one = only(read(tmp_path, document(first, second)))
    assert (one.opening.amount_minor, one.closing.amount_minor, len(one.lines)) == (100_00, 150_00, 2)
    wrong = statement(balance("OPBD", 121_00, sub="INTM"), CLOSE, entry(30_00))
    [problem] = read(tmp_path, document(first, wrong)).problems
    assert "the page does not begin where the one before ended; was 12100; allowed: 12000" in str(problem)


def test_an_envelope_around_the_document(tmp_path):
    inside = document(statement(OPEN, CLOSE, entry(50_00))).partition("?>")[2]
    text = element("BizMsgEnvlp", element("AppHdr"), inside, xmlns="urn:of-a-bank")
    assert len(only(read(tmp_path, text)).lines) == 1


NO_CURRENCY = statement(OPEN, CLOSE).replace('<Ccy>EUR</Ccy>\n', "").replace(' Ccy="EUR"', "")  # fmt: skip
GOOD = entry(50_00)
# fault -> text of the file, what the problem says; the rest is read
CAMT_FAULTS = [
    ("<Document>", "the statement is not well-formed XML"),
    ('<!DOCTYPE a [<!ENTITY b "c">]>' + document(statement(OPEN, CLOSE, GOOD)).partition("?>")[2],
     "the statement declares a document type; was <!DOCTYPE Document>; allowed: no DOCTYPE. Do not trust the file."),
    ("<a/>", "there is no statement in the file; was a; allowed: a Document of camt.053.001.02 to 13"),
    (document(version=1), "this is no bank statement in camt.053; was urn:iso:std:iso:20022:tech:xsd:camt.053.001.01"),
    (document(version=8).replace("camt.053", "camt.054"), "Ask the bank for camt.053."),
    (document(NO_CURRENCY), f"account and currency it is; was {IBAN}, no currency; allowed: Acct/Id and Acct/Ccy"),
    (document(statement(CLOSE, GOOD)), "the statement has no opening balance"),
    (document(statement(OPEN, GOOD)), "the statement has no closing balance"),
    (document(statement(OPEN, balance("CLBD", 151_00), GOOD)),
     "the lines of statement 7 and its balances do not add up; was 5000 minor units in 1 lines; allowed: 5100"),
    (document(statement(OPEN, CLOSE, GOOD), statement(CLOSE.replace("CLBD", "OPBD"), balance("CLBD", 150_00), id="2"),
              statement(balance("OPBD", 1), balance("CLBD", 1), id="3")),
     "the statement does not begin where the one before ended; was 1; allowed: 15000, of line"),
    (document(statement(OPEN, CLOSE, GOOD), statement(OPEN, CLOSE, GOOD)), "the statement stands twice; was S1"),
    (document(statement(OPEN, CLOSE, GOOD.replace("50.00", "50.001"))),
     "Ntry/Amt: an amount cannot be read; was '50.001'; allowed: a number without sign, such as 12.5, exact in EUR"),
    (document(statement(OPEN, CLOSE, GOOD.replace("50.00", "-50.00"))), "an amount cannot be read; was '-50.00'"),
    (document(statement(OPEN, CLOSE, GOOD.replace('Ccy="EUR"', 'Ccy="USD"'))),
     "an amount is in another currency; was USD; allowed: EUR"),
    (document(statement(OPEN, CLOSE, GOOD.replace("Amt", "Amnt"))), "an amount is missing; was none; allowed: Amt"),
    (document(statement(OPEN, CLOSE, GOOD.replace("CRDT", "X"))),
     "it is not said whether money came in or went out; was X; allowed: CRDT or DBIT"),
    (document(statement(OPEN, CLOSE, GOOD.replace("2024-06-03", "3.6.24"))),
     "Stmt/Ntry: a date cannot be read; was '3.6.24'; allowed: BookgDt as 2024-06-03"),
    (document(statement(OPEN, CLOSE, GOOD.replace("BOOK", "DONE"))),
     "the status of an entry is unknown; was DONE; allowed: BOOK, PDNG, INFO, FUTR"),
    (document(statement(OPEN, CLOSE, entry(50_00, transaction(30_00) + transaction(21_00)))),
     "the transactions of an entry do not sum to it; was 5100 minor units; allowed: 5000. It is taken as one line."),
    (document(statement(OPEN, CLOSE, GOOD, element("TxsSummry", element("TtlNtries", element("NbOfNtries", "2"))))),
     "the bank counts other entries than there are; was 2; allowed: 1"),
    (document(statement(OPEN, CLOSE, GOOD, element("TxsSummry", element("TtlCdtNtries", element("Sum", "51"))))),
     "the bank's sum of entries is not theirs; was 51; allowed: 5000 minor"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), CAMT_FAULTS, ids=[says[:60] for _, says in CAMT_FAULTS])
def test_each_fault_is_told_once_with_its_place(tmp_path, text, says):
    [problem] = read(tmp_path, text).problems
    assert says in str(problem)
    assert str(problem).startswith(str(tmp_path / "statement-0"))


def test_several_faults_are_told_each_and_the_rest_goes_on(tmp_path):
    bad = [GOOD.replace("50.00", "x"), GOOD.replace("CRDT", "X"), GOOD.replace("2024-06-03", "")]
    second = statement(balance("OPBD", 150_00), balance("CLBD", 150_00), id="S2", number="8")
    found = read(tmp_path, document(statement(OPEN, CLOSE, *bad, GOOD), second))
    assert [one.message for one in found.problems] == [
        "an amount cannot be read", "it is not said whether money came in or went out", "a date cannot be read",
    ]  # fmt: skip
    assert [len(one.lines) for one in found.statements] == [1, 0]
    assert [one.is_whole for one in found.statements] == [False, True]


def test_entities_are_not_opened(tmp_path):
    text = (
        f'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>{document(statement(OPEN, CLOSE)).partition("?>")[2]}'
    )
    found = read(tmp_path, text)
    assert found.statements == ()
    assert "root:" not in str(found.problems)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="the statement cannot be opened; was No such file"):
        read_bank_statements([tmp_path / "none.xml"])


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples of ISO 20022 are not here")
@pytest.mark.parametrize("name", ["FI_camt_053_sample.xml.xml", "camt.053_P_CH*", "*camt.054*", "*pain*", "Inter*"])
def test_files_of_banks(name):
    [path] = SAMPLES.glob(name) if "pain" not in name else sorted(SAMPLES.glob(name))[:1]
    found = read_bank_statements([path])
    if "053" not in path.name:
        assert [one.message for one in found.problems] == ["this is no bank statement in camt.053"]
        return
    one = only(found)
    assert one.is_whole
    assert len({line.id for line in one.lines}) == len(one.lines) == {"FI": 13, "CH": 5}[one.account[:2]]


# --- MT940


def test_without_its_package_mt940_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mt940", None)
    says = r"a statement in MT940 needs the package 'mt-940'.*pip install 'quanheng\[payments\]'"
    with pytest.raises(MissingExtra, match=says):
        read(tmp_path, mt940())


@pytest.mark.parametrize("text", ["", "date;amount\n", "-\n"])
def test_a_file_that_is_neither_needs_no_package(tmp_path, text):
    [problem] = read(tmp_path, text).problems
    says = "there is no statement in the file; was no field :20:; allowed: MT940, or camt.053 in XML"
    assert says in str(problem)


@pytest.fixture
def library():
    return pytest.importorskip("mt940", reason="the extra `payments` is not installed")


BEGIN, END = mt940_balance("60F", 100_00), mt940_balance("62F", 150_00)


@pytest.mark.usefixtures("library")
class TestMt940:
    def test_a_statement(self, tmp_path):
        fields = BEGIN, mt940_line(50_00, "I-1", "B-1", booked=JUNE_3, value=JUNE_3 + 2), ":86:thanks\nfor it", END
        one = only(read(tmp_path, mt940(*fields)))
        assert (one.account, one.currency, one.id, one.number) == (IBAN, "EUR", "S1", "7")
        [line] = one.lines
        assert (line.id, line.where, line.amount_minor) == ("1/1", "line 5", 50_00)
        assert (line.booked_day, line.value_day) == (JUNE_3, JUNE_3 + 2)
        assert (line.own, line.servicer, line.text) == ("I-1", "B-1", "thanks for it")

    @pytest.mark.parametrize(
        ("details", "end_to_end", "own", "text"),
        [
            ("166?00GUTSCHRIFT?20EREF+E-12?21KREF+K-9?22SVWZ+Rechnung 12?32ANNA", "E-12", "K-9", "Rechnung 12"),
            ("166?00GUTSCHRIFT?20EREF+NOTPROVIDED?22SVWZ+Rechnung 12", "", "", "Rechnung 12"),
            ("/TRTP/SEPA OVERBOEKING/NAME/ANNA/REMI/Invoice 12/EREF/E-12", "E-12", "", "Invoice 12"),
            ("/EREF/E-\n12//PREF/P-1/REMI/Invoice 12", "E-12/", "P-1", "Invoice 12"),
            ("Invoice 12", "", "", "Invoice 12"),
        ],
    )
    def test_structured_information(self, tmp_path, details, end_to_end, own, text):
        [line] = only(read(tmp_path, mt940(BEGIN, mt940_line(50_00), f":86:{details}", END))).lines
        assert (line.end_to_end, line.own, line.text) == (end_to_end, own, text)

    @pytest.mark.parametrize(("mark", "sign", "back"), [("C", 1, 0), ("D", -1, 0), ("RC", -1, 1), ("RD", 1, 1)])
    def test_marks_of_entries_and_reversals(self, tmp_path, mark, sign, back):
        ends = mt940_balance("62F", 100_00 + sign * 50_00)
        [line] = only(read(tmp_path, mt940(BEGIN, mt940_line(50_00, mark=mark), ends))).lines
        assert (line.amount_minor, line.reversal) == (sign * 50_00, bool(back))

    def test_a_letter_of_the_currency_may_follow_the_mark(self, tmp_path):
        [line] = only(read(tmp_path, mt940(BEGIN, mt940_line(50_00, mark="CR"), END))).lines
        assert (line.amount_minor, line.reversal) == (50_00, False)

    @pytest.mark.parametrize(("booked", "value"), [(19_722, 19_723), (19_723, 19_722), (19_782, 19_782)])
    def test_a_day_of_entry_has_the_year_that_is_nearest(self, tmp_path, booked, value):
        """New Year between the two; the 29th of February."""
        ends = mt940_balance("62F", 150_00, 19_800)
        [line] = only(read(tmp_path, mt940(BEGIN, mt940_line(50_00, booked=booked, value=value), ends))).lines
        assert (line.booked_day, line.value_day) == (booked, value)

    def test_pages_messages_and_an_envelope(self, tmp_path):
        first = mt940(BEGIN, mt940_line(20_00), mt940_balance("62M", 120_00))
        second = mt940(mt940_balance("60M", 120_00), mt940_line(30_00), END, ":86:for the statement", number="7/2")
        day_2 = mt940(mt940_balance("60F", 150_00), mt940_balance("62F", 150_00), id="S2", number="8")
        heads = "{1:F01BANKDEFFAXXX0000000000}{2:O9401200240603BANKDEFFAXXX00000000002406031200N}{4:\n"
        text = "\r\n".join(heads + one[:-1] + "-}{5:{CHK:0}}" for one in (first, second, day_2))
        found = read(tmp_path, text.encode("latin-1"))
        assert found.problems == ()
        assert [[line.id for line in one.lines] for one in found.statements] == [["1/1", "1/2"], []]
        [problem] = read(tmp_path, first).problems
        assert "the page after this one is missing; was 7" in str(problem)

    def test_a_file_in_latin_1_with_letters(self, tmp_path):
        text = mt940(BEGIN, mt940_line(50_00), ":86:für Änne", END)
        assert only(read(tmp_path, text.encode("latin-1"))).lines[0].text == "für Änne"
        assert only(read(tmp_path, text.encode("utf-8-sig"))).lines[0].text == "für Änne"

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ([], "the statement does not say of which account and currency it is"),
            ([BEGIN, mt940_line(50_00)], "the statement has no closing balance; was none; allowed: a field :62F:"),
            ([mt940_line(50_00), END], "the statement has no opening balance; was none; allowed: a field :60F:"),
            ([BEGIN, mt940_line(49_00), END],
             "line 6: the lines of statement 7 and its balances do not add up; was 4900 minor units in 1 lines"),
            ([BEGIN, ":61:2406030603C50.00NTRFNONREF", END],
             "line 5: field :61: cannot be read; was '2406030603C50.00NTRFNONREF'; allowed: a date, C or D, an amount"),
            ([BEGIN, ":61:what", END], "line 5: field :61: cannot be read; was 'what'; allowed: the form of MT940"),
            ([BEGIN, ":61:2406310603C50,00NTRFNONREF", END], "allowed: a date as 240603"),
            ([BEGIN, ":61:2406030631C50,00NTRFNONREF", END], "allowed: a date of entry as 0603"),
            ([BEGIN, ":61:2406030603C50,001NTRFNONREF", END], "allowed: an amount as 12,5, exact in EUR"),
            ([BEGIN, ":61:2406030603C5,0,0NTRFNONREF", END], "allowed: an amount as 12,5, exact in EUR"),
            ([BEGIN, mt940_line(50_00), END + "X"],
             "field :62F: cannot be read; was 'C240603EUR150,00X'; allowed: C or D, a date, a currency, an amount"),
            ([BEGIN.replace("EUR", "EUX"), mt940_line(50_00), END.replace("EUR", "EUX")], None),
        ],
    )  # fmt: skip
    def test_each_fault_is_told_once_with_its_line(self, tmp_path, fields, says):
        problems = read(tmp_path, mt940(*fields)).problems
        if says is None:  # Of a currency that is none, each balance is at fault.
            assert len(problems) == 2
            return
        assert len(problems) == 1, problems
        assert says in str(problems[0])

    def test_the_rest_goes_on_behind_a_fault(self, tmp_path):
        fields = BEGIN, ":61:what", ":86:of the line that cannot be read", mt940_line(50_00), END
        found = read(tmp_path, mt940(*fields))
        assert len(found.problems) == 1
        assert [(line.id, line.text) for line in found.statements[0].lines] == [("1/2", "")]
