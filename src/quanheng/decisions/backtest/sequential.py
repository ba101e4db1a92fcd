"""Champion and challenger side by side: is the difference of their rates real? Valid however often one looks.

A fixed-sample test that is looked at every day says "different" far too often. Here the answer may be read after every
decision: the chance that it is *ever* wrong stays below `alpha`.

For an arm with `k` of `n` the beta-binomial mixture likelihood ratio

    M(p) = B(1/2 + k, 1/2 + n - k) / B(1/2, 1/2) / (p**k * (1 - p)**(n - k))

is a martingale of mean 1 under the true rate p, whenever the arm of each decision was chosen before its result. So is
the product of both arms' ratios, and by Ville's inequality it ever exceeds 1 / alpha with a chance of at most alpha.
The confidence sequence for the difference holds every d for which some pair (p + d, p) keeps the product below
1 / alpha. It is exact for rates, also for rare ones, where a normal approximation is not.

Sources: H. Robbins, Statistical methods related to the law of the iterated logarithm, Annals of Mathematical Statistics
41 (1970), the method of mixtures; S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric,
nonasymptotic confidence sequences, Annals of Statistics 49 (2021), the two-sided beta-binomial mixture; R. Johari,
P. Koomen, L. Pekelis, D. Walsh, Peeking at A/B tests, KDD 2017, always-valid p-values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import exp, inf, lgamma, log
from typing import NamedTuple

from quanheng.kernel.errors import InputError

CHAMPION, CHALLENGER = 0, 1
ALPHA = 0.05
SAMPLE_MIN = 100
_STEPS = 60
_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm has shown: `hits` of `count` decisions had the property."""

    count: int = 0
    hits: int = 0

    @property
    def rate(self) -> float | None:
        """Share of hits; None before the first decision."""
        return self.hits / self.count if self.count else None

    def log_ratio(self, rate: float) -> float:
        """log M(rate): how much better the mixture explains the arm than this rate does."""
        k, n = self.hits, self.count
        if (k and rate <= 0.0) or (n - k and rate >= 1.0):
            return inf
        said = (k * log(rate) if k else 0.0) + ((n - k) * log(1.0 - rate) if n - k else 0.0)
        return _log_beta(k + 0.5, n - k + 0.5) - _LOG_BETA_HALF - said


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


_LOG_BETA_HALF = _log_beta(0.5, 0.5)


class Finding(NamedTuple):
    """What is known now of one rate.

    difference : challenger minus champion; None before both arms have a decision
    low, high : the confidence sequence of the difference
    p_value : always valid: the smallest alpha at which the difference would have been called real at some look so far
    real : the difference is not zero, with at least `sample_min` decisions in each arm
    real_since : decisions in both arms together when it was first called real; None = not yet
    """

    name: str
    champion: Arm
    challenger: Arm
    difference: float | None
    low: float
    high: float
    p_value: float
    real: bool
    real_since: int | None


@dataclass(slots=True)
class Watch:
    """One rate, watched in both arms. Fold decisions with `add`; read it as often as wanted.

    name : of what happens, such as "decline"
    alpha : chance of ever calling a difference real that is none
    sample_min : decisions each arm must have before anything is called real
    """

    name: str
    alpha: float = ALPHA
    sample_min: int = SAMPLE_MIN
    arms: list[Arm] = field(default_factory=lambda: [Arm(), Arm()])
    p_value: float = 1.0
    real_since: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or self.sample_min < 1:
            raise InputError(
                "the watch cannot be set so",
                where=self.name,
                found=f"alpha {self.alpha}, sample_min {self.sample_min}",
                allowed="alpha between 0 and 1, sample_min at least 1",
            )

    def add(self, arm: int, happened: bool, times: int = 1) -> None:
        """One decision of an arm (0 champion, 1 challenger), or several alike."""
        before = self.arms[arm]
        self.arms[arm] = Arm(before.count + times, before.hits + times * happened)
        if self.ready:
            self.p_value = min(self.p_value, exp(min(0.0, -self.evidence())))
            if self.p_value <= self.alpha and self.real_since is None:
                self.real_since = sum(one.count for one in self.arms)

    @property
    def ready(self) -> bool:
        """Both arms have enough decisions."""
        return min(arm.count for arm in self.arms) >= self.sample_min

    def evidence(self) -> float:
        """log of the product of both ratios at the common rate that explains both best: the test of no difference."""
        champion, challenger = self.arms
        total = champion.count + challenger.count
        common = (champion.hits + challenger.hits) / total if total else 0.5
        return champion.log_ratio(common) + challenger.log_ratio(common)

    def finding(self) -> Finding:
        """What is known now."""
        champion, challenger = self.arms
        if not champion.count or not challenger.count:
            return Finding(self.name, champion, challenger, None, -1.0, 1.0, 1.0, False, None)
        difference = challenger.hits / challenger.count - champion.hits / champion.count
        low, high = interval(champion, challenger, self.alpha)
        real = self.real_since is not None
        return Finding(self.name, champion, challenger, difference, low, high, self.p_value, real, self.real_since)


