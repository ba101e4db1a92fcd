"""Where a monitor asks for the checkpoints of a log: a server of ours over HTTP(S), or a file that was sent."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from quanheng.kernel import checkpoint as signing
from quanheng.kernel.errors import InputError, NotFound, QuanhengError
from quanheng.kernel.proof_file import ConsistencyFile, decode

ANSWER_BYTES_MAX = 1 << 20
TIMEOUT_S = 30.0


class LogUnreachable(QuanhengError):
    """The server could not be asked, or did not answer as it should: nothing was learned about its log."""


class _Consistency(msgspec.Struct):
    old_size: int
    new_size: int
    path: tuple[bytes, ...]


class HttpSource:
    """The log of a running server.

    Parameters
    ----------
    address : of the server, as https://bank.example:8770
    token : bearer token of the scope watch
    open_url : opens a request; tests bring another
    """

    def __init__(self, address: str, token: str, open_url: Callable[..., Any] = urllib.request.urlopen) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("not an address of a server", found=address, allowed="http://… or https://…")
        self._address, self._token, self._open = address.rstrip("/"), token, open_url
        self.is_live = True

    def checkpoint(self) -> str:
        """The log's newest signed note."""
        return self._get("/v1/log/checkpoint").decode("utf-8", "replace")

    def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """The path from one size to another."""
        body = self._get("/v1/log/consistency?" + urlencode({"old": old_size, "new": new_size}))
        try:
            made = msgspec.json.decode(body, type=_Consistency)
        except msgspec.DecodeError as error:
            raise LogUnreachable(
                "the answer is no consistency proof",
                where=self._address,
                found=str(error),
                cure="Is it a server of Quanheng? Ask again, or look at its /schema.",
            ) from error
        return made.path

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(self._address + path)
        if self._token:  # It is not sent on to where a redirect leads.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                body: bytes = answer.read(ANSWER_BYTES_MAX + 1)
        except urllib.error.HTTPError as error:
            told = error.read(2_000).decode("utf-8", "replace")
            raise LogUnreachable(
                "the server did not give what was asked",
                where=self._address + path,
                found=f"{error.code} {told}".strip(),
                cure="Give a token of the scope watch in QUANHENG_TOKEN, or ask again later.",
            ) from error
        except OSError as error:
            raise LogUnreachable(
                "the server cannot be reached",
                where=self._address,
                found=str(error),
                cure="Ask again later; a log that stays away has something to explain.",
            ) from error
        if len(body) > ANSWER_BYTES_MAX:
            raise LogUnreachable(
                "the answer is too long", where=self._address, allowed=f"at most {ANSWER_BYTES_MAX} bytes"
            )
        return body


class FileSource:
    """A file that the log's owner has sent: a checkpoint, or a consistency proof, which holds the newer one."""

    def __init__(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise NotFound(
                "the checkpoint or proof cannot be read",
                where=str(path),
                found=error.strerror or str(error),
                cure="Give an existing file, or the address of a server.",
            ) from error
        self._path, self._proof, self.is_live = path, None, False
        if data.lstrip()[:1] == b"{":
            made = decode(data)
            if not isinstance(made, ConsistencyFile):
                raise InputError(
                    "a monitor wants a checkpoint or a consistency proof", where=str(path), found="an inclusion proof"
                )
            self._proof, self._note = made, made.new
        else:
            self._note = data.decode("utf-8", "replace")

    def checkpoint(self) -> str:
        """The newer note of the file."""
        return self._note

    def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """The path of the proof.

        Raises
        ------
        InputError : the file holds no proof from the remembered size
        """
        held = signing.parse(self._proof.old)[0].size if self._proof is not None else None
        if self._proof is None or held != old_size:
            raise InputError(
                "a proof from the remembered checkpoint is needed",
                where=str(self._path),
                found="a checkpoint alone" if held is None else f"a proof from {held} records",
                allowed=f"a proof from {old_size} records to {new_size}",
                cure="Send your latest.checkpoint to the owner, who runs `quanheng log prove-consistency` on it.",
            )
        return self._proof.path
