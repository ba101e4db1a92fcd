"""Mail by SMTP (RFC 5321), one message a connection, over TLS unless the configuration says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any

import msgspec

from quanheng.kernel.errors import MissingExtra
from quanheng.outbox.addresses import AddressSettings, secrets_of
from quanheng.outbox.ports import Parcel, TryFailed
from quanheng.outbox.signing import ID_HEADER

PORTS = {"tls": 465, "starttls": 587, "none": 25}
RECIPIENTS_MAX = 100
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]\\@]+@[^\s<>,;:\"()\[\]\\@]+")


class SmtpPort:
    """Sends through one mail server."""

    def __init__(self, name: str, settings: AddressSettings, environment: Mapping[str, str]) -> None:
        try:
            import aiosmtplib
        except ImportError as error:
            raise MissingExtra("aiosmtplib", "calls", "sending mail") from error
        self._smtp: Any = aiosmtplib
        self._settings = settings
        password = secrets_of(name, settings.password_env, environment)
        self._password = password[0].decode() if password else None

    async def send(self, parcel: Parcel) -> bytes:
        """Hand the mail to the server once; it gives no answer."""
        settings, smtp = self._settings, self._smtp
        mail, recipients = mail_of(parcel, settings.sender)
        try:
            await smtp.send(
                mail, sender=settings.sender, recipients=recipients, hostname=settings.host,
                port=settings.port or PORTS[settings.tls], username=settings.user or None, password=self._password,
                timeout=parcel.timeout_s, use_tls=settings.tls == "tls", start_tls=settings.tls == "starttls",
            )  # fmt: skip
        except smtp.SMTPTimeoutError as error:
            raise TryFailed("no answer came in time", "timed_out") from error
        except smtp.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            raise _refused(max(codes, default=550)) from error
        except smtp.SMTPAuthenticationError as error:  # It may be mended in the configuration, not in the mail.
            raise TryFailed("the mail server does not let us in", "failing", found=f"code {error.code}") from error
        except smtp.SMTPResponseException as error:
            raise _refused(error.code) from error
        except (smtp.SMTPException, OSError, ValueError) as error:
            raise TryFailed("no connection", "unreachable", found=type(error).__name__) from error
        return b""

    async def close(self) -> None:
        """Nothing is kept open."""


def _refused(code: int) -> TryFailed:
    """4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
    if code < 500:
        return TryFailed("the mail server cannot take it now", "failing", found=f"code {code}")
    return TryFailed("the mail server does not take it", "refused", final=True, found=f"code {code}")


def mail_of(parcel: Parcel, sender: str) -> tuple[EmailMessage, list[str]]:
    """The mail, and to whom it goes.

    `to` may hold several addresses, separated by commas. No text can add a header: they hold no line breaks.

    Raises
    ------
    TryFailed : a part is no text, or there is no recipient
    """
    parts = msgspec.json.decode(parcel.body, type=dict[str, Any])
    to, subject, text = (parts.get(name) for name in ("to", "subject", "body"))
    if not (isinstance(to, str) and isinstance(subject, str) and isinstance(text, str)):
        raise TryFailed("a part of the mail is no text", "unsendable", final=True)
    recipients = [one.strip() for one in to.split(",")]
    if not all(_ADDRESS.fullmatch(one) for one in recipients) or len(recipients) > RECIPIENTS_MAX:
        raise TryFailed("a recipient of the mail is no address", "unsendable", final=True)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = sender, ", ".join(recipients)
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = formatdate(parcel.time_s, usegmt=True)
    mail["Message-ID"] = f"<{parcel.id}@{sender.rpartition('@')[2]}>"
    mail[ID_HEADER] = parcel.id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail, recipients
