"""Which experiments are known of an event: those that are drawn by one of its key fields."""

from __future__ import annotations

from collections.abc import Sequence

from quanheng.events.schema import EventDeclaration, EventType
from quanheng.features.experiments import Experiment
from quanheng.loading.declared import Declared, ExperimentDeclaration


def knows(event: EventDeclaration, by: str, of: str) -> bool:
    """Whether an event has the key field `by`, of the entity `of`: its decisions then know the arm."""
    field = event.fields.get(by)
    return field is not None and field.kind == "key" and field.entity == of


def arms_of(experiments: Sequence[ExperimentDeclaration], event: EventDeclaration) -> dict[str, str]:
    """The experiments whose arm a policy may ask for when it decides this event, with the FEEL type of an arm."""
    return {one.name: "string" for one in experiments if knows(event, one.by, one.of)}


def experiments_of(declared: Declared, event: EventType) -> tuple[Experiment, ...]:
    """The experiments of a pack that are known at the moment of an event of this type, in the order of the file."""
    return tuple(
        Experiment(
            one.name, event.key_fields.index(one.by), one.salt.encode(), one.arms, one.rest, one.from_ms, one.until_ms
        )
        for one in declared.experiments
        if knows(event.declaration, one.by, one.of)
    )


def share_text(experiment: ExperimentDeclaration) -> str:
    """Who is drawn where, in one line: "held_out 10 %, else treated"."""
    arms = ", ".join(f"{name} {share_bp / 100:g} %" for name, share_bp in experiment.arms.items())
    return f"{arms}, else {experiment.rest}; drawn by {experiment.by}"
