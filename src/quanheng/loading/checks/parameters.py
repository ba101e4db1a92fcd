"""parameters/*.toml: thresholds, rates and lists as dated values with their source."""

from __future__ import annotations

from decimal import Decimal

from quanheng.kernel.time import format_time
from quanheng.loading.declared import Parameter, ParameterValue, ParameterValueType
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table, kind_of

VALUES_MAX = 2000


def check_parameters(files: dict[str, dict[str, object]], notes: Notes) -> tuple[Parameter, ...]:
    """Read all parameter files (parsed, by name). A parameter may stand in one file only."""
    found: dict[str, tuple[str, Parameter]] = {}
    for file, values in files.items():
        top = Table(values, file, "", notes)
        for name, table in top.named("parameter", NAME, required=True, of="source"):
            if name in found:
                table.problem(
                    "",
                    f"the parameter is declared in {found[name][0]} already",
                    found=name,
                    cure="Keep one of the two.",
                )
                continue
            found[name] = (file, _parameter(name, table))
        top.done()
    return tuple(parameter for _, parameter in found.values())


def _parameter(name: str, table: Table) -> Parameter:
    title = table.title()
    unit = table.text("unit", wanted='what the number counts, such as "minor", "ratio", "count"; "text" for texts')
    values: list[ParameterValue] = []
    for inner in table.tables("values", required=True):
        value = _value(inner)
        if value is None:
            continue
        if values and value.from_ms <= values[-1].from_ms:
            same = value.from_ms == values[-1].from_ms
            inner.problem(
                "from",
                "two values begin on the same date" if same else "the dates do not rise",
                found=value.from_date,
                known=f"a date after {values[-1].from_date}",
                cure="Keep the values in order of date, each date once.",
            )
        if values and _family(value.value) != _family(values[-1].value):
            message = "the values of one parameter are of different kinds"
            inner.problem("value", message, found=_family(value.value), known=_family(values[-1].value))
        values.append(value)
    if not values and not table.values.get("values"):
        table.problem("values", "the parameter has no value", known='[{from = "2026-01-01", value = 1, source = "…"}]')
    if len(values) > VALUES_MAX:
        table.problem("values", "the parameter has too many values", found=len(values), known=f"at most {VALUES_MAX}")
    table.done()
    return Parameter(name=name, unit=unit, title=title, values=tuple(values))


def _value(table: Table) -> ParameterValue | None:
    from_ms = table.time_ms("from")
    value = _plain(table)
    source = table.text(
        "source", wanted="where the value is laid down: statute and article, or who decided it and when"
    )
    sound = table.done()
    if from_ms is None or value is None or not sound:
        return None
    return ParameterValue(from_date=format_time(from_ms)[:10], from_ms=from_ms, value=value, source=source)


def _plain(table: Table) -> ParameterValueType | None:
    """A number, text, truth value, or list of these."""
    value = table.any("value")
    if value is None:
        return None
    items = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, (int, Decimal, str))]
    if not items or len(items) != (len(value) if isinstance(value, list) else 1):
        wanted = "a number, a text, true or false, or a list of these"
        table.problem("value", "the value is of the wrong kind", found=kind_of(value), known=wanted)
        return None
    return tuple(items) if isinstance(value, list) else items[0]


def _family(value: ParameterValueType) -> str:
    """Integers and decimals are of one kind."""
    kind = kind_of(list(value) if isinstance(value, tuple) else value)
    return "a number" if kind in {"an integer", "a number with a point"} else kind
