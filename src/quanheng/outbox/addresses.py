"""Where messages go: the addresses of the configuration, `[outbox.addresses.NAME]`.

Packs name an address and hold neither hosts nor secrets; secrets are in the environment, never in a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from quanheng.kernel.errors import ConfigurationError

CHANNELS = ("http", "webhook", "smtp", "sms", "push")
TLS = ("tls", "starttls", "none")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
OWN_HEADERS = ("content-type", "content-length", "host", "idempotency-key", "quanheng-id", "quanheng-signature")
"""Headers that Quanheng sets itself."""


class AddressSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One address; docs/reference/configuration.md describes every key.

    channel : how messages go there: a call or notice of another channel is not sent
    url : of http and webhook
    headers : that are sent along; header_env : header → environment variable that holds its value, such as a token
    secret_env : environment variable with the secret of signatures; two of them, separated by a space, while it changes
    host, port, tls, user, password_env, sender : of smtp
    adapter : of sms and push: name of the entry point that sends
    options : of that adapter; option_env : option → environment variable that holds its value
    concurrency : messages on their way there at once
    """

    channel: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    header_env: dict[str, str] = {}
    secret_env: str = ""
    host: str = ""
    port: int = 0
    tls: str = "starttls"
    user: str = ""
    password_env: str = ""
    sender: str = ""
    adapter: str = ""
    options: dict[str, str] = {}
    option_env: dict[str, str] = {}
    concurrency: int = 8


def check_address(name: str, settings: AddressSettings) -> list[str]:
    """What is wrong with an address, each as a clause."""
    at = f"outbox.addresses.{name}"
    if settings.channel not in CHANNELS:
        return [f"{at}.channel was {settings.channel!r}; allowed: {', '.join(CHANNELS)}"]
    found = []
    if not 1 <= settings.concurrency <= 1_000:
        found.append(f"{at}.concurrency was {settings.concurrency}; allowed: 1 to 1000")
    if settings.channel in ("http", "webhook"):
        found += _check_http(at, settings)
    elif settings.channel == "smtp":
        found += _check_smtp(at, settings)
    elif not settings.adapter:
        found.append(f"{at}.adapter is missing; allowed: the name of an entry point that sends {settings.channel}")
    variables = [settings.password_env, *settings.secret_env.split(), *settings.header_env.values()]
    for variable in [*variables, *settings.option_env.values()]:
        if variable and not _VARIABLE.fullmatch(variable):
            found.append(f"{at} names the environment variable {variable!r}; allowed: letters, digits and _")
    return found


def _check_http(at: str, settings: AddressSettings) -> list[str]:
    found = []
    try:
        url = urlsplit(settings.url)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        url, sound = urlsplit(""), False
    if not sound or url.fragment:
        found.append(f"{at}.url was {settings.url!r}; allowed: an address such as 'https://partner.example/path'")
    elif url.username is not None or url.password is not None:
        found.append(f"{at}.url holds a user or a password; allowed: none, put them into header_env")
    for header in [*settings.headers, *settings.header_env]:
        if not _HEADER.fullmatch(header) or header.lower() in OWN_HEADERS:
            found.append(f"{at} sets the header {header!r}; allowed: any but {', '.join(OWN_HEADERS)}")
    if settings.channel == "webhook" and not settings.secret_env:
        found.append(f"{at}.secret_env is missing; allowed: the environment variable with the secret of the signature")
    return found


def _check_smtp(at: str, settings: AddressSettings) -> list[str]:
    found = []
    if not settings.host:
        found.append(f"{at}.host is missing; allowed: the name of a mail server")
    if not 0 <= settings.port <= 65_535:
        found.append(f"{at}.port was {settings.port}; allowed: 0 (the usual one) to 65535")
    if settings.tls not in TLS:
        found.append(f"{at}.tls was {settings.tls!r}; allowed: {', '.join(TLS)}")
    if "@" not in settings.sender or any(one in settings.sender for one in "\r\n<>"):
        found.append(f"{at}.sender was {settings.sender!r}; allowed: an address such as 'bank@bank.example'")
    if settings.user and not settings.password_env:
        found.append(
            f"{at}.password_env is missing; allowed: the environment variable with the password of {settings.user}"
        )
    if settings.user and settings.tls == "none":
        found.append(f"{at}.tls was 'none' with a user; allowed: tls or starttls, so that nobody reads the password")
    return found


def secrets_of(name: str, variables: str, environment: Mapping[str, str]) -> list[bytes]:
    """The values of environment variables.

    Raises
    ------
    ConfigurationError : one is not set
    """
    found = []
    for variable in variables.split():
        value = environment.get(variable, "")
        if not value:
            raise ConfigurationError(
                "an environment variable of an address is not set",
                where=f"outbox.addresses.{name}",
                found=variable,
                cure="Set it before the server starts.",
            )
        found.append(value.encode())
    return found
