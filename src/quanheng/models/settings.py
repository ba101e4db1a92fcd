"""How a model is trained: the `[training]` table of its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from quanheng.kernel.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared, ModelDeclaration

_FIXED = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "objective": "binary", "verbose": -1}
"""What training twice to the same bytes needs, whatever the pack says."""


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one training.

    event : type of the events that are scored
    label_event, label_field : the event that says one was bad, and its field that holds the id of the scored one
    group : key field whose rows go together when intervals are drawn
    warmup_days : days at the start of the data that only fill the windows
    delay_days : days between the training and the test window, until labels are known
    test_days : days at the end that are held out
    rounds : trees
    seed : of every random choice
    top_k : cards looked at per day
    label_value : boolean field of the label event that says bad or good: `label_field` is then a field of both events,
        and only what was told of is learnt from; empty = an event that was not named by any label event is good
    scorecard : settings of a scorecard, as `ScorecardSettings` has them
    parameters : of LightGBM; those that keep training reproducible cannot be changed
    """

    event: str
    label_event: str
    label_field: str
    group: str
    warmup_days: int = 30
    delay_days: int = 7
    test_days: int = 7
    rounds: int = 150
    seed: int = 1
    top_k: int = 100
    label_value: str = ""
    scorecard: Mapping[str, object] = {}
    parameters: Mapping[str, float | int | str | bool] = {}

    def lightgbm(self) -> dict[str, object]:
        """Parameters as LightGBM takes them."""
        return {**self.parameters, **_FIXED, "seed": self.seed}


def choose_model(declared: Declared, name: str = "") -> ModelDeclaration:
    """The model of that name, or the only one.

    Raises
    ------
    NotFound : the pack has no such model, or several and none was named
    """
    models = {model.name: model for model in declared.models}
    if name in models:
        return models[name]
    if not name and len(models) == 1:
        return next(iter(models.values()))
    raise NotFound(
        "there is no such model" if name else "the pack has several models" if models else "the pack has no model",
        where=f"pack {declared.name}",
        found=name,
        allowed=", ".join(models) or "none is declared",
        cure="Name one of them." if models and not name else "Declare it in models/NAME.toml.",
    )


def read_training(model: ModelDeclaration) -> Training:
    """The `[training]` table of a model.

    Raises
    ------
    ConfigurationError : the table is missing or a value does not fit
    """
    where = f"models/{model.name}: training"
    table = model.settings.get("training")
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            "the model does not say how it is trained",
            where=where,
            allowed=", ".join(Training.__struct_fields__),
            cure="Add the table [training].",
        )
    try:
        return msgspec.convert(_plain(table), Training)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            "a setting does not fit", where=where, found=str(error), allowed=", ".join(Training.__struct_fields__)
        ) from None


def _plain(value: object) -> object:
    """TOML values with Decimal as the float that LightGBM takes."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.__float__() if isinstance(value, Decimal) else value
