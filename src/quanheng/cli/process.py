"""`quanheng process`: instances of life cycles as the log has them, diagrams, and a clock that is moved in tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cyclopts

from quanheng.cli.common import HERE, Flag, Json, Place, past, show_json

if TYPE_CHECKING:
    from quanheng.advancing import Fired
    from quanheng.engine import Engine
    from quanheng.processes.book import Book
    from quanheng.program import Program
    from quanheng.reading import Reader

app = cyclopts.App(name="process", help="Life cycles: instances, their history, diagrams, a clock for tests.")


class Opened(NamedTuple):
    """All instances after the first `upto` records of a log, and the packs that were in force then."""

    book: Book
    program: Program
    reader: Reader
    upto: int


@contextmanager
def opened(place: Place, as_of: int | None) -> Iterator[Opened]:
    """The instances after the first `as_of` records of the log; None: all."""
    from quanheng.recovery import instances_at, program_at

    with past(place, as_of) as was:
        program = program_at(was.reader.log, was.reader.content, was.snapshots, was.upto)
        book = instances_at(was.reader.log, was.snapshots, was.upto, was.progress)
        yield Opened(book, program, was.reader, was.upto)


@app.command(name="list")
def list_(
    process: str = "",
    /,
    *,
    state: str = "",
    live: Flag = False,
    limit: int = 100,
    after: str = "",
    as_of: int | None = None,
    json: Json = False,
    place: Place = HERE,
) -> None:
    """List processes with how many instances are in each state, and the instances of one.

    For example:
      quanheng process list
      quanheng process list review --state case_open --json

    Parameters
    ----------
    process : str
        Name of a process, "review" or "my_pack.review" (default: all, with counts alone unless --state or --live).
    state : str
        Those in this state, "case_open"; of a process with parts "claim.filed".
    live : bool
        Those alone that are not over.
    limit : int
        At most so many.
    after : str
        Go on behind this `mark` of a line of JSON.
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        A line of JSON for each.
    """
    from quanheng.instances import LIST_MAX, Wanted, counted, listed
    from quanheng.kernel.errors import InputError

    if not 1 <= limit <= LIST_MAX:
        raise InputError("this is no limit", where="--limit", found=str(limit), allowed=f"1 to {LIST_MAX}")
    with opened(place, as_of) as found:
        if not (process or state or live):
            for one in counted(found.program, found.book):
                show_json(one) if json else _show_counted(one)
            return
        page = listed(found.program, found.book, Wanted(process, state, live, limit, after))
    for one in page["instances"]:
        show_json(one) if json else _show_row(one)
    if page["next_after"] and not json:
        print(f"there are more: --after {page['next_after']}")


def _show_counted(one: Mapping[str, Any]) -> None:
    title = one["title"]
    print(f"{one['process']}  {title['en']}  {title['zh']}  {one['instances']:,} instances")
    for state, count in one["states"].items():
        if count:
            print(f"  {state:<28} {count:>9,}")


def _show_row(one: Mapping[str, Any]) -> None:
    from quanheng.kernel.time import format_time

    timer = one["next_timer"]
    waits = f"  next {timer['timer']} at {format_time(timer['due_ms'])}" if timer else ""
    print(f"{one['process']}({one['key']})  {_states(one['states'])}  since {format_time(one['since_ms'])}{waits}")


def _states(states: Mapping[str, str]) -> str:
    return ", ".join(state if part == "state" else f"{part}: {state}" for part, state in states.items())


@app.command
def show(instance: str, /, *, as_of: int | None = None, json: Json = False, place: Place = HERE) -> None:
    """Show how an instance stands: states, what it keeps, when its timers fire, and what may come now.

    For example:
      quanheng process show "review(pay-123)"
      quanheng process show "my_pack.dispute(d-7)" --as-of 1042 --json

    Parameters
    ----------
    instance : str
        Process and id, as events name it; or the key that `quanheng process list` shows, "review(#…)".
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        One line of JSON.
    """
    from quanheng.instances import find_process, key_of, named_instance, shown

    name, id = named_instance(instance)
    with opened(place, as_of) as found:
        machine = find_process(found.program, name)
        told = shown(found.program, found.book, machine, key_of(machine, id, found.reader.ring))
        upto = found.upto
    if json:
        show_json({"as_of": upto, "id": id, **told})
    else:
        _show_instance(id, told)


def _show_instance(id: str, told: Mapping[str, Any]) -> None:
    from quanheng.kernel.time import format_time

    print(f"{told['process']}({id})  {_states(told['states'])}{'  over' if told['over'] else ''}")
    for part, title in told["titles"].items():
        print(f"  {'' if part == 'state' else part + ': '}{title['en']}  {title['zh']}")
    print(f"  began {format_time(told['started_ms'])}, in this state since {format_time(told['since_ms'])}")
    for name, value in told["numbers"].items():
        moment = f"  {format_time(value)}" if value is not None and name.endswith("_ms") else ""
        print(f"  keeps {name} = {'null' if value is None else value}{moment}")
    for one in told["timers"]:
        print(f"  timer {one['timer']} fires at {format_time(one['due_ms'])}")
    for one in told["allowed"]:
        where = f" where {one['where']}" if one["where"] else ""
        print(f"  allowed {one['event']}{where} → {one['to']}")


@app.command
def history(instance: str, /, *, as_of: int | None = None, json: Json = False, place: Place = HERE) -> None:
    """Show every step of an instance: when, on which event, from where to where, why, what moved and what was sent.

    For example:
      quanheng process history "review(pay-123)"

    Parameters
    ----------
    instance : str
        Process and id, as events name it; or the key that `quanheng process list` shows, "review(#…)".
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        A line of JSON for each step.
    """
    from quanheng.instances import Codes, find_process, key_of, named_instance
    from quanheng.instances import history as steps_of
    from quanheng.instances import shown as shown_instance

    name, id = named_instance(instance)
    with opened(place, as_of) as found:
        machine = find_process(found.program, name)
        key = key_of(machine, id, found.reader.ring)
        shown_instance(found.program, found.book, machine, key)  # Which says that there is none.
        steps = steps_of(found.reader, machine, key, Codes(found.program.codes), found.upto)
    for one in steps:
        show_json(one) if json else _show_step(one)


def _show_step(one: Mapping[str, Any]) -> None:
    from quanheng.kernel.time import format_time

    part = f"{one['part']}: " if one["part"] else ""
    event = one["event"]["type"] if one["event"] else one.get("note", "no event")
    timer = f" ({one['timer']})" if one["timer"] else ""
    way = f"{one['from'] or '·'} → {one['to'] or one['from'] or '·'}"
    why = f"  [{one['why']}]" if one.get("why") else ""
    print(f"{format_time(one['at_ms'])}  {one['decision']:>6}  {part}{way}  on {event}{timer}{why}")
    for moved in one.get("transfers", ()):
        print(f"{'':<34}transfer {moved['name']}  {moved['amount_minor']:,}  {moved['outcome']}")
    for sent in one.get("sent", ()):
        print(f"{'':<34}sent {sent['name']}  {bytes(sent['body']).decode()}")


@app.command
def draw(
    process: str,
    /,
    *,
    form: Literal["mermaid", "svg"] = "mermaid",
    language: Literal["en", "zh"] = "en",
    to: Path | None = None,
    place: Place = HERE,
) -> None:
    """Draw a life cycle from its declaration, as Mermaid text or as an SVG that every browser shows.

    For example:
      quanheng process draw my_pack.review
      quanheng process draw my_pack.dispute --form svg --language zh --to dispute.svg

    Parameters
    ----------
    process : str
        The pack and the process, "my_pack.review". The pack is read from its folder and need not be in force.
    form : str
        "mermaid" or "svg".
    language : str
        Titles in English ("en") or Chinese ("zh").
    to : Path
        File to write (default: standard output).
    """
    from quanheng.kernel.errors import NotFound
    from quanheng.loading.process_drawing import mermaid, svg
    from quanheng.server.opening import available_packs, chosen_packs

    pack, _, name = process.partition(".")
    config = place.read()
    declared, _ = chosen_packs([pack], available_packs(config.packs.folders))
    known = {one.name: one for one in next(one for one in declared if one.name == pack).processes.processes}
    if name not in known:
        raise NotFound(
            "the pack declares no such process",
            where=pack,
            found=name or "no name",
            allowed=", ".join(f"{pack}.{one}" for one in known) or "it declares none",
            cure="Write the pack and the process with a point between them.",
        )
    drawn = mermaid(known[name], language) if form == "mermaid" else svg(known[name], language)
    if to is None:
        print(drawn, end="")
    else:
        to.write_text(drawn, encoding="utf-8")


@app.command
def advance(*, by: str = "", to: str = "", json: Json = False, place: Place = HERE) -> None:
    """Move a test clock: fire every timer that is due on the way, in order, each at its own moment. Weeks take seconds.

    Only on a data folder with development keys. The log is then ahead of the machine's clock, so a server that is to go
    on with it needs clock.accept_log_ahead = true.

    For example:
      quanheng process advance --by 20d
      quanheng process advance --to 2026-03-31T10:00:00Z --json

    Parameters
    ----------
    by : str
        By so long, such as 36h or 20d, from the log's newest stamp on.
    to : str
        To this moment.
    json : bool
        A line of JSON for each timer that fires.
    """
    from quanheng.advancing import MovedClock
    from quanheng.advancing import advance as move
    from quanheng.cli.common import locked_engine
    from quanheng.engine import system_clock_ms
    from quanheng.kernel.errors import InputError
    from quanheng.kernel.time import format_time, parse_duration_ms, parse_time_ms

    if bool(by) == bool(to):
        raise InputError(
            "one of the two is said",
            where="--by, --to",
            found="both" if by else "none",
            allowed="--by 20d, or --to TIME",
        )
    clock = MovedClock(0)
    with locked_engine(place.read(), clock) as engine:
        _check_development(engine)
        clock.now_ms = engine.state.received_ms or system_clock_ms()
        upto = parse_time_ms(to) if to else clock.now_ms + parse_duration_ms(by)
        count = 0
        for one in move(engine, clock, upto):
            _show_fired(one, json)
            count += 1
    if not json:
        print(f"{count} fired; the clock stands at {format_time(clock.now_ms)}")


def _check_development(engine: Engine) -> None:
    from quanheng.kernel.errors import NotPermitted

    if not engine.ring.is_development:
        raise NotPermitted(
            "a test clock moves only a data folder with development keys",
            where=str(engine.folder),
            found="a key ring of your own",
            allowed="development keys",
            cure="Try it in a folder of its own: --data, --keys.",
        )


def _show_fired(one: Fired, json: bool) -> None:
    from quanheng.kernel.time import format_time
    from quanheng.reading import shown_transfer

    if json:
        steps = [
            {"process": step.process, "part": step.part, "from": step.left, "to": step.entered, "timer": step.timer}
            for step in one.steps
        ]
        messages = [{"name": message.name, "id": message.id.hex()} for message in one.sent]
        told = {"at_ms": one.at_ms, "event": one.event, "decision": one.decision, "outcome": one.outcome}
        show_json(
            {**told, "steps": steps, "transfers": [shown_transfer(moved) for moved in one.transfers], "sent": messages}
        )
        return
    for step in one.steps:
        part = f"{step.part}: " if step.part else ""
        way = f"{part}{step.left or '·'} → {step.entered or 'nothing moves'}"
        print(f"{format_time(one.at_ms)}  {one.decision:>6}  {step.process}  {step.timer or 'by itself'}  {way}")
    for moved in one.transfers:
        print(f"{'':<34}transfer {moved.name}  {moved.amount_minor:,}  {moved.outcome}")
    for message in one.sent:
        print(f"{'':<34}sent {message.name}")
