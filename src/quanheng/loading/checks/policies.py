"""policies/*.dmn: the model is sound, every input has a source of the right type, outcomes and reasons are known."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import msgspec
from lxml import etree

from quanheng.decisions.checking import check_model
from quanheng.decisions.dmn import Model, compile_decision
from quanheng.feel.scope import ANY_NAME
from quanheng.kernel.errors import DeclarationError
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import FlowDraft
from quanheng.loading.declared import Flow
from quanheng.loading.notes import Notes, Words
from quanheng.loading.policies import policy_name, read_policy

_TEXT = r'"(?:[^"\\]|\\.)*"'
_WHOLE_TEXT = re.compile(rf"\s*({_TEXT})\s*")
_TEXT_LIST = re.compile(rf"\s*\[\s*(?:{_TEXT}\s*,?\s*)*\]\s*")
_BRANCH = re.compile(rf"\b(?:then|else)\s+({_TEXT})")
_ENTRY = re.compile(rf"\b(?P<name>outcome|reasons?)\s*:\s*(?P<value>{_TEXT}|\[[^\]]*\])")
_ANY_TEXT = re.compile(_TEXT)
_TYPES_ANY = frozenset({"Any", "any", ""})
_OUTCOME_NAMES = frozenset({"outcome"})
_REASON_NAMES = frozenset({"reason", "reasons"})


class Outline(msgspec.Struct, frozen=True):
    """What the XML of a policy tells without compiling it.

    decisions : names of its decisions
    outcomes, reasons : literal outcome and reason → key of the place that returns it
    """

    decisions: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = {}
    reasons: Mapping[str, str] = {}


def check_policies(
    files: Mapping[str, bytes],
    library: Mapping[str, bytes],
    drafts: Sequence[FlowDraft],
    sources: Mapping[str, Mapping[str, str]],
    outcomes: Sequence[str],
    lists: Collection[str],
    notes: Notes,
    tables: bool = True,
) -> tuple[tuple[Flow, ...], dict[str, tuple[str, str]]]:
    """Check all policies against what the pack declares.

    Parameters
    ----------
    files : XML by file name, "policies/authorise.dmn"
    library : files of required packs that they may import, by name
    drafts : the flows of pack.toml
    sources : per event that is decided: name → FEEL type of everything an input may ask for
    outcomes : outcomes of the pack
    lists : lists of the pack
    tables : look for overlaps, gaps and rules that never decide too; not for what is in force already

    Returns
    -------
    The flows with their policy, and every reason code with (file, key) of the place that returns it.
    """
    outlines = {file: outline for file, xml in files.items() if (outline := _outline(xml, file, notes)) is not None}
    reasons: dict[str, tuple[str, str]] = {}
    for file, outline in outlines.items():
        for outcome, key in outline.outcomes.items():
            if outcome not in outcomes:
                notes.add(
                    file,
                    key,
                    "the policy returns an outcome that pack.toml does not have",
                    found=outcome,
                    known=list(outcomes),
                    of="outcome",
                )
        reasons |= {code: (file, key) for code, key in outline.reasons.items()}
    models = {file: _model(file, files, library, lists, notes) for file in outlines}
    if tables:
        for model in models.values():
            _check_tables(model, notes)
    flows = [_flow(draft, outlines, models, sources.get(draft.when, {}), notes) for draft in drafts]
    return tuple(flow for flow in flows if flow is not None), reasons


def _outline(xml: bytes, file: str, notes: Notes) -> Outline | None:
    """Read names and literal outputs. External entities, DTDs and the network are never touched."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        notes.add(
            file,
            f"line {error.lineno or 1}",
            "the file is not well-formed XML",
            found=Words(error.msg),
            cure="Save it again from a DMN editor, or write & as &amp; and < as &lt; inside texts.",
        )
        notes.doubt("decision")
        return None
    decisions = root.findall("{*}decision")
    outcomes: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for decision in decisions:
        name = decision.get("name", "")
        for table in decision.iter("{*}decisionTable"):
            _table_outputs(table, name, outcomes, reasons)
        for entry in decision.iter("{*}contextEntry"):
            variable, text = entry.find("{*}variable"), entry.findtext("{*}literalExpression/{*}text") or ""
            _literals(variable.get("name", "") if variable is not None else "", text, name, outcomes, reasons)
        for literal in decision.iter("{*}literalExpression"):
            for match in _ENTRY.finditer(literal.findtext("{*}text") or ""):
                _literals(match["name"], match["value"], name, outcomes, reasons)
    return Outline(tuple(decision.get("name", "") for decision in decisions), outcomes, reasons)


