"""Policies that ask lists, judged by deciders: every decision as one process gives it, while the lists change."""

from __future__ import annotations

import json
import pickle
import random
import sys
from pathlib import Path

import pytest

from quanheng.cluster.deciding import Decider, Deciders
from quanheng.cluster.field import Lost
from quanheng.cluster.opening import PackFilesInForce
from quanheng.deciding import decide
from quanheng.decisions.lists import ListVerdict
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.listing import AskedChange
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.replay import replay

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from shop import DAY_MS, T0, HandClock
from test_governing import drafted, take

DMN = "policies/authorise.dmn"
DEVICE = b'<inputExpression id="decline_reasons_device_expression" typeRef="string"><text>device</text>'


def card_fraud(*changes):
    """The pack, changed: (file, text, its replacement). Its cases of lists would not hold then."""
    files = dict(read_packs()["card_fraud"].files)
    if changes:
        del files["cases/lists.toml"]
    for file, old, new in changes:
        assert old in files[file]
        files[file] = files[file].replace(old, new)
    return read_pack(files, "card_fraud")


class Away:
    """Deciders that only bytes reach and leave; every fifth part is lost."""

    def __init__(self):
        self.decider, self.asked, self.sent_bytes = Decider(), 0, []

    def ready(self, files, activated, activation):
        return 3

    def ask(self, files, asked):
        answers = []
        for one in asked:
            self.asked += 1
            sent = pickle.dumps((files, one))
            self.sent_bytes.append(sent)
            judged = pickle.loads(pickle.dumps(self.decider.judge(*pickle.loads(sent))))
            answers.append(Lost("test") if self.asked % 5 == 0 else judged)
        return answers


class Compared:
    """An engine whose groups are judged by deciders and here, and must be judged alike."""

    def __init__(self, folder, pack, seed=0, bench=None):
        self.chance, self.clock, self.count = random.Random(seed), HandClock(), 0
        self.engine = Engine.open(folder / "data", clock=self.clock)
        self.engine.activate([read_packs()["party"], pack])
        self.bench = bench or Away()
        self.far = Deciders(self.bench, PackFilesInForce(self.engine), 3, 3)
        self.engine.writer.judge = self._both
        self.blocked = 0

    def _both(self, program, asked):
        made, here = self.far(program, asked), decide(program, asked)
        assert [one and (one.numbers, one.payload) for one in made] == [
            one and (one.numbers, one.payload) for one in here
        ]
        self.blocked += sum("device_blocked" in one.body.reasons for one in here if one)
        return made

    def group(self, count=12):
        """Payments, and reports that no flow decides; the replies."""
        requests = []
        for _ in range(count):
            self.count += 1
            data = {"time_ms": T0 + self.count, "customer": f"c{self.chance.randrange(9)}", "amount_minor": 2_500}
            data |= {"terminal": f"t{self.chance.randrange(3)}"}
            if self.chance.random() < 0.8:
                data["device"] = self.chance.choice(["d0", "d1", "D1", "d2", "d3", "d4"])
            kind = "card.payment"
            if self.chance.random() < 0.1:
                kind = "card.fraud_report"
                data["payment_time_ms"] = T0
            else:
                data |= {"currency": self.chance.choice(["EUR", "XXX"]), "channel": self.chance.choice(["web", "chip"])}
            deadline_ms = 1 if self.chance.random() < 0.05 else 0
            requests.append(Request("web", f"p{self.count}", kind, json.dumps(data).encode(), deadline_ms))
        return self.engine.submit(requests)

    def change(self, *values, change="add", name="blocked_devices", actor="ann", **more):
        lists = self.engine.lists
        return lists.change(lists.prepare(AskedChange(name, change, values, actor, **more)), self.engine.four_eyes)

    def anything(self):
        """A change of the kind that people make, or time that passes."""
        device, draw = f"d{self.chance.randrange(5)}", self.chance.randrange(6)
        if draw == 0:
            self.change(device, change="remove")
        elif draw == 1:
            self.change(device, for_ms=self.chance.randrange(1, 3 * DAY_MS))
        elif draw == 2:
            self.change(f"t{self.chance.randrange(3)}", name="watched_terminals", for_ms=DAY_MS)
        elif draw == 3:
            self.engine.four_eyes = True
            first = self.change(device)["offset"]
            self.group(7)
            self.engine.lists.judge(ListVerdict(first, self.chance.random() < 0.5, "bo", "seen"))
            self.engine.four_eyes = False
        elif draw == 4:
            self.clock.now_ms += self.chance.randrange(DAY_MS)
        else:
            self.change(device, "d9")


