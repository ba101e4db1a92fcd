"""What of a model is watched and from where on it is an alarm: the `[monitoring]` table of its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from quanheng.kernel.errors import ConfigurationError, QuanhengError
from quanheng.kernel.time import DAY_MS, parse_duration_ms

if TYPE_CHECKING:
    from quanheng.loading.declared import ModelDeclaration

Limits = tuple[float, float]
"""From where on it is to be watched, and from where on it is an alarm."""
WINDOW_DAYS_MAX = 731


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The event by which a person decides again.

    event : its type; field : holds the id of the decided event, or what that event has in its field `of`
    decision : field with what the person decided; approve : values of it that approve
    """

    event: str
    field: str
    decision: str
    approve: tuple[str, ...]
    of: str = ""


class Monitoring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds of one model. Each pair is [watch, alarm].

    window : length of a period; periods begin at whole multiples of it since 1970-01-01 UTC
    observe : how long a row is observed until the absence of a label says good; "" = `[training] delay_days`
    label_time : time field of the label event that says when it became known; "" = when it was received
    rows_least, events_least : fewer say nothing
    psi, csi : of the score, of every input
    auc_drop, ks_drop : below the reference
    observed_to_expected : distance of the ratio from 1, as a factor: 1.25 = above 1.25 or below 1/1.25
    approval_change, override_share : as shares of all decisions
    missing_rise : rise of the share of missing values of an input
    chance : a finding whose probability by chance is above this is none
    approved : outcomes that approve; empty = the mildest outcome of the pack
    labelled : whether all rows have labels in the end, or the approved ones only
    higher : what a higher score means
    override : how people decide again
    """

    window: str = "30d"
    observe: str = ""
    label_time: str = ""
    rows_least: int = 200
    events_least: int = 20
    psi: Limits = (0.10, 0.25)
    csi: Limits = (0.10, 0.25)
    auc_drop: Limits = (0.02, 0.05)
    ks_drop: Limits = (0.05, 0.10)
    observed_to_expected: Limits = (1.10, 1.25)
    approval_change: Limits = (0.05, 0.10)
    override_share: Limits = (0.05, 0.10)
    missing_rise: Limits = (0.02, 0.10)
    chance: float = 0.01
    approved: tuple[str, ...] = ()
    labelled: Literal["all", "approved"] = "all"
    higher: Literal["riskier", "safer"] = "riskier"
    override: Override | None = None

    @property
    def window_ms(self) -> int:
        """Length of a period in milliseconds."""
        return parse_duration_ms(self.window)


PAIRS = (
    "psi", "csi", "auc_drop", "ks_drop", "observed_to_expected", "approval_change", "override_share", "missing_rise",
)  # fmt: skip


def read_monitoring(settings: Mapping[str, object], where: str) -> Monitoring:
    """The `[monitoring]` table of a model's declaration (`settings` is the whole file); the defaults where it has none.

    Raises
    ------
    ConfigurationError : a value does not fit, with the key and what is allowed
    """
    table = settings.get("monitoring", {})
    allowed = ", ".join(Monitoring.__struct_fields__)
    try:
        found = msgspec.convert(_plain(table), Monitoring)
    except msgspec.ValidationError as error:
        raise ConfigurationError("a setting does not fit", where=where, found=str(error), allowed=allowed) from None
    _check(found, where)
    return found


def observe_ms(monitoring: Monitoring, settings: Mapping[str, object]) -> int:
    """How long a row is observed: as `[monitoring]` says, else the `delay_days` of `[training]`."""
    if monitoring.observe:
        return parse_duration_ms(monitoring.observe)
    training = settings.get("training", {})
    days = training.get("delay_days", 7) if isinstance(training, Mapping) else 7
    return int(days) * DAY_MS


def _check(found: Monitoring, where: str) -> None:
    for name in PAIRS:
        low, high = getattr(found, name)
        least = 1.0 if name == "observed_to_expected" else 0.0
        if not least < low <= high:
            raise ConfigurationError(
                "the two limits do not rise", where=f"{where}.{name}", found=f"[{low:g}, {high:g}]",
                allowed=f"[watch, alarm] with {least:g} < watch <= alarm", cure=f"Write {name} = [WATCH, ALARM].",
            )  # fmt: skip
    for name, least, most in (("rows_least", 1, 10**9), ("events_least", 1, 10**9)):
        if not least <= getattr(found, name) <= most:
            raise ConfigurationError(
                "the number is out of bounds", where=f"{where}.{name}", found=str(getattr(found, name)),
                allowed=f"{least} to {most}",
            )  # fmt: skip
    if not 0.0 < found.chance <= 1.0:
        raise ConfigurationError(
            "a probability lies between 0 and 1", where=f"{where}.chance", found=f"{found.chance:g}", allowed="(0, 1]"
        )
    for name in ("window", "observe"):
        text = getattr(found, name)
        if text or name == "window":
            _check_duration(text, f"{where}.{name}")


def _check_duration(text: str, where: str) -> None:
    try:
        length = parse_duration_ms(text)
    except QuanhengError:
        length = -1
    if not DAY_MS <= length <= WINDOW_DAYS_MAX * DAY_MS:
        raise ConfigurationError(
            "the duration does not fit", where=where, found=repr(text), allowed=f'"1d" to "{WINDOW_DAYS_MAX}d"'
        )


def of_model(model: ModelDeclaration) -> Monitoring:
    """The thresholds of a model.

    Raises
    ------
    ConfigurationError : a value does not fit
    """
    return read_monitoring(model.settings, f"models/{model.name}: monitoring")


def _plain(value: object) -> object:
    """TOML values with Decimal as float."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.__float__() if isinstance(value, Decimal) else value
