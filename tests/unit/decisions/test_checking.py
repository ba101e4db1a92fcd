"""What the table checks say: each kind of finding once, in the words a policy author reads."""

from __future__ import annotations

import json
import random
import time
from xml.sax.saxutils import escape

import pytest

from quanheng.cli.main import main
from quanheng.decisions.checking import Finding, check_model
from quanheng.decisions.checking.findings import listed
from quanheng.decisions.dmn import read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.feel.literals import literal
from quanheng.feel.parser import parse
from quanheng.feel.scope import Scope
from quanheng.kernel.errors import DeclarationError
from quanheng.loading import check_pack, load_packs, read_pack, read_packs
from quanheng.loading.new import starter_files

HEAD = '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
Columns = dict[str, str]


def table(policy: str, columns: Columns, rows: list[tuple[str, ...]], default: str = "", attributes: str = "") -> str:
    inputs = "".join(f"<input><inputExpression><text>{escape(one)}</text></inputExpression></input>" for one in columns)
    values = '<outputValues><text>"decline", "review", "approve"</text></outputValues>' if policy == "PRIORITY" else ""
    default = f"<defaultOutputEntry><text>{escape(default)}</text></defaultOutputEntry>" if default else ""
    rules = ""
    for row in rows:
        cells = "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in row[: len(columns)])
        cells += "".join(f"<outputEntry><text>{escape(cell)}</text></outputEntry>" for cell in row[len(columns) :])
        rules += f"<rule>{cells}</rule>"
    outputs = f"<output>{values}{default}</output>"
    return f'<decisionTable hitPolicy="{policy}" {attributes}>{inputs}{outputs}{rules}</decisionTable>'


def model_of(columns: Columns, body: str, items: str = "", more: str = "") -> bytes:
    """A model with an input for each column that is a name, and the decision `d`."""
    data = "".join(
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for name, kind in columns.items()
        if name.isidentifier()
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#{name}"/></informationRequirement>'
        for name in columns
        if name.isidentifier()
    )
    return f'{HEAD}{items}{data}{more}<decision id="d" name="d">{needs}{body}</decision></definitions>'.encode()


def found(policy: str, columns: Columns, rows: list[tuple[str, ...]], **options: str) -> tuple[Finding, ...]:
    return check_model(read_model(model_of(columns, table(policy, columns, rows, **options)), "p.dmn"))


def texts(findings: tuple[Finding, ...], *kinds: str) -> list[str]:
    return [str(one) for one in findings if not kinds or one.kind in kinds]


N, T, P = {"n": "number"}, {"t": "string"}, {"p": "boolean"}


def test_an_overlap_names_both_rules_and_an_input() -> None:
    findings = found("UNIQUE", N | T, [("< 10", '"a"', "1"), ("[5..20]", '"a","b"', "2"), ("-", 'not("a","b")', "3")])
    assert texts(findings, "overlap") == [
        (
            'problem: p.dmn: line 1, d: rules 1 and 2 both hold for n = 5, t = "a", and the hit policy is UNIQUE. '
            "Let one of them exclude the other, or choose the hit policy FIRST or PRIORITY."
        )
    ]
    assert findings[0].given == {"n": 5, "t": "a"}


def test_a_gap_names_an_input_that_no_rule_covers() -> None:
    assert texts(found("UNIQUE", N, [("< 10", "1"), ("> 10", "2")])) == [
        "warning: p.dmn: line 1, d: no rule covers n = 10: the result is null. Add a rule for it, or a default output."
    ]
    assert found("UNIQUE", N, [("< 10", "1"), ("> 10", "2")], default="0") == ()
    assert found("COLLECT", N, [("< 10", "1"), ("> 10", "2")]) == ()


def test_a_gap_between_whole_numbers_is_a_note() -> None:
    [finding] = [one for one in found("UNIQUE", N, [("<= 5", "1"), (">= 6", "2")]) if one.witness]
    assert finding.severity == "note"
    assert finding.message == "no rule covers n = 5.1: the result is null (only for numbers that are not whole)"


def test_null_that_no_rule_covers_is_a_note_for_each_column() -> None:
    findings = found("FIRST", N | P, [("<= 5", "true", "1"), ("> 5", "-", "2"), ("-", "false", "3")])
    assert texts(findings, "gap") == [
        (
            "note: p.dmn: line 1, d: no rule covers some inputs where n is null: the result is null. "
            "Add a rule for null if n may be missing."
        ),
        (
            "note: p.dmn: line 1, d: no rule covers some inputs where p is null: the result is null. "
            "Add a rule for null if p may be missing."
        ),
    ]