def _table_outputs(table: etree._Element, decision: str, outcomes: dict[str, str], reasons: dict[str, str]) -> None:
    names = [output.get("name") or decision for output in table.findall("{*}output")]
    for number, rule in enumerate(table.findall("{*}rule"), 1):
        for name, entry in zip(names, rule.findall("{*}outputEntry"), strict=False):
            _literals(name, entry.findtext("{*}text") or "", f"{decision}, rule {number}", outcomes, reasons)


def _literals(name: str, text: str, key: str, outcomes: dict[str, str], reasons: dict[str, str]) -> None:
    """Keep the literal texts of an output named outcome, reason or reasons."""
    target = outcomes if name in _OUTCOME_NAMES else reasons if name in _REASON_NAMES else None
    if target is None:
        return
    if _WHOLE_TEXT.fullmatch(text) or _TEXT_LIST.fullmatch(text):
        found = _ANY_TEXT.findall(text)
    else:
        found = _BRANCH.findall(text)
    for literal in found:
        target.setdefault(literal[1:-1], key)


def _model(
    file: str, files: Mapping[str, bytes], library: Mapping[str, bytes], lists: Collection[str], notes: Notes
) -> Model | None:
    try:
        return read_policy(file, files, library, ANY_NAME if notes.doubted("list") else lists)
    except DeclarationError as error:
        notes.extend(error.problems)
    return None


def _check_tables(model: Model | None, notes: Notes) -> None:
    """An overlap that can occur is a problem; what an author may have meant is a warning."""
    found = check_model(model) if model is not None else ()
    notes.extend(one.as_problem() for one in found if one.severity == "problem")
    notes.warn(one.as_problem() for one in found if one.severity == "warning")


def _flow(
    draft: FlowDraft,
    outlines: Mapping[str, Outline],
    models: Mapping[str, Model | None],
    sources: Mapping[str, str],
    notes: Notes,
) -> Flow | None:
    """Find the decision of a flow and check its inputs."""
    if not draft.decide:
        return None
    holding = [file for file, outline in outlines.items() if draft.decide in outline.decisions]
    known = [name for outline in outlines.values() for name in outline.decisions]
    if not holding:
        key, message = f"{draft.key}.decide", "no policy has this decision"
        notes.add(MANIFEST_FILE, key, message, found=draft.decide, known=known, of="decision")
        return None
    if len(holding) > 1:
        notes.add(
            MANIFEST_FILE,
            f"{draft.key}.decide",
            f"several policies have this decision: {', '.join(holding)}",
            found=draft.decide,
            cure="Rename all but one.",
        )
    model = models[holding[0]]
    if model is not None:
        _check_inputs(model, draft, holding[0], sources, notes)
    return Flow(
        when=draft.when,
        purpose=draft.purpose,
        decide=draft.decide,
        policy=policy_name(holding[0]),
        fallback=draft.fallback,
        clock=draft.clock,
        then=draft.then,
        loans=draft.loans,
        refused_as=draft.refused_as,
        sends={outcome: tuple(name for _, name in acts) for outcome, acts in draft.sends.items()},
    )


def _check_inputs(model: Model, draft: FlowDraft, file: str, sources: Mapping[str, str], notes: Notes) -> None:
    policy = compile_decision(model, draft.decide)
    if not sources:
        return
    for one in policy.inputs:
        wanted = str(one.type)
        if one.name not in sources:
            notes.add(
                file,
                one.name,
                f"the policy asks for an input that nothing provides for {draft.when}",
                found=one.name,
                known=sources,
                of="source",
            )
        elif wanted not in _TYPES_ANY and sources[one.name] not in _TYPES_ANY and wanted != sources[one.name]:
            notes.add(
                file,
                one.name,
                "the input has another type than its source",
                found=wanted,
                known=sources[one.name],
                cure=f'Write typeRef="{sources[one.name]}".',
            )
