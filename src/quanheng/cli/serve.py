"""`quanheng serve`: the HTTP API in the foreground, until it is interrupted."""

from __future__ import annotations

import sys

from quanheng.cli.common import HERE, Place


def serve(
    *,
    pack: tuple[str, ...] = (),
    port: int | None = None,
    address: str | None = None,
    cluster: str | None = None,
    place: Place = HERE,
) -> int:
    """Serve the HTTP API until interrupted.

    For example:
      quanheng serve --pack my_pack --port 8770
      curl http://127.0.0.1:8770/v1/health

    Parameters
    ----------
    pack : tuple[str, ...]
        Pack to put in force with all it requires; may be given again (packs.load). Without it: those in force before.
    port : int
        Port of the HTTP API (server.port; default 8770).
    address : str
        Address of the HTTP API (server.address; default 127.0.0.1).
    cluster : str
        Spread windows and decisions over the Ray cluster at HOST:PORT, or over this machine: local (cluster.address).
    """
    from quanheng.server.config import widened
    from quanheng.server.opening import open_service
    from quanheng.server.process import serve as serve_process

    config = place.read(
        packs__load=list(pack) or None, server__port=port, server__address=address,
        cluster__address=cluster,
    )  # fmt: skip
    return serve_process(widened(config), open_service, lambda line: print(line, file=sys.stderr, flush=True))