def test_where_only_several_nulls_together_are_uncovered() -> None:
    findings = found("FIRST", N | P, [("not(null)", "-", "1"), ("-", "not(null)", "2")])
    assert "no rule covers n = null, p = null: the result is null (only where several" in str(findings)


def test_allowed_values_of_types_and_columns_are_respected() -> None:
    items = (
        '<itemDefinition name="channel"><typeRef>string</typeRef><allowedValues><text>"web","branch"</text>'
        "</allowedValues></itemDefinition>"
    )
    columns = {"c": "channel"}
    body = table("UNIQUE", columns, [('"web"', "1"), ('"branch"', "2"), ('"post"', "3")])
    findings = check_model(read_model(model_of(columns, body, items), "p.dmn"))
    assert texts(findings, "never") == [
        (
            "warning: p.dmn: line 1, d: rule 3 can never hold: no value that is allowed satisfies '\"post\"' of 'c'. "
            "Correct the cell, or remove the rule."
        )
    ]
    assert [one.severity for one in findings if one.kind == "gap"] == ["note"]
    declared = table("UNIQUE", N, [("< 5", "1"), ("[5..10]", "2")]).replace(
        "</inputExpression>", "</inputExpression><inputValues><text>[0..10]</text></inputValues>"
    )
    assert [one.severity for one in check_model(read_model(model_of(N, declared), "p.dmn"))] == ["note"]
    wrong = declared.replace("[0..10]", "[0..")
    assert texts(check_model(read_model(model_of(N, wrong), "p.dmn")), "values") == [
        (
            "problem: p.dmn: line 1, d: the values declared for the column 'n' cannot be read as tests, so they are "
            "not enforced. Correct <inputValues>."
        )
    ]


def test_an_output_that_is_not_declared_is_named() -> None:
    columns, rules = N, [("< 3", '"approve"'), ("3", '"refuse"'), ("4", '"refuse"'), ("> 4", "null")]
    body = table("PRIORITY", columns, rules).replace(
        "<output/>", '<output><outputValues><text>"decline", "approve"</text></outputValues></output>'
    )
    assert texts(check_model(read_model(model_of(columns, body), "p.dmn")), "values") == [
        (
            'warning: p.dmn: line 1, d: rules 2 and 3 give "refuse", which the output does not declare: it comes '
            "after all that are declared. Correct the rule, or add the value to <outputValues>."
        )
    ]
    unique = body.replace("PRIORITY", "UNIQUE").replace("<output>", '<output name="o">').replace('"approve"', '"app')
    unique = unique.replace('<text>"app</text></outputEntry>', '<text>"approve"</text></outputEntry>')
    assert texts(check_model(read_model(model_of(columns, unique), "p.dmn")), "values") == [
        (
            "warning: p.dmn: line 1, d: the values declared for the output 'o' cannot be read as tests, so they are "
            "not used by the check. Correct <outputValues>."
        )
    ]


def test_rules_behind_one_that_always_holds() -> None:
    findings = found("FIRST", N, [("> 5", "1"), ("-", "2"), ("< 3", "3"), ("7", "4"), ("null", "5")])
    assert (
        texts(findings, "masked")
        == [
            (
                "warning: p.dmn: line 1, d: rule 4 is never the hit: rule 1 holds wherever it does and comes first. "
                "Remove it, or move it before what hides it."
            ),
            (
                "warning: p.dmn: line 1, d: rules 3 and 5 are never the hit: rule 2 always holds and comes first. "
                "Remove it, or move it before what hides it."
            ),
        ][::-1]
    )


def test_rules_hidden_by_several_together() -> None:
    findings = found("FIRST", N | P, [("< 10", "-", "1"), (">= 10", "-", "2"), ("[5..15]", "true", "3")])
    assert "rule 3 is never the hit: rules 1 and 2 together hold wherever it does and comes first" in str(findings)


def test_priority_decides_who_hides_whom() -> None:
    rows = [("[5..6]", '"approve"'), ("> 0", '"decline"'), ("-", '"review"')]
    findings = found("PRIORITY", N, rows)
    assert [one.rules for one in findings if one.kind == "masked"] == [(1,)]
    assert "rule 2 holds wherever it does and has the better output" in findings[0].message


