"""`quanheng explain`: why a decision was taken, and what would have changed it."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from quanheng.cli.common import HERE, Json, Place, reader, show_json


def explain(
    id: int,
    /,
    *,
    wanted: str = "",
    language: Literal["en", "zh"] = "en",
    change: Annotated[list[str] | None, Parameter(negative=())] = None,
    fixed: Annotated[list[str] | None, Parameter(negative=())] = None,
    pack: str = "",
    json: Json = False,
    place: Place = HERE,
) -> None:
    """Explain one decision: rules that matched, reasons by weight, and the smallest changes that give another outcome.

    For example:
      quanheng explain 1042
      quanheng explain 1042 --wanted review --language zh

    Parameters
    ----------
    id : int
        Log offset of the decision, as `decision` in the reply to an event.
    wanted : str
        The outcome that was hoped for (default: the least severe).
    language : str
        Language of the explanation.
    change : list[str]
        An input that may change though it usually stays, such as a parameter. May be given again.
    fixed : list[str]
        An input that must stay as it was. May be given again.
    pack : str
        Whose opinion, where several packs decided (default: the one whose outcome won).
    json : bool
        One line of JSON.
    """
    from quanheng.decisions.explain import lines
    from quanheng.past.explaining import explain_decision, told

    with reader(place.read()) as log:
        found = explain_decision(log, id, pack=pack, wanted=wanted, change=change or (), fixed=fixed or ())
    if json:
        show_json(told(found))
        return
    for line in lines(found, language):
        print(line)
