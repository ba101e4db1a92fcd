"""Ports against real receivers: HTTP, signed webhooks, mail; ports of others; what makes no port."""

from __future__ import annotations

import asyncio
import email
import json
import socket
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

sys.path.insert(0, str(Path(__file__).parent))
from partner import ENVIRONMENT, SECRET, T0, HandClock, ask, opened, partner, place, sender_of, told

from quanheng.kernel.errors import ConfigurationError, MissingExtra
from quanheng.outbox import ports
from quanheng.outbox.addresses import AddressSettings, check_address
from quanheng.outbox.ports import TryFailed, make_port, options_of
from quanheng.outbox.signing import sign, verify
from quanheng.outbox.smtp_port import mail_of
from quanheng.testing.port_kit import TIME_S, check_port, parcel_of

MAIL = {"to": "anna@payer.example", "subject": "Your payment 付款", "body": "It was approved.\n"}


class MailServer:
    """A real SMTP server on loopback that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[email.message.Message] = []
        self.envelopes: list = []
        self.refuses, self.slow = "", 0.0

    async def handle_DATA(self, server, session, envelope) -> str:
        if self.refuses == "silent":
            await asyncio.sleep(2)
        if self.refuses in ("now", "never"):
            return "451 later" if self.refuses == "now" else "550 no such mailbox"
        self.envelopes.append(envelope)
        self.got.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@pytest.fixture
def mail():
    server = MailServer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    server.port = port
    yield server
    controller.stop()


def smtp(server: MailServer, **more: object) -> AddressSettings:
    return AddressSettings(
        channel="smtp", host="127.0.0.1", port=server.port, tls="none", sender="bank@bank.example", **more
    )


@pytest.mark.parametrize(("channel", "more"), [("http", {}), ("webhook", {"secret_env": "HOOK_SECRET"})])
def test_the_http_port_and_the_webhook_port_conform(channel, more):
    how = [""]

    def answer(got):
        if how[0] == "silent":
            time.sleep(2)
        return {"now": 503, "never": 400}.get(how[0], 200), b"{}"

    with partner(answer) as receiver:
        settings = AddressSettings(channel=channel, url=receiver.url, **more)
        broken = asyncio.run(check_port(
            lambda: make_port("x", settings, ENVIRONMENT), {"amount": 1},
            lambda: [one.headers["quanheng-id"] for one in receiver.got], lambda to: how.__setitem__(0, to),
        ))  # fmt: skip
    assert broken == []


def test_the_mail_port_conforms(mail):
    broken = asyncio.run(check_port(
        lambda: make_port("x", smtp(mail), ENVIRONMENT), MAIL, lambda: [one["Quanheng-Id"] for one in mail.got],
        lambda to: setattr(mail, "refuses", to),
    ))  # fmt: skip
    assert broken == []


def test_the_kit_finds_what_a_port_does_wrong():
    class Bad:
        async def send(self, parcel):
            if parcel.id.endswith("5b"):
                raise TryFailed("gone", "timed_out", final=True)
            raise TryFailed("no", "because", final=parcel.time_s < 0)

        async def close(self):
            pass

    found = asyncio.run(check_port(Bad, {}, list, lambda how: None))
    assert any("a message was not taken: no" in one for one in found)
    assert any("arrived 0" in one for one in found)
    assert any("does not arrive under the same id" in one for one in found)
    assert any("the reason 'because' is not one of timed_out" in one for one in found)
    assert any("(never) was told as not final" in one for one in found)
    assert any("was said to refuse for good" in one for one in found)
    assert any("does not send any more" in one for one in found)
    assert asyncio.run(check_port(object, {}, list, lambda how: None)) == ["it lacks a method of the protocol Port"]

    class Raw(Bad):
        async def send(self, parcel):
            raise ValueError("x")

    assert any(
        "must be told as TryFailed, was ValueError" in one
        for one in asyncio.run(check_port(Raw, {}, list, lambda how: None))
    )

    class Yes(Bad):
        async def send(self, parcel):
            return b""

    assert any("was said to have taken" in one for one in asyncio.run(check_port(Yes, {}, list, lambda how: None)))


def send_once(settings: AddressSettings, parcel) -> bytes:
    async def once() -> bytes:
        port = make_port("x", settings, ENVIRONMENT)
        try:
            return await port.send(parcel)
        finally:
            await port.close()

    return asyncio.run(once())


def test_a_webhook_is_signed_and_carries_what_the_configuration_says():
    with partner() as payer:
        settings = AddressSettings(
            channel="webhook", url=payer.url + "?a=1", secret_env="HOOK_SECRET", headers={"X-Bank": "b"},
            header_env={"Authorization": "TOKEN"},
        )  # fmt: skip
        send_once(settings, parcel_of(7, {"amount": 1}))
    [got] = payer.got
    assert got.path == "/ask?a=1"
    assert (got.headers["authorization"], got.headers["x-bank"]) == ("Bearer t0ken", "b")
    header = got.headers["quanheng-signature"]
    assert header.startswith(f"t={TIME_S},v1=")
    assert verify(got.body, header, SECRET.encode(), TIME_S + 60)
    assert not verify(got.body + b" ", header, SECRET.encode(), TIME_S)


VERIFY = [
    # header, now, whether
    (sign(b"x", [b"k"], 100), 100, True),
    (sign(b"x", [b"old", b"k"], 100), 400, True),
    (sign(b"x", [b"k"], 100), 401, False),
    (sign(b"x", [b"k"], 401), 100, False),
    (sign(b"x", [b"other"], 100), 100, False),
    (sign(b"y", [b"k"], 100), 100, False),
    (sign(b"x", [b"k"], 100).replace("v1", "v0"), 100, False),
    (sign(b"x", [b"k"], 100).replace("t=100", "t=101"), 100, False),
    ("t=100," + sign(b"x", [b"k"], 100), 100, False),
    ("", 100, False),
    ("t=,v1=", 0, False),
    ("t=²,v1=x", 2, False),
    ("t=100,v1=\udcff", 100, False),
    ("t=" + "9" * 400 + ",v1=x", 100, False),
]


@pytest.mark.parametrize(("header", "now_s", "good"), VERIFY, ids=range(len(VERIFY)))
def test_a_signature_holds_for_its_body_its_secret_and_its_time(header, now_s, good):
    assert verify(b"x", header, b"k", now_s) is good


def test_the_signature_is_hmac_sha256_of_time_and_body():
    # Computed by: printf '1768471200.{}' | openssl dgst -sha256 -hmac s3cret
    import hashlib
    import hmac

    expected = hmac.new(b"s3cret", b"1768471200.{}", hashlib.sha256).hexdigest()
    assert sign(b"{}", [b"s3cret"], 1768471200) == f"t=1768471200,v1={expected}"


def test_a_mail_has_its_parts_and_the_id_of_its_message(mail):
    assert send_once(smtp(mail), parcel_of(7, {**MAIL, "to": "anna@payer.example, bert@payer.example"})) == b""
    [one], [envelope] = mail.got, mail.envelopes
    assert envelope.rcpt_tos == ["anna@payer.example", "bert@payer.example"]
    assert envelope.mail_from == "bank@bank.example"
    assert (one["From"], one["Subject"]) == ("bank@bank.example", "Your payment 付款")
    assert one.get_content().strip() == "It was approved."
    assert (one["Quanheng-Id"], one["Message-ID"]) == (f"{7:032x}", f"<{7:032x}@bank.example>")
    assert one["Date"].startswith("Thu, 15 Jan 2026 10:00:00")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**MAIL, "to": None}, "a part of the mail is no text"),
        ({**MAIL, "body": 7}, "a part of the mail is no text"),
        ({**MAIL, "to": ""}, "a recipient of the mail is no address"),
        ({**MAIL, "to": "anna"}, "a recipient of the mail is no address"),
        ({**MAIL, "to": "a@b.example\r\nBcc: c@d.example"}, "a recipient of the mail is no address"),
        ({**MAIL, "to": "a@b.example,"}, "a recipient of the mail is no address"),
    ],
)
def test_a_mail_that_cannot_be_sent(body, message):
    with pytest.raises(TryFailed, match=message) as error:
        mail_of(parcel_of(1, body), "bank@bank.example")
    assert (error.value.reason, error.value.final) == ("unsendable", True)


def test_no_text_of_a_mail_adds_a_header():
    mail, _ = mail_of(parcel_of(1, {**MAIL, "subject": "a\r\nBcc: c@d.example"}), "bank@bank.example")
    assert mail["Subject"] == "a Bcc: c@d.example"
    assert mail["Bcc"] is None


def test_what_a_mail_server_refuses(mail):
    for how, text in (("now", "the mail server cannot take it now; was code 451"),
                      ("never", "the mail server does not take it; was code 550")):  # fmt: skip
        mail.refuses = how
        with pytest.raises(TryFailed, match=text):
            send_once(smtp(mail), parcel_of(1, MAIL))
    gone = AddressSettings(channel="smtp", host="127.0.0.1", port=1, tls="none", sender="bank@bank.example")
    with pytest.raises(TryFailed, match="no connection; was SMTPConnectError"):
        send_once(gone, parcel_of(1, MAIL))


def test_a_wrong_password_is_tried_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        MailServer(), hostname="127.0.0.1", port=port, auth_require_tls=False, auth_required=True,
        authenticator=lambda *_: AuthResult(success=False, handled=False),
    )  # fmt: skip
    controller.start()
    try:
        settings = AddressSettings(
            channel="smtp", host="127.0.0.1", port=port, tls="none", sender="bank@bank.example", user="bank",
            password_env="TOKEN",
        )  # fmt: skip
        with pytest.raises(TryFailed, match="the mail server does not let us in; was code 535") as error:
            send_once(settings, parcel_of(1, MAIL))
        assert (error.value.reason, error.value.final) == ("failing", False)
    finally:
        controller.stop()


def test_a_payment_mails_and_calls_its_payer(tmp_path, mail):
    clock = HandClock()
    engine = opened(tmp_path, clock, "notify:mail_payer", "notify:tell_payer")
    engine.submit([ask("a", 12_345)])
    with partner(lambda got: (202, b"not read")) as payer:
        places = {
            "mail": place("smtp", host="127.0.0.1", port=mail.port, tls="none", sender="bank@bank.example"),
            "payer": place("webhook", url=payer.url, secret_env="HOOK_SECRET"),
        }
        sender = sender_of(engine, places, clock)
        asyncio.run(sender.send_due())
    assert mail.got[0].get_content().strip() == "It was approved."
    assert json.loads(payer.got[0].body) == {"amount": 123.45}
    assert verify(payer.got[0].body, payer.got[0].headers["quanheng-signature"], SECRET.encode(), T0 // 1000)
    assert [(one["result"], one["tries"]) for one in told(engine)] == [("sent", 1), ("sent", 1)]
    engine.close()


def test_ports_of_others_are_found_by_their_entry_point(monkeypatch):
    class Sms:
        def __init__(self, name, settings, environment):
            self.options = options_of(name, settings, environment)

        async def send(self, parcel):
            return b""

        async def close(self):
            pass

    point = EntryPoint("acme", "acme:Sms", ports.PORTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Sms)
    monkeypatch.setattr(ports, "entry_points", lambda group: [point] if group == ports.PORTS else [])
    settings = AddressSettings(channel="sms", adapter="acme", options={"from": "BANK"}, option_env={"key": "TOKEN"})
    port = make_port("x", settings, ENVIRONMENT)
    assert port.options == {"from": "BANK", "key": "Bearer t0ken"}
    with pytest.raises(ConfigurationError, match=r"no installed package brings this adapter; was other; allowed: acme"):
        make_port("x", AddressSettings(channel="sms", adapter="other"), ENVIRONMENT)


def test_a_secret_that_is_not_in_the_environment():
    settings = AddressSettings(channel="webhook", url="http://h/", secret_env="NOT_SET")
    with pytest.raises(ConfigurationError, match=r"x: an environment variable of an address is not set; was NOT_SET"):
        make_port("x", settings, {})


def test_mail_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    with pytest.raises(MissingExtra, match=r"sending mail needs the package 'aiosmtplib'.*quanheng\[calls\]"):
        make_port("x", AddressSettings(channel="smtp", host="h", tls="none", sender="a@b"), {})


HTTP = {"channel": "http", "url": "https://bureau.example/ask"}
SMTP = {"channel": "smtp", "host": "mail.bank.example", "sender": "bank@bank.example"}
WRONG = [
    ({}, ["channel was ''; allowed: http, webhook, smtp, sms, push"]),
    ({**HTTP, "concurrency": 0}, ["concurrency was 0; allowed: 1 to 1000"]),
    ({**HTTP, "url": "ftp://x/"}, ["url was 'ftp://x/'; allowed: an address such as 'https://partner.example/path'"]),
    ({**HTTP, "url": "http://[/"}, ["url was 'http://[/'; allowed: an address such as 'https://partner.example/path'"]),
    ({**HTTP, "url": "https://u:p@x/"}, ["url holds a user or a password; allowed: none, put them into header_env"]),
    ({**HTTP, "headers": {"Host": "x"}}, ["sets the header 'Host'; allowed: any but "]),
    ({**HTTP, "header_env": {"a b": "X"}}, ["sets the header 'a b'; allowed: any but "]),
    ({**HTTP, "channel": "webhook"}, ["secret_env is missing; allowed: the environment variable with the secret"]),
    ({**HTTP, "secret_env": "A-B"}, ["names the environment variable 'A-B'; allowed: letters, digits and _"]),
    ({**SMTP, "host": ""}, ["host is missing; allowed: the name of a mail server"]),
    ({**SMTP, "port": 70_000}, ["port was 70000; allowed: 0 (the usual one) to 65535"]),
    ({**SMTP, "tls": "ssl"}, ["tls was 'ssl'; allowed: tls, starttls, none"]),
    ({**SMTP, "sender": "bank"}, ["sender was 'bank'; allowed: an address such as 'bank@bank.example'"]),
    ({**SMTP, "user": "u"}, ["password_env is missing; allowed: the environment variable with the password of u"]),
    ({**SMTP, "user": "u", "password_env": "P", "tls": "none"}, ["tls was 'none' with a user; allowed: tls or"]),
    ({"channel": "sms"}, ["adapter is missing; allowed: the name of an entry point that sends sms"]),
    (HTTP, []),
    (SMTP, []),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "expected"), WRONG, ids=range(len(WRONG)))
def test_an_address_is_checked(settings, expected):
    found = check_address("x", AddressSettings(**settings))
    assert len(found) == len(expected), found
    for one, text in zip(found, expected, strict=True):
        assert one.removeprefix("outbox.addresses.x").lstrip(". ").startswith(text), one