def test_rules_of_any_that_differ() -> None:
    findings = found("ANY", N, [("< 10", '"a"'), ("> 5", '"b"'), ("> 7", '"b"')])
    assert [one.rules for one in findings if one.kind == "conflict"] == [(1, 2), (1, 3)]
    assert findings[0].message == ('rules 1 and 2 both hold for n = 6, and give "a" and "b" under the hit policy ANY')


def test_rules_that_change_nothing_and_duplicates() -> None:
    redundant = found("FIRST", N, [("> 100", '"no"'), ("[5..10]", '"yes"'), ("-", '"yes"')])
    assert texts(redundant, "redundant") == [
        (
            "note: p.dmn: line 1, d: rule 2 changes nothing: rule 3 holds wherever it does and gives the same. "
            "Remove it, if it is not there to be read."
        )
    ]
    twice = found("COLLECT", N, [("> 1", "1"), ("> 1", "1"), ("> 1", "2")])
    assert [(one.rules, one.message) for one in twice if one.kind == "duplicate"] == [
        ((1, 2), "rules 1 and 2 have the same tests and give the same: 1")
    ]


def test_rules_of_one_rank_are_taken_in_order_and_so_are_not_redundant() -> None:
    """Found by the twin: without rule 1, rule 2 would come first."""
    assert texts(found("PRIORITY", N, [("-", "1"), ("-", "n"), ("-", "1")]), "redundant") == []


def test_columns_and_tables_that_do_nothing() -> None:
    assert "no rule tests the column 't'" in str(found("UNIQUE", N | T, [("-", "-", "1")]))
    assert "the table has no rule: it always gives null" in str(found("UNIQUE", N, []))


def test_what_cannot_be_decided_is_said_and_makes_no_claim() -> None:
    columns = N | {"m": "number"}
    findings = found("UNIQUE", columns, [("> m", "-", "1"), ("<= m", "-", "2"), ("> m", "-", "3")])
    assert texts(findings, "undecided") == [
        (
            "note: p.dmn: line 1, d: 3 cells are not decided by the check, so what depends on them is not claimed: "
            "rule 1, 'n' ('> m': it reads 'm'); rule 2, 'n' ('<= m': it reads 'm'); rule 3, 'n' ('> m': it reads 'm'). "
            "Nothing need be done; cover these rules by cases."
        )
    ]
    assert texts(findings, "overlap", "gap", "masked") == []
    assert [one.message for one in findings if one.kind == "duplicate"] == ["rules 1 and 3 have the same tests"]


def test_entries_of_an_input_are_given_as_a_whole_input() -> None:
    items = (
        '<itemDefinition name="person"><itemComponent name="age"><typeRef>number</typeRef></itemComponent>'
        '<itemComponent name="city"><typeRef>string</typeRef></itemComponent></itemDefinition>'
    )
    body = table("UNIQUE", {"who.age": ""}, [("< 18", "1"), ("> 12", "2")])
    xml = model_of({"who": "person"}, body, items)
    model = read_model(xml, "p.dmn")
    [overlap] = [one for one in check_model(model) if one.kind == "overlap"]
    assert (overlap.severity, overlap.given) == ("problem", {"who": {"age": 13, "city": None}})
    assert judge_model(model, "d", overlap.given).trace[-1][1] == (1, 2)


def test_entries_of_an_input_without_a_type_are_given_too() -> None:
    body = table("UNIQUE", {"who.home.city": "", "who.age": ""}, [('"a"', "-", "1"), ("-", "5", "2")])
    model = read_model(model_of({"who": "Any"}, body), "p.dmn")
    [overlap] = [one for one in check_model(model) if one.kind == "overlap"]
    assert overlap.given == {"who": {"home": {"city": "a"}, "age": 5}}
    assert judge_model(model, "d", overlap.given).trace[-1][1] == (1, 2)


def test_a_computed_column_makes_a_warning_and_says_so() -> None:
    findings = check_model(
        read_model(model_of(N, table("UNIQUE", {"n * 2": ""}, [("< 5", "1"), ("< 9", "2")])), "p.dmn")
    )
    [overlap] = [one for one in findings if one.kind == "overlap"]
    assert overlap.severity == "warning"
    assert overlap.message.endswith("; whether such values come is not known here, since a column is computed")


