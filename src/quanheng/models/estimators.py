"""Which estimators there are: ours by this table, those of other distributions by their entry points.

Ours need no installed metadata, so a checkout finds them. A distribution cannot take the name of one of ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra, NotFound
from quanheng.models.estimator import Estimator

GROUP = "quanheng.estimators"
OURS: Mapping[str, str] = {
    "scorecard": "quanheng.models.scorecard.fitting:ScorecardEstimator",
    "lightgbm": "quanheng.models.boosting.lightgbm_fit:LightgbmEstimator",
    "ebm": "quanheng.models.boosting.ebm:EbmEstimator",
    "logistic": "quanheng.models.logistic:LogisticEstimator",
}


def known_estimators() -> tuple[str, ...]:
    """Names of all estimators, ours first."""
    outside = sorted(point.name for point in entry_points(group=GROUP) if point.name not in OURS)
    return (*OURS, *outside)


def make_estimator(name: str, settings: Mapping[str, object] | None = None) -> Estimator:
    """The estimator of that name with those settings.

    Raises
    ------
    NotFound : there is no estimator of that name
    InputError : what the name stands for cannot be loaded
    ConfigurationError : it does not take one of the settings
    MissingExtra : a library it needs is not installed
    """
    maker = _maker(name)
    given = dict(settings or {})
    taken = inspect.signature(maker).parameters
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
        unknown = [key for key in given if key not in taken]
        if unknown:
            raise ConfigurationError(
                "the estimator does not take this setting", where=f"estimator {name}", found=", ".join(unknown),
                allowed=", ".join(taken) or "no setting", cure="Leave it out, or choose another estimator.",
            )  # fmt: skip
    return maker(**given)


def takes(name: str, setting: str) -> bool:
    """Whether an estimator takes a setting."""
    taken = inspect.signature(_maker(name)).parameters
    return setting in taken or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())


def _maker(name: str) -> Callable[..., Estimator]:
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        try:
            maker: Callable[..., Estimator] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise _unavailable(name, OURS[name], error) from error
        return maker
    point = next((one for one in entry_points(group=GROUP) if one.name == name), None)
    if point is None:
        raise NotFound(
            "there is no such estimator", where="--estimator", found=name, allowed=", ".join(known_estimators()),
            cure="Correct the name, or install the distribution that brings it.",
        )  # fmt: skip
    return _loaded(point)


def _loaded(point: EntryPoint) -> Callable[..., Estimator]:
    try:
        maker: Callable[..., Estimator] = point.load()
    except MissingExtra:
        raise
    except Exception as error:  # Code from outside may fail in any way while it is imported.
        raise _unavailable(point.name, point.value, error) from error
    return maker


def _unavailable(name: str, value: str, error: Exception) -> InputError:
    return InputError(
        "the estimator cannot be loaded", where=f"estimator {name}", found=f"{value}: {type(error).__name__}: {error}",
        allowed=", ".join(one for one in known_estimators() if one != name),
        cure="Install it again, or choose another.",
    )  # fmt: skip
