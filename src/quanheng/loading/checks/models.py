"""models/*.toml: inputs exist, weights are there and are those that were trained, the card holds together."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from quanheng.kernel.errors import InputError
from quanheng.loading.declared import ModelDeclaration
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import NAME, Table
from quanheng.models.readers import OUTPUTS, REASONS_MAX, Asked, reader_of
from quanheng.models.registry.card_check import loading_problems
from quanheng.models.registry.signers import SIGNERS
from quanheng.models.trees import content_hash

ESTIMATOR = re.compile(r"[a-z][a-z0-9_]{1,40}")
HASH = re.compile(r"sha256:[0-9a-f]{64}")
INPUTS_MAX = 2000
OUTPUT_DECIMALS_MAX = 9
OWN_KEYS = ("name", "estimator", "inputs", "output", "output_decimals", "reasons", "weights", "hash")


def check_models(
    files: Mapping[str, dict[str, object]],
    contents: Mapping[str, bytes],
    known: Collection[str],
    notes: Notes,
    cards: bool = True,
) -> tuple[tuple[ModelDeclaration, ...], dict[str, bytes], frozenset[str]]:
    """Read all model files (parsed, by name).

    Parameters
    ----------
    contents : all files of the pack, to find weights
    known : names a model can read: number and choice fields of decided events, folds, formulas
    cards : check what cards say; False for packs in force, which are read back as they were activated

    Returns
    -------
    The models, their weights by the name they are declared under, and the files that belong to a model.
    """
    models: dict[str, ModelDeclaration] = {}
    weights: dict[str, bytes] = {}
    belonging: set[str] = set()
    for file, values in files.items():
        if file == SIGNERS:
            continue  # Read with each declaration that carries a signature.
        table = Table(values, file, "", notes).table("model")
        if not table.values:
            continue
        model = _model(table, values, known)
        if model.name in models:
            table.problem("name", "the name is taken by another model of this pack", found=model.name)
        for name in (model.name, *model.reason_columns):
            if name in known:
                table.problem(
                    "name", "the name is taken by a field, fold or formula", found=name, cure="Rename the model."
                )
        belonging |= {f"models/{model.weights}", *_named_files(values)}
        content = _weights(table, model, contents)
        if content is not None:
            weights[model.weights] = content
        if cards:
            trained = content if content is not None and model.hash in {"", content_hash(content)} else None
            notes.extend(loading_problems(file, values, model.name, trained, contents))
        if model.name:
            models[model.name] = model
    return tuple(models.values()), weights, frozenset(belonging)


def _model(table: Table, settings: Mapping[str, object], known: Collection[str]) -> ModelDeclaration:
    inputs = table.texts("inputs", least=1)
    for name in inputs:
        if name not in known:
            table.problem(
                "inputs",
                "no such fold, formula, number or choice field is declared",
                found=name,
                known=known,
                of="feature",
            )
    if len(inputs) > INPUTS_MAX:
        table.problem(
            "inputs", "the list is too long", found=Words(f"{len(inputs)} entries"), known=f"at most {INPUTS_MAX}"
        )
    output = table.choice("output", OUTPUTS) if table.has("output") else OUTPUTS[0]
    return ModelDeclaration(
        output=output,
        reasons=table.integer("reasons", required=False, default=0, least=0, most=REASONS_MAX),
        name=table.text("name", pattern=NAME, wanted='a name such as "fraud_score"'),
        estimator=table.text("estimator", pattern=ESTIMATOR, wanted='the kind of model, such as "lightgbm"'),
        inputs=inputs,
        output_decimals=table.integer(
            "output_decimals", required=False, default=0 if output == "points" else 4, least=0, most=OUTPUT_DECIMALS_MAX
        ),
        weights=table.text("weights", wanted="the file in models/ that holds the weights"),
        hash=table.text("hash", pattern=HASH, wanted="sha256: and 64 digits of 0-9 a-f"),
        settings=settings,
    )


def check_model_reasons(
    models: Sequence[ModelDeclaration], weights: Mapping[str, bytes], codes: Collection[str], notes: Notes
) -> dict[str, tuple[str, ...]]:
    """Codes that each reason column may hold. Every one has its sentence in reasons.toml, in both languages."""
    found: dict[str, tuple[str, ...]] = {}
    for model in models:
        content, reader = weights.get(model.weights), reader_of(model.estimator)
        if not model.reasons or content is None or reader is None:
            continue
        file = f"models/{model.name}.toml"
        try:
            told = reader(content, Asked(model.output, model.output_decimals, model.reasons), file).reasons
        except InputError as error:
            notes.add(file, "model.weights", error.what, found=error.found, known=error.allowed, cure=error.cure)
            continue
        for code in told:
            if code not in codes:
                notes.add(
                    file,
                    "model.reasons",
                    "the model tells a reason code that reasons.toml does not have",
                    found=code,
                    known=list(codes),
                    of="reason",
                )
        found |= dict.fromkeys(model.reason_columns, told)
    return found


def _weights(table: Table, model: ModelDeclaration, contents: Mapping[str, bytes]) -> bytes | None:
    if not model.weights:
        return None
    if f"models/{model.weights}" not in contents:
        there = [
            name.removeprefix("models/")
            for name in contents
            if name.startswith("models/") and not name.endswith(".toml")
        ]
        table.problem(
            "weights",
            "the weights file is not in the pack's folder models/",
            found=model.weights,
            known=there,
            cure="" if there else "Train the model: quanheng train PACK --data FILE",
        )
        return None
    content = contents[f"models/{model.weights}"]
    found = content_hash(content)
    if model.hash and found != model.hash:
        table.problem(
            "hash",
            "the weights file is not the one that was trained",
            found=found,
            known=model.hash,
            cure="Put back the trained file, or train again.",
        )
    return content


def _named_files(settings: Mapping[str, object]) -> set[str]:
    """Other files a model's declaration names, such as its card."""
    return {
        f"models/{value}"
        for table in settings.values()
        if isinstance(table, dict)
        for name, value in table.items()
        if name in {"card", "weights", "evidence"} and isinstance(value, str)
    }