def test_the_results_of_a_decision_before_are_its_constants() -> None:
    first = table("UNIQUE", N, [("< 5", '"low"'), (">= 5", '"high"')], default='"none"')
    need = '<informationRequirement><requiredInput href="#n"/></informationRequirement>'
    before = f'<decision id="band" name="band">{need}{first}</decision>'
    second = table("UNIQUE", {"band": ""}, [('"low"', "1"), ('"high"', "2"), ('"none"', "3"), ('"odd"', "4")])
    xml = model_of(N, second, more=before).replace(
        b'<decision id="d" name="d">',
        b'<decision id="d" name="d"><informationRequirement><requiredDecision href="#band"/></informationRequirement>',
    )
    findings = check_model(read_model(xml, "p.dmn"))
    assert [(one.kind, one.rules) for one in findings if one.severity == "warning"] == [("never", (4,))]


def test_equal_for_python_is_not_equal_for_feel() -> None:
    """Found by the twin: conditions on `1` and on `true` were taken for one."""
    assert texts(found("UNIQUE", {"u": "Any"}, [("1", "1"), ("true", "2")]), "overlap") == []


@pytest.mark.parametrize(
    ("kind", "low", "high", "witness"),
    [
        ("date", '@"2024-02-28"', '@"2024-03-01"', '@"2024-02-29"'),
        ("time", '@"10:00:00"', '@"10:00:02"', '@"10:00:01"'),
        ("date and time", '@"2024-01-01T00:00:00"', '@"2024-01-01T01:00:00"', '@"2024-01-01T00:00:01"'),
        ("days and time duration", 'duration("P1D")', 'duration("P2D")', '@"P1DT1S"'),
        ("years and months duration", 'duration("P1M")', 'duration("P3M")', '@"P2M"'),
        ("string", '"b"', '"c"', '"ba"'),
        ("number", "0.1", "0.2", "0.11"),
    ],
)
def test_every_kind_that_has_an_order(kind: str, low: str, high: str, witness: str) -> None:
    rows = [(f"< {low}", "1"), (low, "1"), (f">= {high}", "2")]
    gaps = [one for one in found("UNIQUE", {"x": kind}, rows) if one.kind == "gap" and one.witness]
    assert [literal(one.witness["x"]) for one in gaps] == [witness]


def test_moments_with_and_without_an_offset_have_no_common_order() -> None:
    rows = [('< @"2024-01-01T00:00:00"', "1"), ('> @"2024-01-01T00:00:00Z"', "2")]
    findings = found("UNIQUE", {"x": "date and time"}, rows)
    assert "its constants have no common order" in str(findings)
    assert texts(findings, "overlap", "gap") == []


def test_the_bound_of_the_search_is_told() -> None:
    rng = random.Random(3)
    cells = [f"{sign} {number}" for sign in "<>" for number in range(9)]
    rows = [(*(rng.choice(cells) for _ in range(4)), "1") for _ in range(60)]
    columns = dict.fromkeys(("a", "b", "c", "e"), "number")
    model = read_model(model_of(columns, table("UNIQUE", columns, rows)), "p.dmn")
    assert "the search for gaps stopped after 5 steps: there may be more than is listed" in str(check_model(model, 5))


def test_many_findings_of_a_kind_are_cut_and_counted() -> None:
    findings = found("UNIQUE", N, [(f"> {number}", "1") for number in range(30)])
    assert len(texts(findings, "overlap")) == 20
    assert "more than 20 pairs of rules meet: the first 20 are listed" in str(findings)
    holes = found("UNIQUE", N, [(str(number * 2), "1") for number in range(30)])
    assert len(texts(holes, "gap")) == 5
    assert "there are more than 5 gaps: the first 5 are listed" in str(holes)


def test_a_table_of_3700_rules_takes_seconds() -> None:
    columns = {"n": "number", "k": "number", "t": "string"}
    bands = [f"[{10 * one}..{10 * one + 10})" for one in range(20)]
    rows = [(a, b, f'"{c}"', "1") for a in bands for b in bands[:15] for c in "abcdefghijklm"][:3700]
    model = read_model(model_of(columns, table("UNIQUE", columns, [*rows, ("[5..15]", "-", '"a"', "2")])), "p.dmn")
    started = time.perf_counter()
    findings = check_model(model)
    assert time.perf_counter() - started < 30, "some tenths of a second on a machine of its own"
    assert (1, 3701) in {one.rules for one in findings if one.kind == "overlap"}


