"""Instances of processes as the core answers reads of them: held back, like those of the ledger, until all that they
saw is durable."""

from __future__ import annotations

from typing import Any

from quanheng.instances import Codes, Wanted, counted, find_process, history, key_of, listed, shown

PROCESSES, INSTANCES, INSTANCE, HISTORY = "processes", "instances", "instance", "history"
READS = (PROCESSES, INSTANCES, INSTANCE, HISTORY)


def read_of(engine: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a read shows: processes {} | instances {process, state, live, limit, after} | instance {process, id} |
    history {process, id}.

    Raises
    ------
    NotFound : there is no such process, state or instance
    """
    program, book = engine.state.program, engine.state.book
    if operation == PROCESSES:
        return {"processes": counted(program, book)}
    if operation == INSTANCES:
        return listed(program, book, Wanted(**arguments))
    machine = find_process(program, arguments["process"])
    key = key_of(machine, arguments["id"], engine.ring)
    if operation == INSTANCE:
        return {"id": arguments["id"], **shown(program, book, machine, key)}
    shown(program, book, machine, key)  # Which says that there is none.
    steps = history(engine.reader, machine, key, Codes(program.codes), engine.log.head)
    return {"id": arguments["id"], "steps": steps}
