"""HTTP and webhooks: one POST of JSON, signed where the address has a secret.

Redirects are not followed and proxies of the environment are not asked: a message goes to the address of the
configuration and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from quanheng.outbox.addresses import AddressSettings, secrets_of
from quanheng.outbox.ports import ANSWER_BYTES_MAX, Parcel, TryFailed
from quanheng.outbox.signing import ID_HEADER, SIGNATURE_HEADER, sign

LATER = (408, 425, 429)
"""Statuses below 500 that ask for another try."""
PAUSE_MAX_S = 86_400


class HttpPort:
    """Posts to one URL."""

    def __init__(self, name: str, settings: AddressSettings, environment: Mapping[str, str]) -> None:
        self._url = settings.url
        self._secrets = secrets_of(name, settings.secret_env, environment)
        hidden = {
            header: secrets_of(name, variable, environment)[0].decode()
            for header, variable in settings.header_env.items()
        }
        self._headers = {"content-type": "application/json", "user-agent": "quanheng", **settings.headers, **hidden}
        limits = httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self._client = httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=False)

    async def send(self, parcel: Parcel) -> bytes:
        """Post once; the answer is the body of a 2xx response."""
        headers = {**self._headers, ID_HEADER: parcel.id, "idempotency-key": parcel.id}
        if self._secrets:
            headers[SIGNATURE_HEADER] = sign(parcel.body, self._secrets, parcel.time_s)
        asked = self._client.stream(
            "POST", self._url, content=parcel.body, headers=headers, timeout=httpx.Timeout(parcel.timeout_s)
        )
        try:
            async with asked as response:
                if not response.is_success:
                    raise _refused(response)
                return await _read(response)
        except httpx.TimeoutException as error:
            raise TryFailed("no answer came in time", "timed_out") from error
        except httpx.HTTPError as error:
            raise TryFailed("no connection", "unreachable", found=type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _read(response: httpx.Response) -> bytes:
    """The body, of a bounded length."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            found = f"more than {ANSWER_BYTES_MAX} bytes"
            raise TryFailed("the answer is too long", "wrong_answer", found=found)
    return b"".join(parts)


def _refused(response: httpx.Response) -> TryFailed:
    status = f"status {response.status_code}"
    if response.status_code >= 500 or response.status_code in LATER:
        pause = response.headers.get("retry-after", "")
        pause_s = min(int(pause), PAUSE_MAX_S) if pause.isascii() and pause.isdigit() and len(pause) < 10 else 0
        return TryFailed("the other side cannot take it now", "failing", pause_ms=1000 * pause_s, found=status)
    # A redirect is no answer either: where it leads is not in the configuration.
    return TryFailed("the other side does not take it", "refused", final=True, found=status)
