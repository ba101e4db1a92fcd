"""Models over HTTP: a trained model drafted, the registry read, whoever may not is refused."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from rated import model_folder, rated_engine, stump
from test_server_changes import Office, bare_edge

FIRST, SECOND = (stump(one).hash for one in (300_000, 351_000))


def sent(folder: dict[str, bytes]) -> dict[str, object]:
    return {
        name: data.decode() if name.endswith(".toml") else {"base64": base64.b64encode(data).decode()}
        for name, data in folder.items()
    }


def test_a_model_is_drafted_read_and_compared(tmp_path):
    async def story(one):
        body = {"files": sent(model_folder(351_000)), "reason": "the year to June"}
        status, refused = await one.post("ben", "models/rated/risk_score/draft", body)
        assert (status, "the client may not do this" in refused["error"]) == (403, True)
        status, drafted = await one.post("ann", "models/rated/risk_score/draft", body)
        assert (status, drafted["step"], drafted["actor"]) == (200, "draft", "ann"), drafted
        status, listed = await one.get("rita", "models")
        assert (status, [(model["hash"], model["status"]) for model in listed["models"]]) == (
            200, [(FIRST, "champion"), (SECOND, "draft")],
        )  # fmt: skip
        assert (await one.get("rita", "models/rated"))[1] == listed
        status, shown = await one.get("rita", f"models/rated/risk_score/{drafted['hash'][:10]}")
        assert (status, shown["hash"], shown["lacks"], shown["proposed_by"]) == (200, SECOND, [], ["ann"])
        assert shown["card"]["metrics"]["auc_roc"]["low"] < shown["card"]["metrics"]["auc_roc"]["value"]
        status, history = await one.get("rita", "models/rated/risk_score/history")
        assert (status, [step["step"] for step in history["steps"]]) == (200, ["install", "draft"])
        status, found = await one.get("rita", "models/rated/risk_score/compare", query=f"after={SECOND}")
        assert (status, found["auc"]["rows"], found["verdict"]["zh"]) == (200, 400, "在相同样本上，后者区分能力更强")

    told(tmp_path, story)


def test_what_is_wrong_is_answered_with_its_cure(tmp_path):
    async def story(one):
        for path, wanted, text in (
            ("models/shop", 404, "there is no such model here"),
            ("models/rated/risk_score/0123456789", 404, "no model begins like that"),
            ("models/rated/risk_score/compare", 422, "a model is compared with another"),
        ):
            status, body = await one.get("rita", path)
            assert (status, text in body["error"]) == (wanted, True), body
        assert (await one.get("nobody", "models"))[0] == 401
        changed = model_folder(351_000)
        changed["risk.trees"] = stump(400_000).to_bytes()
        status, body = await one.post("ann", "models/rated/risk_score/draft", {"files": sent(changed)})
        assert (status, {problem["key"] for problem in body["problems"]} >= {"model.hash"}) == (422, True)
        poor = sent(model_folder(351_000, limits=()))
        status, drafted = await one.post("ann", "models/rated/risk_score/draft", {"files": poor})
        asked = {"reason": "please"}
        status, body = await one.post("ann", f"policies/rated/{drafted['hash']}/submit", asked)
        assert (status, [problem["key"] for problem in body["problems"]]) == (422, ["card.limits"])

    told(tmp_path, story)


def told(tmp_path, story):
    async def run():
        engine = rated_engine(tmp_path)
        async with bare_edge(tmp_path, engine, **{"limits.timeout_ms": 0}) as edge:
            await story(Office(edge, engine))
        engine.close()

    asyncio.run(run())