@pytest.mark.parametrize("seed", range(6))
def test_every_decision_is_that_of_one_process_while_lists_change(seed, tmp_path):
    both = Compared(tmp_path, card_fraud(), seed)
    decided = []
    for _ in range(25):
        decided += [one.decision for one in both.group(both.chance.choice((2, 9, 30))) if one.status == "decided"]
        both.anything()
    assert both.blocked > 5
    assert both.far.sent > 30
    assert both.far.lost > 5
    assert both.far.unanswered == 0
    for one in both.chance.sample(decided, 12):  # Replay asks the lists as of the event's place in the log.
        assert replay(both.engine.reader, both.engine.snapshots, one).same
    both.engine.close()


def test_neither_keys_nor_lists_travel(tmp_path):
    both = Compared(tmp_path, card_fraud())
    both.change("d1", "not-in-any-event")
    both.group()
    key = both.engine.ring.pseudonym("party.device", "not-in-any-event")
    assert both.bench.sent_bytes
    assert both.blocked
    assert not any(b"not-in-any-event" in sent or key in sent for sent in both.bench.sent_bytes)
    both.engine.close()


def test_a_list_of_texts_is_asked_about_any_field(tmp_path):
    pack = card_fraud(
        ("lists.toml", b'of      = "party.device"', b'of      = "text"'),
        (DMN, DEVICE, DEVICE.replace(b">device<", b">channel<")),
    )
    both = Compared(tmp_path, pack)
    both.change("chip")
    both.group(40)
    assert both.blocked > 5
    assert both.far.sent == 3
    assert both.far.unanswered == 0
    both.engine.close()


def test_a_text_that_the_policy_puts_together_is_judged_where_the_lists_are(tmp_path):
    """The decider says that it was asked what it cannot know; from then on such events stay here, the others go."""
    upper = b">if device = null then null else upper case(device)<"
    pack = card_fraud((DMN, DEVICE, DEVICE.replace(b">device<", upper)))
    both = Compared(tmp_path, pack)
    both.group(40)
    assert both.far.sent == 3  # The list is empty: nothing needs to be known.
    assert both.far.unanswered == 0
    both.change("D1")
    both.group(40)
    assert both.far.sent == 6
    assert both.far.unanswered == 2  # The third was lost.
    assert both.blocked > 5
    both.group(40)
    assert both.far.sent == 6
    both.engine.activate([card_fraud()])  # Other versions are tried anew.
    both.group(40)
    assert both.far.sent == 9
    assert both.far.unanswered == 2
    both.engine.close()


def test_a_challenger_that_asks_another_list_for_its_share(tmp_path):
    both = Compared(tmp_path, card_fraud())
    other = card_fraud((DMN, b'list("blocked_devices")', b'"d3", list("blocked_devices")'))
    hash = drafted(both.engine, files=other.files, pack="card_fraud")
    take(both.engine, "share", version=hash, share_bp=5_000, pack="card_fraud")
    both.change("d1")
    for _ in range(4):
        both.group(40)
    arms = {one.body.arm for one in both.engine.writer.judge(*_last(both)) if one}
    assert arms == {"", hash}
    assert both.far.unanswered == 0
    both.engine.close()


def _last(both):
    """The program and the rows of a group, as the path gives them."""
    kept = []
    judge = both.engine.writer.judge
    both.engine.writer.judge = lambda *asked: kept.append(asked) or judge(*asked)
    both.group(40)
    both.engine.writer.judge = judge
    return kept[0]


def test_what_a_decider_says_of_lists_it_was_not_told_about(tmp_path):
    class Forgetful(Away):
        def ask(self, files, asked):
            return super().ask(files, [one._replace(lists={key: {} for key in one.lists}) for one in asked])

    both = Compared(tmp_path, card_fraud(), bench=Forgetful())
    both.change("d1")
    both.group(40)
    assert both.far.unanswered == 3
    assert both.blocked
    both.engine.close()
