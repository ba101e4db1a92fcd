"""`quanheng token`, `quanheng erase`: who may do what, and the right to be forgotten."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Flag, Json, Place, show_json
from quanheng.kernel.errors import InputError

app = cyclopts.App(name="token", help="Issue, list and revoke tokens.\n\nExample: quanheng token create my_shop")
Scopes = Annotated[tuple[str, ...], Parameter(name="--scope", consume_multiple=True)]
Owners = Annotated[tuple[str, ...], Parameter(name="--owner", consume_multiple=True)]
Entities = Annotated[tuple[int, ...], Parameter(name="--entity", consume_multiple=True)]


@app.command
def create(
    name: str, /, *, scope: Scopes = ("ingest",), owner: Owners = (), entity: Entities = (), json: Json = False,
    place: Place = HERE,
) -> None:  # fmt: skip
    """Issue a token to a client. It is shown once; only its SHA-256 is kept.

    Works beside a running server too (with a token of scope admin in QUANHENG_TOKEN, or the development token).

    For example:
      quanheng token create my_shop --scope ingest read
      quanheng token create anna_app --scope read post --owner 4711

    Parameters
    ----------
    name : str
        Name of the client. Request ids are scoped by it.
    scope : tuple[str, ...]
        ingest (send events), post (move value between any accounts of the ledger), read (ask for decisions and
        accounts), watch (fetch checkpoints and proofs), author and approve (change policies and lists, by two people),
        admin (everything).
    owner : tuple[str, ...]
        Limits scopes read and post to accounts of these owners (ids as in the ledger): it sees them and debits them,
        and no others. Such a token can do nothing else.
    entity : tuple[int, ...]
        Limits them to accounts in the books of these legal entities; with --owner an account must be of one of each.
    json : bool
        One line of JSON.
    """
    limits = {"owners": [*owner], "entities": [*entity]} if owner or entity else {}
    asked = {"name": name, "scopes": [*scope], **limits}
    token = administer(place.read(), "issue_token", asked)["token"]
    if json:
        show_json({**asked, "token": token})
    else:
        print(token)


@app.command(name="list")
def list_tokens(*, json: Json = False, place: Place = HERE) -> None:
    """List clients with their scopes and the digest of each token. Tokens themselves are not kept.

    For example:
      quanheng token list

    Parameters
    ----------
    json : bool
        One line of JSON.
    """
    tokens = administer(place.read(), "tokens", {})["tokens"]
    if json:
        show_json(tokens)
        return
    for one in tokens:
        limits = "".join(f"  {name} {', '.join(map(str, one[name]))}" for name in ("owners", "entities") if name in one)
        print(f"{one['name']}  {', '.join(one['scopes'])}{limits}  {one['digest']}")


@app.command
def revoke(token: str, /, *, place: Place = HERE) -> None:
    """Revoke the tokens of a client, or the one with this digest, from now on.

    For example:
      quanheng token revoke my_shop

    Parameters
    ----------
    token : str
        Name of the client, or the whole digest of one token.
    """
    administer(place.read(), "revoke_token", {"token": token})
    print(f"revoked: {token}")


def erase(entity: str, id: str, /, *, yes: Flag = False, place: Place = HERE) -> None:
    """Destroy the key of a subject: what was sealed for it can never be read again. The log still verifies.

    For example:
      quanheng erase my_pack.customer 4711 --yes

    Parameters
    ----------
    entity : str
        Entity with its pack, as in events.toml: "pack.entity".
    id : str
        Identifier of the subject.
    yes : bool
        Do it. Without it nothing is done: there is no way back.
    """
    if not yes:
        raise InputError(
            "erasing cannot be undone",
            where="--yes",
            found="not given",
            cure=f"Repeat with --yes to erase this subject of {entity}.",
        )
    done = administer(place.read(), "erase", {"entity": entity, "id": id})
    note = done["note"] or "the key is destroyed"
    print(f"the erasure of this subject of {entity} is recorded at offset {done['offset']}; {note}")
