"""Models as XML and as workbooks: nothing is lost, nothing becomes a date or a formula, mistakes name their cell."""

from __future__ import annotations

import io
import random
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from quanheng.cli.main import main
from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn import read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.decisions.dmn.write import write_model
from quanheng.decisions.dmn.xml import Reader
from quanheng.decisions.exchange import layout
from quanheng.decisions.exchange.excel_read import WorkbookReader, read_workbook
from quanheng.decisions.exchange.excel_write import template, write_workbook
from quanheng.feel.scope import ANY_NAME
from quanheng.kernel.errors import DeclarationError, MissingExtra

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: pip install 'quanheng[excel]'")
ROOT = Path(__file__).resolve().parents[3]
OWN = sorted([*ROOT.glob("src/**/*.dmn"), *ROOT.glob("tests/**/*.dmn")])

FULL = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="x" name="full" namespace="urn:full">
  <itemDefinition id="i1" name="outcome" label="What is decided"><description>All of them.</description>
    <typeRef>string</typeRef><allowedValues><text>"approve","decline"</text></allowedValues></itemDefinition>
  <itemDefinition name="person"><itemComponent id="c1" name="age"><typeRef>number</typeRef></itemComponent>
    <itemComponent name="home"><itemComponent name="city"><typeRef>string</typeRef></itemComponent></itemComponent>
    <itemComponent name="tags" isCollection="true"><typeRef>string</typeRef></itemComponent></itemDefinition>
  <itemDefinition name="rate of"><functionItem outputTypeRef="number">
    <parameters name="n" typeRef="number"/></functionItem>
  </itemDefinition>
  <inputData id="in1" name="who" label="Applicant"><description>Who asks.</description>
    <variable name="who" typeRef="person"/></inputData>
  <inputData id="in2" name="amount minor"><variable name="amount minor" typeRef="number"/></inputData>
  <decision id="d1" name="limit: 1/2" label="The limit">
    <question>How much?</question><allowedAnswers>A sum</allowedAnswers>
    <variable name="limit: 1/2" typeRef="number"/>
    <informationRequirement><requiredInput href="#in1"/></informationRequirement>
    <decisionTable id="t1" hitPolicy="COLLECT" aggregation="MAX" typeRef="number" outputLabel="Sum">
      <input id="ti" label="Age of the applicant">
        <inputExpression typeRef="number"><text>who.age</text></inputExpression>
        <inputValues><text>[0..120]</text></inputValues></input>
      <output id="to" label="Limit" typeRef="number"><defaultOutputEntry><text>-1</text></defaultOutputEntry></output>
      <annotation name="why"/><annotation name="who said so"/>
      <rule id="r1"><description>the young</description><inputEntry><text>&lt; 18</text></inputEntry>
        <outputEntry><text>=0</text></outputEntry><annotationEntry><text>=1+1</text></annotationEntry>
        <annotationEntry><text>@law</text></annotationEntry></rule>
      <rule id="r2"><inputEntry><text>-</text></inputEntry><outputEntry><text>1-2</text></outputEntry>
        <annotationEntry><text>1-2</text></annotationEntry><annotationEntry><text></text></annotationEntry></rule>
    </decisionTable></decision>
  <decision id="d2" name="answer"><variable name="answer"/>
    <informationRequirement><requiredDecision href="#d1"/></informationRequirement>
    <informationRequirement><requiredInput href="#in2"/></informationRequirement>
    <knowledgeRequirement><requiredKnowledge href="#k1"/></knowledgeRequirement>
    <context><contextEntry><variable name="rate" typeRef="number"/><invocation><literalExpression><text>rate</text>
      </literalExpression><binding><parameter name="n"/><literalExpression><text>amount minor</text></literalExpression>
      </binding></invocation></contextEntry>
      <contextEntry><variable name="all"/><list><literalExpression><text>1</text></literalExpression>
        <relation><column name="a"/><row><literalExpression><text>2</text></literalExpression></row></relation></list>
      </contextEntry>
      <contextEntry><variable name="c"/><conditional><if><literalExpression><text>true</text></literalExpression></if>
        <then><literalExpression><text>1</text></literalExpression></then>
        <else><literalExpression><text>2</text></literalExpression></else></conditional></contextEntry>
      <contextEntry><variable name="f"/><filter><in><literalExpression><text>[1,2]</text></literalExpression></in>
        <match><literalExpression><text>item &gt; 1</text></literalExpression></match></filter></contextEntry>
      <contextEntry><variable name="l"/><for iteratorVariable="i"><in><literalExpression><text>[1,2]</text>
        </literalExpression></in><return><literalExpression><text>i * 2</text></literalExpression></return></for>
      </contextEntry>
      <contextEntry><variable name="e"/><every iteratorVariable="i"><in><literalExpression><text>[1,2]</text>
        </literalExpression></in><satisfies><literalExpression><text>i &gt; 0</text></literalExpression></satisfies>
        </every>
      </contextEntry></context></decision>
  <businessKnowledgeModel id="k1" name="rate"><variable name="rate"/><encapsulatedLogic>
    <formalParameter name="n" typeRef="number"/><decisionTable hitPolicy="FIRST"><input><inputExpression><text>n</text>
    </inputExpression></input><output/><rule><inputEntry><text>&gt; 5</text></inputEntry><outputEntry><text>1</text>
    </outputEntry></rule><rule><inputEntry><text></text></inputEntry><outputEntry><text>2</text></outputEntry></rule>
    </decisionTable></encapsulatedLogic></businessKnowledgeModel>
  <businessKnowledgeModel id="k2" name="twice"><variable name="twice"/><encapsulatedLogic kind="FEEL" typeRef="number">
    <formalParameter name="n"/><literalExpression><text>n * 2</text></literalExpression></encapsulatedLogic>
  </businessKnowledgeModel>
  <decisionService id="s1" name="ask"><variable name="ask"/><outputDecision href="#d1"/><inputData href="#in1"/>
  </decisionService>