def interval(champion: Arm, challenger: Arm, alpha: float) -> tuple[float, float]:
    """The confidence sequence for challenger minus champion, as of now."""
    limit = log(1.0 / alpha)
    best = (challenger.rate or 0.0) - (champion.rate or 0.0)

    def inside(difference: float) -> bool:
        return profile(champion, challenger, difference) < limit

    return _edge(inside, best, -1.0), _edge(inside, best, 1.0)


def profile(champion: Arm, challenger: Arm, difference: float) -> float:
    """The least log product over all pairs of rates (p, p + difference). Convex, so a ternary search finds it."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def product(rate: float) -> float:
        return champion.log_ratio(rate) + challenger.log_ratio(rate + difference)

    for _ in range(2 * _STEPS):
        third = (high - low) / 3.0
        if third < _EDGE:
            break
        a, b = product(low + third), product(high - third)
        if a < b or (a == b == inf and difference < 0):
            high -= third
        else:
            low += third
    return min(product(low), product((low + high) / 2.0), product(high))


def _edge(inside: Callable[[float], bool], within: float, outer: float) -> float:
    """The farthest point towards `outer` that is inside; the set is an interval around `within`."""
    if inside(outer):
        return outer
    for _ in range(_STEPS):
        middle = (within + outer) / 2.0
        if inside(middle):
            within = middle
        else:
            outer = middle
    return outer


class Monitor:
    """Several rates at once: each gets its share of `alpha`, so that the chance of any false alarm is at most `alpha`.

    Parameters
    ----------
    names : of the rates: outcomes, and label rates such as "fraud among approve"
    """

    def __init__(self, names: tuple[str, ...], alpha: float = ALPHA, sample_min: int = SAMPLE_MIN) -> None:
        if not names or len(set(names)) != len(names):
            raise InputError(
                "a monitor watches rates of different names", found=", ".join(names) or "none", allowed="one or more"
            )
        self.watches = {name: Watch(name, alpha / len(names), sample_min) for name in names}

    def add(self, name: str, arm: int, happened: bool) -> None:
        """One decision of an arm, for one rate."""
        self.watches[name].add(arm, happened)

    def findings(self) -> list[Finding]:
        """What is known now of each rate."""
        return [watch.finding() for watch in self.watches.values()]


class Matured:
    """Holds decisions back until the absence of a label says something.

    Reports of bad come early and nothing says "good": counting reports at once, and the rest when they are old enough,
    would make the arm look worse that decided more lately. So every decision is given at the same age.

    Parameters
    ----------
    delay_ms : the age at which a decision is given
    """

    def __init__(self, delay_ms: int) -> None:
        self.delay_ms = delay_ms
        self._waiting: deque[tuple[int, str, int]] = deque()
        self._labelled: set[str] = set()
        self._known: set[str] = set()

    def decided(self, id: str, arm: int, time_ms: int) -> None:
        """A decision whose label is awaited; times do not fall."""
        self._waiting.append((time_ms, id, arm))
        self._known.add(id)

    def labelled(self, id: str) -> None:
        """A decision is reported; one that was given already, or never awaited, changes nothing."""
        if id in self._known:
            self._labelled.add(id)

    def ripe(self, now_ms: int) -> Iterator[tuple[int, bool]]:
        """(arm, reported) of every decision that is old enough by now, once each."""
        while self._waiting and self._waiting[0][0] + self.delay_ms <= now_ms:
            _, id, arm = self._waiting.popleft()
            self._known.discard(id)
            yield arm, id in self._labelled
            self._labelled.discard(id)


def words(finding: Finding, alpha: float = ALPHA) -> dict[str, str]:
    """A finding as a sentence in English and Chinese."""
    champion, challenger = finding.champion, finding.challenger
    if finding.difference is None:
        return {
            "en": f"{finding.name}: one arm has no decision yet.",
            "zh": f"{finding.name}：其中一组尚无决策。",
        }
    rates = f"{champion.rate:.2%} ({champion.hits:,}/{champion.count:,})"
    others = f"{challenger.rate:.2%} ({challenger.hits:,}/{challenger.count:,})"
    between_en = f"the difference lies between {finding.low:+.2%} and {finding.high:+.2%}"
    between_zh = f"差异介于 {finding.low:+.2%} 与 {finding.high:+.2%} 之间"
    known = f"{1 - alpha:.0%}"
    if finding.real:
        verdict_en = f"The difference is real (first seen after {finding.real_since:,} decisions)"
        verdict_zh = f"差异属实（首次确认于第 {finding.real_since:,} 笔决策）"
    else:
        verdict_en, verdict_zh = "No real difference is shown yet", "尚未显示真实差异"
    return {
        "en": f"{finding.name}: champion {rates}, challenger {others}. {verdict_en}; {between_en} "
        f"({known}, at any time).",
        "zh": f"{finding.name}：冠军组 {rates}，挑战组 {others}。{verdict_zh}；{between_zh}（{known}，任意时刻有效）。",
    }
