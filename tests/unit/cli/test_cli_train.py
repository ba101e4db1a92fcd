"""`quanheng train` on a pack of one's own: from a declaration without weights to a pack whose cases pass."""

from __future__ import annotations

import json
import random

import pytest

from quanheng.cli.main import main
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.models.monitoring.reference import decode

EVENTS = """
[event."my_shop.trouble"]
title   = {en = "A request went bad", zh = "申请出了问题"}
subject = "customer"
time    = "time_ms"

[event."my_shop.trouble".fields]
time_ms  = {type = "time"}
customer = {type = "key", entity = "party.customer", class = "personal"}
request  = {type = "text", length_max = 40}
"""
MODEL = """
[model]
name = "trouble_score"
estimator = "lightgbm"
inputs = ["amount_minor", "customer_count_1d"]

[training]
event = "my_shop.request"
label_event = "my_shop.trouble"
label_field = "request"
group = "customer"
warmup_days = 1
delay_days = 2
test_days = 3
rounds = 5
seed = 1
top_k = 5

[monitoring]
window = "3d"
label_time = "time_ms"
"""
MAPPING = """
[event."my_shop.request"]
id                  = {column = "id"}
fields.time_ms      = {column = "time"}
fields.customer     = {column = "customer"}
fields.amount_minor = {column = "amount"}
fields.currency     = {constant = "EUR"}

[event."my_shop.trouble"]
where           = {column = "bad", equals = 1}
delay           = "1d"
fields.time_ms  = {column = "time"}
fields.customer = {column = "customer"}
fields.request  = {column = "id"}
"""


def told(capsys, *arguments):
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["pack", "new", "my_shop"]) == 0
    capsys.readouterr()
    return tmp_path / "my_shop"


def test_without_a_model_and_without_data_it_says_what_to_do(folder, capsys):
    code, _, err = told(capsys, "train", "my_shop")
    assert code == 2
    assert err.endswith("the pack has no model; allowed: none is declared. Declare it in models/NAME.toml.")
    declare_model(folder)
    code, _, err = told(capsys, "train", "my_shop")
    assert code == 2
    assert err.endswith(
        "pack my_shop: the pack declares no traffic to train on. "
        "Give a file of your own history with --data, or add traffic.toml to the pack."
    )


def test_a_first_training_writes_weights_and_says_so_in_the_declaration(folder, capsys):
    pytest.importorskip("lightgbm", reason="needs the extra `models`")
    declare_model(folder)
    draw = random.Random(1)
    rows, time_ms = ["id,time,customer,amount,bad"], 1_768_471_200_000
    for number in range(2_000):
        time_ms += draw.randrange(800_000)
        amount = draw.randrange(1, 100_000)
        bad = int(amount > 80_000 and draw.random() < 0.5)
        rows.append(f"o{number},{time_ms},c{draw.randrange(40)},{amount},{bad}")
    (folder.parent / "orders.csv").write_text("\n".join(rows) + "\n")
    code, out, _ = told(capsys, "train", "my_shop", "--data", "orders.csv")
    assert code == 0
    assert out.startswith("trouble_score: 5 trees, ")
    code, out, _ = told(capsys, "pack", "check", "my_shop")
    assert code == 0
    assert "4 golden cases pass" in out
    assert (folder / "models" / "trouble_score.trees").is_file()
    watched_with_its_reference(folder, capsys)


def watched_with_its_reference(folder, capsys):
    """What training wrote beside the weights is what the model is compared with when it is watched."""
    reference = decode((folder / "models" / "trouble_score.reference.json").read_bytes(), "reference")
    assert [one.name for one in reference.inputs] == ["amount_minor", "customer_count_1d"]
    assert reference.strength.rows > reference.strength.events > 0
    home, rows = folder.parent, (folder.parent / "orders.csv").read_text().splitlines()[1:]
    engine = Engine.open(home / "data", keys=home / "keys")
    engine.activate([read_packs()["party"], read_pack(folder)])
    requests = []
    for id, time_ms, customer, amount, bad in (row.split(",") for row in rows):
        data = {"time_ms": int(time_ms), "customer": customer, "amount_minor": int(amount), "currency": "EUR"}
        requests.append(Request("shop", id, "my_shop.request", json.dumps(data).encode()))
        if bad == "1":
            told_of = {"time_ms": int(time_ms) + 1, "customer": customer, "request": id}
            requests.append(Request("shop", f"bad {id}", "my_shop.trouble", json.dumps(told_of).encode()))
    engine.submit(requests)
    engine.close()
    _, out, _ = told(
        capsys, "models", "watch", "my_shop", "--json", "--data", str(home / "data"), "--keys", str(home / "keys")
    )
    found = json.loads(out)
    assert (found["decisions"], found["other_versions"]) == (2_000, 0)
    whole = [one for one in found["performance"] if one["separation"] is not None]
    assert sum(one["separation"]["events"] for one in whole) > 0, "labels are placed by label_time"
    assert all(one["psi"] is not None for period in found["periods"] for one in period["inputs"])


def declare_model(folder):
    with (folder / "events.toml").open("a", encoding="utf-8") as file:
        file.write(EVENTS)
    for name, text in (("models/risk.toml", MODEL), ("mappings/orders.toml", MAPPING)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    cases = folder / "cases" / "first.toml"
    lines = cases.read_text(encoding="utf-8").split("\n")
    scores = 'scores = {trouble_score = "missing"}'
    found = [part for line in lines for part in ([line, scores] if line.startswith("clock") else [line])]
    cases.write_text("\n".join(found), encoding="utf-8")
