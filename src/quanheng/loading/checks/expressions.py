"""Checks FEEL texts inside declarations: they parse, their names are known, and which names they use."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quanheng import feel
from quanheng.feel.tree import Name, Node, Unknown, walk
from quanheng.feel.types import NUMBER, FeelType
from quanheng.kernel.errors import ExpressionError
from quanheng.loading.notes import Notes


def names_used(text: str, known: Collection[str], file: str, key: str, notes: Notes) -> tuple[str, ...]:
    """The known names a number expression reads, in order of the alphabet. What is wrong with it becomes problems.

    Parameters
    ----------
    known : names that may be used; all are numbers
    file, key : where the text stands
    """
    scope = dict.fromkeys(sorted(known), NUMBER)
    tree = read_expression(text, scope, file, key, notes, of="feature")
    if tree is None:
        return ()
    return tuple(sorted({node.name for node in walk(tree) if isinstance(node, Name) and node.name in scope}))


def read_expression(
    text: str, scope: Mapping[str, FeelType], file: str, key: str, notes: Notes, *, of: str, told: str = ""
) -> Node | None:
    """The checked tree of an expression. What is wrong with it becomes problems; None where it cannot be read.

    Parameters
    ----------
    scope : names that may be used, with their types
    file, key : where the text stands
    of : kind of these names; while such names are in doubt, none is said to be unknown
    told : what the message says besides of a name that is not known
    """
    try:
        tree = feel.parse(text, scope, strict=False)
        unknown = sorted({node.name for node in walk(tree) if isinstance(node, Unknown)})
        for name in unknown:
            message = f"the expression uses a name that is not known{told}"
            notes.add(file, key, message, found=name, known=scope, of=of)
        if not unknown:
            tree = feel.parse(text, scope, strict=True)
    except ExpressionError as error:
        place = f" at {error.where}" if error.where else ""
        notes.add(
            file,
            key,
            f"the expression cannot be read{place}: {error.what}",
            found=error.found or text,
            known=error.allowed,
            cure=error.cure,
        )
        return None
    return tree