def test_rules_are_listed_as_people_do() -> None:
    assert listed([2]) == "2"
    assert listed([5, 2]) == "2 and 5"
    assert listed([1, 2, 3, 7, 9, 10]) == "1 to 3, 7, 9 and 10"
    assert listed(list(range(1, 40, 2))).endswith("15 and others (20 in all)")


@pytest.mark.parametrize(
    "text",
    ["null", "true", "1.50", "-3", '"a\\"b\\\\"', '@"2024-01-31"', '@"P1Y2M"', '[1, "a"]', '{"a b": 1}', "[1..5)"],
)
def test_a_literal_reads_back_as_itself(text: str) -> None:
    from quanheng.feel.judge import Judge

    def value(one: str) -> object:
        return Judge().value(parse(one, Scope()), {})

    assert repr(value(literal(value(text)))) == repr(value(text))


# -- where they are reported


OVERLAP = '<rule><inputEntry><text>&gt; 5</text></inputEntry><outputEntry><text>"{}"</text></outputEntry></rule>'


def pack_with(policy: str) -> dict[str, bytes]:
    """The starter pack with one more policy."""
    body = f'<decisionTable hitPolicy="{policy}"><input><inputExpression><text>n</text></inputExpression></input>'
    rules = OVERLAP.format("a") + OVERLAP.format("b")
    xml = model_of(N, f"{body}<output/>{rules}</decisionTable>")
    return {**starter_files("mine"), "policies/more.dmn": xml}


def test_a_pack_reports_overlaps_as_problems_and_gaps_as_warnings() -> None:
    declared, problems = check_pack(read_pack(pack_with("UNIQUE"), "mine"), read_packs())
    assert [one.message for one in problems] == ["rules 1 and 2 both hold for n = 6, and the hit policy is UNIQUE"]
    declared, problems = check_pack(read_pack(pack_with("FIRST"), "mine"), read_packs())
    assert problems == ()
    assert [one.message.partition(":")[0] for one in declared.warnings] == [
        "no rule covers n = 4",
        "rule 2 is never the hit",
    ]


def test_what_is_in_force_is_read_back_as_it_is() -> None:
    packs = {**read_packs(), "mine": read_pack(pack_with("UNIQUE"), "mine")}
    with pytest.raises(DeclarationError, match="the packs mine cannot be loaded: 1 problem"):
        load_packs(["mine"], packs)
    assert "mine" in load_packs(["mine"], packs, in_force=["mine"])


def test_the_command_shows_warnings_and_goes_on(tmp_path, capsys) -> None:
    for name, content in pack_with("FIRST").items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert main(["pack", "check", str(tmp_path / "mine")]) == 0
    out = capsys.readouterr().out
    assert "warning: policies/more.dmn: line 1, d: no rule covers n = 4: the result is null" in out
    assert "no problem" in out
    assert main(["pack", "check", str(tmp_path / "mine"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) == 2


def test_dmn_check_prints_findings_and_mistakes(tmp_path, capsys) -> None:
    file = tmp_path / "p.dmn"
    file.write_bytes(model_of(N, table("UNIQUE", N, [("< 10", "1"), ("> 5", "2"), ("null", "3")])))
    assert main(["dmn", "check", str(file)]) == 2
    out = capsys.readouterr().out
    assert "rules 1 and 2 both hold for n = 6" in out
    assert out.endswith("1 file: 1 problem, 0 warnings, 0 notes\n")
    assert main(["dmn", "check", str(file), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["witness"] == {"n": "6"}
    file.write_bytes(model_of(N, table("UNIQUE", N, [("< m", "1")])))
    assert main(["dmn", "check", str(file), "--json"]) == 2
    mistake = json.loads(capsys.readouterr().out)
    assert (mistake["kind"], mistake["message"][:31]) == ("mistake", "the name 'm' is not known here ")
    assert main(["dmn", "check"]) == 2
    assert "no file was named; allowed: one or more .dmn files" in capsys.readouterr().err
    assert main(["dmn", "check", str(tmp_path / "none.dmn")]) == 2
    assert "the file cannot be read; was No such file or directory" in capsys.readouterr().err