</definitions>"""


def definitions(xml: bytes) -> m.Definitions:
    found = Reader("f.dmn").read(xml)
    assert found is not None
    return found


def same(one: m.Definitions, other: m.Definitions) -> None:
    """Two models are one: what is written of them, line for line."""
    assert write_model(one).decode().splitlines() == write_model(other).decode().splitlines()


def test_what_is_written_is_the_model_and_stays_the_same() -> None:
    model = definitions(FULL.encode())
    written = write_model(model)
    same(model, definitions(written))
    assert write_model(definitions(written)) == written
    text = written.decode()
    assert '<rule id="r1">\n        <description>the young</description>' in text
    assert "<inputEntry><text>&lt; 18</text></inputEntry>" in text


def test_ids_that_are_no_xml_names_are_replaced_and_followed() -> None:
    data = m.InputData("a b", "a b", 0, "number")
    other = m.InputData("a_b", "a_b", 0, "number")
    decision = m.Decision("1", "d", 0, "", ("a b", "a_b", "gone", "http://x#y"), (), m.Literal(0, "", "1"))
    text = write_model(m.Definitions("f", "f", "f", inputs=(data, other), decisions=(decision,))).decode()
    assert 'href="#a_b"' in text
    assert 'href="#a_b_2"' in text
    assert '<decision id="_1"' in text
    assert 'href="#gone"' in text
    assert 'href="http://x#y"' in text


def test_every_model_of_the_public_kit_is_written_as_the_schema_wants(shared: Path) -> None:
    from lxml import etree

    schema = etree.XMLSchema(etree.parse(str(shared / "tck" / "DMN15.xsd")))
    for file in sorted((shared / "tck").rglob("*.dmn")):
        model = definitions(file.read_bytes())
        written = write_model(model)
        same(model, definitions(written))
        assert schema.validate(etree.fromstring(written)), (file.name, schema.error_log)


def test_every_model_of_the_public_kit_survives_a_workbook(shared: Path) -> None:
    for file in sorted((shared / "tck").rglob("*.dmn")):
        model = definitions(file.read_bytes())
        reader = WorkbookReader(file.name)
        same(model, reader.read(write_workbook(model)))
        assert reader.places.problems == [], file.name


@pytest.mark.parametrize(
    "source", [FULL.encode(), *(path.read_bytes() for path in OWN)], ids=["full", *(p.stem for p in OWN)]
)
def test_a_workbook_gives_the_model_again(source: bytes) -> None:
    model = definitions(source)
    reader = WorkbookReader("f.dmn")
    same(model, reader.read(write_workbook(model)))
    assert reader.places.problems == []
    assert write_workbook(model) == write_workbook(model)


def test_a_policy_decides_the_same_after_a_workbook() -> None:
    file = ROOT / "src/quanheng_packs/card_fraud/policies/authorise.dmn"
    before = read_model(file.read_bytes(), "a.dmn", lists=ANY_NAME)
    after = read_workbook(write_workbook(before.definitions), "a.xlsx")
    rng = random.Random(7)
    for _ in range(60):
        given: dict[str, object] = {}
        for one in before.definitions.inputs:
            number = rng.choice([None, rng.randint(0, 50), Decimal(rng.randint(0, 1000)) / 1000])
            given[one.name] = number if one.type_ref == "number" else rng.choice([None, "EUR", "web", "chip"])
        one, other = judge_model(before, "authorise", given), judge_model(after, "authorise", given)
        assert (one.result, one.trace) == (other.result, other.trace)


def sheet_of(data: bytes, title: str):
    return openpyxl.load_workbook(io.BytesIO(data))[title]


def test_cells_are_text_and_never_a_formula_or_a_date() -> None:
    sheet = sheet_of(write_workbook(definitions(FULL.encode())), "limit_ 1_2")
    cells = {cell.value: cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)}
    assert {"=0", "=1+1", "@law", "1-2", "-1", "-"} <= cells.keys()
    for text, cell in cells.items():
        assert (cell.data_type, cell.number_format) == ("s", "@"), text
        assert cell.quotePrefix == text.startswith(("=", "+", "-", "@")), text


def test_the_template_is_a_table_that_loads() -> None:
    model = read_workbook(template(), "template.xlsx")
    assert model.decisions == ("limits",)
    judged = judge_model(model, "limits", {"amount_minor": 600_000, "channel": "web"})
    assert judged.result == {"outcome": "decline", "reason": "amount_over_limit"}


# -- a sheet that a person made

ROWS = [
    ["decision", "fee"],
    ["hit policy", "F"],
    [],
    ["column", "input", "input", "output", "annotation"],
    ["expression", "amount", "since", "fee", "note"],
    ["column type", "number", "date", "number"],
    [1, "> 100", "-", 0.5, "a remark"],
    [2, 100, '< @"2024-01-01"', 1.25, ""],
    [3, "-", "-", "amount * 0.01 + base", ""],
]


def workbook(
    rows: list[list[object]], extra: dict[str, list[list[object]]] | None = None, title: str = "Fees"
) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = title
    for sheet, content in {title: rows, **(extra or {})}.items():
        target = book[sheet] if sheet in book.sheetnames else book.create_sheet(sheet)
        for row in content:
            target.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


MODEL = {"Model": [["kind", "name", "type"], ["input", "base", "number"]]}


def test_a_table_that_a_person_made() -> None:
    model = read_workbook(workbook(ROWS, MODEL), "fees.xlsx")
    assert [(one.name, one.type_ref) for one in model.definitions.inputs] == [
        ("base", "number"),
        ("amount", "number"),
        ("since", "date"),
    ]
    from quanheng.feel.temporal import parse_date

    def fee(amount: int, since: str) -> object:
        return judge_model(model, "fee", {"amount": amount, "since": parse_date(since), "base": 3}).result

    assert (fee(200, "2024-05-05"), fee(100, "2023-05-05"), fee(50, "2024-05-05")) == (
        Decimal("0.5"),
        Decimal("1.25"),
        Decimal("3.50"),
    )


def test_tables_that_need_each_other_find_each_other() -> None:
    second = [["decision", "total"], ["column", "input", "output"], ["expression", "fee", ""], [1, "-", "fee + amount"]]
    model = read_workbook(workbook(ROWS, {**MODEL, "Total": second, "# notes": [["anything"]]}), "fees.xlsx")
    total = model.target("total")
    assert isinstance(total, m.Decision)
    assert set(total.requires) == {"fee", "amount"}


def test_values_that_excel_keeps_as_dates_times_and_booleans() -> None:
    import datetime as dt

    rows = [
        ["decision", "x"],
        ["column", "input", "input", "input", "output"],
        ["expression", "d", "p", "t", ""],
        [1, dt.date(2024, 1, 31), True, dt.time(10, 30), dt.datetime(2024, 1, 31, 12, 0)],
        [2, "-", False, "-", dt.timedelta(days=1, hours=2)],
    ]
    table = read_workbook(workbook(rows), "x.xlsx").definitions.decisions[0].expression
    assert isinstance(table, m.Table)
    assert [(*one.tests, *one.outputs) for one in table.rules] == [
        ('@"2024-01-31"', "true", '@"10:30:00"', '@"2024-01-31T12:00:00"'),
        ("-", "false", "-", '@"P1DT2H"'),
    ]


def mistakes(rows: list[list[object]], extra: dict[str, list[list[object]]] | None = None) -> list[str]:
    with pytest.raises(DeclarationError, match=r"f\.xlsx is not a usable workbook") as caught:
        read_workbook(workbook(rows, extra), "f.xlsx")
    return [str(one) for one in caught.value.problems]


def changed(row: int, column: int, value: object) -> list[list[object]]:
    rows = [list(one) for one in ROWS]
    rows[row - 1] += [""] * (column - len(rows[row - 1]))
    rows[row - 1][column - 1] = value
    return rows


CASES = [
    (changed(2, 2, "BEST"), "f.xlsx: sheet 'Fees', cell B2: the hit policy is not known; was BEST; allowed: UNIQUE"),
    (changed(2, 2, "FIRST SUM"), "f.xlsx: sheet 'Fees', cell B2: an aggregation needs COLLECT and one output"),
    (changed(4, 2, "inptu"), "f.xlsx: sheet 'Fees', cell B4: the kind of the column is not known; was 'inptu'"),
    (changed(4, 4, "annotation"), "f.xlsx: sheet 'Fees', cell A4: the table has no output column"),
    (changed(5, 2, ""), "f.xlsx: sheet 'Fees', cell B5: an input of the table has no expression"),
    (changed(4, 5, "output"), "f.xlsx: sheet 'Fees', cell E9, fee: rule 3, output 'note' is empty"),
    (changed(7, 2, "=1+1"), "f.xlsx: sheet 'Fees', cell B7: the cell holds a formula; was =1+1"),
    (changed(7, 2, "#N/A"), "f.xlsx: sheet 'Fees', cell B7: the cell holds an error of Excel; was #N/A"),
    (changed(7, 2, "“web”"), "f.xlsx: sheet 'Fees', cell B7: quotes are typographic; was “web”"),
    (changed(7, 2, "> 5,"), "f.xlsx: sheet 'Fees', cell B7, fee: the expression does not parse (rule 1, 'amount'"),
    (changed(7, 2, "> limit"), "f.xlsx: sheet 'Fees', cell B7, fee: the name 'limit' is not known here (rule 1,"),
    (changed(8, 4, '"a" + 1'), "f.xlsx: sheet 'Fees', cell D8, fee: cannot add string and number (rule 2, output"),
    (changed(8, 3, '"a"'), "f.xlsx: sheet 'Fees', cell C8, fee: date is never equal to string (rule 2, 'since'"),
    (changed(7, 7, "lost"), "f.xlsx: sheet 'Fees', cell G4: the cell stands outside the columns"),
    (changed(3, 1, "remark"), "f.xlsx: sheet 'Fees', cell A3: the key of the row is not known; was 'remark'"),
    ([["decision", "x"]], "f.xlsx: sheet 'Fees', cell A1: the sheet has no row 'column' that says what its"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), CASES, ids=[message.partition(": ")[2][:60] for _, message in CASES])
def test_a_mistake_names_sheet_and_cell(rows: list[list[object]], message: str) -> None:
    found = mistakes(rows, MODEL)
    assert any(one.startswith(message.replace("cell G4", "cell G7")) for one in found), found


MODEL_CASES = [
    ([["kind", "nmae"]], "sheet 'Model', cell B1: the title of the column is not known; was 'nmae'"),
    ([["kind", "name"], ["inpt", "a"]], "sheet 'Model', cell A2: the kind of the row is not known; was 'inpt'"),
    ([["kind", "name"], ["input", ""]], "sheet 'Model', cell B2: the row has no name"),
    ([["kind", "name"], ["part 1", "a"]], "sheet 'Model', cell A2: the part has no type above it"),
    ([["kind", "name", "list"], ["type", "a", "maybe"]], "sheet 'Model', cell C2: list is yes or empty; was 'maybe'"),
    ([["kind", "name", "needs"], ["decision", "a", "b"]], "sheet 'Model', cell C2: there is no element of that name"),
    (
        [["kind", "name", "form"], ["decision", "a", "x"]],
        "sheet 'Model', cell C2: the form of the content is not known",
    ),
    (
        [["kind", "name", "form", "content"], ["decision", "a", "table", "Gone"]],
        "sheet 'Model', cell D2: there is no sheet of that name with a table; was 'Gone'; allowed: Fees",
    ),
    (
        [["kind", "name", "form", "content"], ["decision", "a", "boxed", "1 + 1"]],
        "sheet 'Model', cell D2: the content is no boxed expression; was 1 + 1",
    ),
    (
        [["kind", "name", "form", "content"], ["decision", "a", "boxed", "<list"]],
        "sheet 'Model', cell D2: the file is not well-formed XML",
    ),
    (
        [["kind", "name", "content"], ["service", "a", "gives: x"]],
        "sheet 'Model', cell C2: the line of the service is not known; was 'gives: x'",
    ),
    (
        [["kind", "name", "form", "content"], ["decision", "a", "text", "1 +"], ["input", "base"]],
        "sheet 'Model', row 2, a: the expression does not parse",
    ),
]


@pytest.mark.parametrize(("rows", "message"), MODEL_CASES, ids=[message[:60] for _, message in MODEL_CASES])
def test_a_mistake_of_the_model_sheet(rows: list[list[object]], message: str) -> None:
    found = mistakes(ROWS, {"Model": rows})
    assert any(one.startswith(f"f.xlsx: {message}") for one in found), found


def test_all_mistakes_are_reported_at_once() -> None:
    rows = changed(2, 2, "BEST")
    rows[6][1], rows[7][1] = "=1", "“x”"
    assert len(mistakes(rows)) == 3


def test_files_that_are_no_workbooks() -> None:
    def problem(data: bytes) -> str:
        with pytest.raises(DeclarationError) as caught:
            read_workbook(data, "f.xlsx")
        return str(caught.value.problems[0])

    assert problem(b"no").startswith("f.xlsx: the file is no Excel workbook (.xlsx); was BadZipFile")
    assert problem(b" " * (layout.FILE_MAX + 1)).startswith("f.xlsx: the workbook is too large; was 20000001 bytes")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    assert problem(out.getvalue()).startswith("f.xlsx: the workbook declares a document type")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb", b"\0" * (layout.UNPACKED_MAX + 1))
    assert problem(out.getvalue()).startswith("f.xlsx: the workbook is too large; was 200000001 bytes")
    far = openpyxl.Workbook()
    far.active.cell(60_000, 1).value = "x"
    out = io.BytesIO()
    far.save(out)
    assert problem(out.getvalue()).startswith("f.xlsx: sheet 'Sheet': the sheet is too large; was 60000 x 1 cells")
    assert problem(workbook([])).startswith("f.xlsx: the workbook has no table")


def test_a_text_that_no_cell_holds() -> None:
    decision = m.Decision("d", "d", 0, "", (), (), m.Literal(0, "", "1 + " * 9000 + "1"))
    with pytest.raises(DeclarationError, match="f does not fit into a workbook: 1 problem") as caught:
        write_workbook(m.Definitions("f", "f", "f", decisions=(decision,)))
    assert "sheet 'Model', cell D3: the text is too long for a cell; was 36001 characters" in str(caught.value)


def test_without_the_package_the_cure_is_named(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra) as caught:
        template()
    assert str(caught.value) == (
        "reading and writing Excel workbooks needs the package 'openpyxl', which is not installed. "
        "Run: pip install 'quanheng[excel]'"
    )


def test_the_commands_go_there_and_back_and_overwrite_nothing_unasked(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["dmn", "to-excel", "--template"]) == 0
    assert main(["dmn", "from-excel", "template.xlsx"]) == 0
    first = Path("template.dmn").read_bytes()
    assert main(["dmn", "to-excel", "template.dmn", "--out", "again.xlsx"]) == 0
    assert main(["dmn", "from-excel", "again.xlsx"]) == 0
    assert Path("again.dmn").read_bytes().replace(b'name="template"', b"") == first.replace(b'name="template"', b"")
    assert main(["dmn", "from-excel", "again.xlsx"]) == 2
    assert "again.dmn: the file exists and was not named. Say so: --out again.dmn" in capsys.readouterr().err
    assert main(["dmn", "from-excel", "again.xlsx", "--out", "none/x.dmn"]) == 2
    assert "none/x.dmn: the file cannot be written; was No such file or directory" in capsys.readouterr().err
    assert main(["dmn", "to-excel"]) == 2
    assert "no file was named; allowed: a .dmn file. Name one, or ask for --template." in capsys.readouterr().err
