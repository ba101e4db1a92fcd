"""Signatures of webhooks: whoever gets one can prove who sent it, that nothing was changed, and that it is fresh.

    Quanheng-Signature: t=1768471200,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd

`t` is the moment of sending in seconds since 1970, `v1` HMAC-SHA256 (RFC 2104) under the shared secret over the decimal
digits of `t`, a full stop, and the bytes of the body. While a secret is changed there may be several `v1`. Receivers
may import `verify`, which needs the standard library only, or do the same in any language.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

SIGNATURE_HEADER, ID_HEADER = "Quanheng-Signature", "Quanheng-Id"
TOLERANCE_S = 300
"""How far the clocks of both sides may be apart, with the way in between."""


def sign(body: bytes, secrets: Sequence[bytes], time_s: int) -> str:
    """The value of the header, with a signature for each secret."""
    return ",".join([f"t={time_s}", *(f"v1={_digest(body, secret, time_s)}" for secret in secrets)])


def verify(body: bytes, header: str, secret: bytes, now_s: int, tolerance_s: int = TOLERANCE_S) -> bool:
    """Whether a request was signed under this secret, lately.

    Parameters
    ----------
    body : the bytes as they came, before anything reads them
    header : the value of `Quanheng-Signature`
    now_s : the receiver's clock, seconds since 1970
    tolerance_s : how far `t` may be from it; what is older may be a copy of an old request

    Comparisons take the same time wherever the texts differ. Repeats within the tolerance are told by `Quanheng-Id`.
    """
    times: list[str] = []
    given: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name in ("t", "v1"):
            (times if name == "t" else given).append(value)
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > 15:
        return False
    time_s = int(times[0])
    if abs(now_s - time_s) > tolerance_s:
        return False
    expected = _digest(body, secret, time_s).encode()
    return sum(hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in given) > 0


def _digest(body: bytes, secret: bytes, time_s: int) -> str:
    return hmac.new(secret, b"%d." % time_s + body, hashlib.sha256).hexdigest()
