"""Models over HTTP: the registry read, and a trained model drafted. Steps after the draft are those of its version."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from quanheng.server.bodies import ModelDraftBody, content_of
from quanheng.server.change_api import StepReply, described
from quanheng.server.changes import MODEL_DRAFT, Changes, Pack, typed
from quanheng.server.config import Limits

Model = Annotated[str, PathParameter(description="Name of the model, as policies ask for its score.")]
Which = Annotated[
    str, PathParameter(description="First digits of the model's hash or of a version's, at least 8; `active` in force.")
]
MODELS, OF_PACK, ONE = "/v1/models", "/v1/models/{pack}", "/v1/models/{pack}/{model}/{version}"
HISTORY, COMPARE = "/v1/models/{pack}/{model}/history", "/v1/models/{pack}/{model}/compare"

LISTED = described(
    "getModels",
    "Models of all packs",
    "Needs scope read. Every model that a version ever held: hash, where it stands (with a title in English and "
    "Chinese), who proposed and approved it, since when it decided.",
    "models",
    dict[str, Any],
)
OF_PACK_TEXT = {**LISTED, "operation_id": "getModelsOfPack", "summary": "Models of one pack"}
SHOWN = described(
    "getModel",
    "A model with its card",
    "Needs scope read. Card with intervals, what people say of it, what the card lacks for a promotion, approvals and "
    "every other step as the log has them, and where the score is used.",
    "models",
    dict[str, Any],
)
HISTORY_TEXT = described(
    "getModelHistory", "Every step of every version that brought the model", "Needs scope read.", "models",
    dict[str, Any],
)  # fmt: skip
COMPARED = described(
    "getModelComparison",
    "Two models side by side",
    "Needs scope read. Figures of both cards with intervals; `auc` is the difference on the same rows with its 95 % "
    "interval, or null, and `why_no_auc` says why.",
    "models",
    dict[str, Any],
)
DRAFTED = described(
    "postModelDraft",
    "Draft a trained model",
    "Needs scope author: you become the author of a version that differs from `base` in this model alone. What is "
    "wrong is listed as for any draft.",
    "models",
    StepReply,
    ModelDraftBody,
    files={"risk.toml": "…", "risk.trees": {"base64": "…"}},
    reason="Trained on the year to June",
)


def handlers(limits: Limits, changes: Changes) -> list[HTTPRouteHandler]:
    """The handlers of every address of models."""

    @get(MODELS, **LISTED)
    async def models(request: Request) -> Response[bytes]:
        return await changes.read(request, "models", {})

    @get(typed(OF_PACK), **OF_PACK_TEXT)
    async def of_pack(request: Request, pack: Pack) -> Response[bytes]:
        return await changes.read(request, "models", {"pack": pack})

    @get(typed(HISTORY), **HISTORY_TEXT)
    async def history(request: Request, pack: Pack, model: Model) -> Response[bytes]:
        return await changes.read(request, "model_history", {"pack": pack, "model": model})

    @get(typed(COMPARE), **COMPARED)
    async def compare(
        request: Request,
        pack: Pack,
        model: Model,
        before: Annotated[str, QueryParameter(description="First digits of a hash; `active` in force.")] = "active",
        after: Annotated[str, QueryParameter(description="First digits of a hash; `active` in force.")] = "active",
    ) -> Response[bytes]:
        asked = {"pack": pack, "model": model, "before": before, "after": after}
        return await changes.read(request, "model_compare", asked)

    @get(typed(ONE), **SHOWN)
    async def shown(request: Request, pack: Pack, model: Model, version: Which) -> Response[bytes]:
        return await changes.read(request, "model_show", {"pack": pack, "model": model, "version": version})

    @post(typed(MODEL_DRAFT), status_code=200, request_max_body_size=limits.pack_bytes_max, **DRAFTED)
    async def draft(request: Request, pack: Pack, model: Model) -> Response[bytes]:
        def make(body: ModelDraftBody) -> tuple[str, dict[str, Any]]:
            asked = {"step": "draft", "pack": pack, "model": model, "base": body.base, "reason": body.reason}
            return "step", {**asked, "files": content_of(body.files)}

        return await changes.change(request, MODEL_DRAFT, ModelDraftBody, make)

    return [models, of_pack, history, compare, shown, draft]
