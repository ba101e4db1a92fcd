"""`quanheng outbox`: messages that wait, dead letters with their reasons, and asking for them again."""

from __future__ import annotations

import cyclopts

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Flag, Json, Place, show_json

app = cyclopts.App(
    name="outbox",
    help="Messages to the outside: what waits, what is dead and why.\n\nFor example:\n  quanheng outbox list --dead",
)


@app.command(name="list")
def list_messages(
    call: str = "", /, *, dead: Flag = False, limit: int = 100, json: Json = False, place: Place = HERE
) -> None:
    """Show how many messages wait and how many are dead, and the newest dead letters.

    For example:
      quanheng outbox list ask_bureau

    Parameters
    ----------
    call : str
        Name of a call or notice (default: all of them).
    dead : bool
        Leave out those that wait.
    limit : int
        At most so many of each.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "outbox", {"call": call, "dead": dead, "limit": limit})
    if json:
        show_json(found)
        return
    print(f"{found['waiting']} wait, {found['dead']} dead letters are kept")
    for one in found["calls"]:
        print(f"{one['name']}  asked {one['asked']}, waiting {one['waiting']}, dead {one['dead']}")
    for one in found["messages"]:
        last = f", {one['reason']}" if one["reason"] else ""
        print(f"waits  {one['id']}  {one['name']}  asked {one['asked']}, {one['tries']} tries{last}")
    for one in found["letters"]:
        print(f"dead   {one['id']}  {one['name']}  ended {one['ended']}: {one['reason'] or 'no reason was told'}")


@app.command
def show(message: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show one message: what is sent, and what became of it.

    For example:
      quanheng outbox show 8517c4511b9a68cb571630b91e232aba

    Parameters
    ----------
    message : str
        Its id, 32 hexadecimal digits.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "outbox_show", {"message": message})
    if json:
        show_json(found)
        return
    from quanheng.kernel.codec import decode_json, encode_json

    for name, value in found.items():
        told = decode_json(encode_json(value))  # Beside no server it holds JSON as it was recorded.
        print(f"{name:10} {told if isinstance(told, str) else encode_json(told).decode()}")


@app.command
def retry(*messages: str, call: str = "", reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Ask for dead letters again: they are sent under the same ids. Needs a token of scope admin.

    For example:
      quanheng outbox retry --call tell_payer --reason "their server is back"

    Parameters
    ----------
    messages : str
        Ids of dead letters.
    call : str
        All that are kept of this call or notice.
    reason : str
        Why. It is kept in clear: no personal data here.
    json : bool
        One line of JSON.
    """
    asked = {"messages": [*messages], "call": call, "reason": reason}
    done = administer(place.read(), "outbox_retry", asked)
    if json:
        show_json(done)
        return
    print(f"{done['retried']} asked for again")
