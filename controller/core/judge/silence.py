"""The canary's requests after a rollback: a leak, a silence that is telling, or one that is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.queries import key
from controller.core.judge.sentences import query_failed
from controller.core.judge.threshold import UNLIKELY, broken
from controller.core.judge.window import NO_SERIES
from controller.core.observation import Series
from controller.core.policy import Criterion, Policy, SuccessRate, Traffic
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, at, clock_text, count_text, format_duration

NAME = "drain"
# Silence shorter than this is a gap between requests, not a drain.
ENOUGH_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Counts:
    """Which metrics count requests: of the canary, and of the stable path alone."""

    canary: str
    control: str | None = None

    def keys(self, policy: Policy) -> dict[str, str]:
        """Return the series key of each metric, by its name, in periods of a minute."""
        names = [self.canary] if self.control is None else [self.canary, self.control]
        return {name: key(name, policy.metrics[name].statistic, MINUTE_S) for name in names}


def counts_of(policy: Policy) -> Counts | None:
    """Return what counts the requests of `policy`: its traffic criterion, else a success rate."""
    criteria = policy.criteria.values()
    traffic = (Counts(one.metric, one.control) for one in criteria if isinstance(one, Traffic))
    totals = (Counts(one.total) for one in criteria if isinstance(one, SuccessRate))
    return next(traffic, None) or next(totals, None)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the minutes from `begin` on, of which those before `closed` are settled.

    weight: percent that was in force before the rollback.
    """

    rollout: Rollout
    counts: Counts
    series: Mapping[str, Series]
    weight: int
    begin: int
    closed: int

    def refuted(self) -> Finding | None:
        """A count only grows: what was counted once is a leak, however young or partial."""
        leaked = self._sum(self.counts.canary, inf)
        if leaked <= 0:
            return None
        sentence = (
            f"drain refuted: {self.counts.canary} counted {count_text(leaked, 'request')} on the "
            f"canary since {self._since}, although 0 % is in force since "
            f"{clock_text(self.rollout.since)}. Writing 0 % again does not help: look for callers "
            "that use a published version or an alias of the function, for another function or "
            "client that has the flag on, and for other callers that this metric counts."
        )
        return self._finding(Verdict.FAIL, Label.REFUTED, leaked, sentence)

    def confirmed(self) -> Finding | None:
        """Silence that the old weight would have broken: Poisson, P(0 requests | due)."""
        if self._minutes < ENOUGH_MINUTES or broken(self._answers) is not None:
            return None
        due, basis = self._due()
        if exp(-due) >= UNLIKELY:
            return None
        sentence = f"drain confirmed: {self._silence}; {basis}."
        return self._finding(Verdict.PASS, Label.CONFIRMED, 0.0, sentence)

    def unobservable(self) -> Finding:
        """Silence that tells nothing, or nothing to be silent."""
        sentence = f"drain unobservable: {self._lack()} Only the weight was read back."
        return self._finding(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, sentence)

    def _lack(self) -> str:
        failed = broken(self._answers)
        if failed is not None:
            return query_failed("it", *failed)
        if self._minutes < ENOUGH_MINUTES:
            return (
                f"{count_text(self._minutes, 'minute')} since {self._since} settled during the "
                f"watch (settle {format_duration(self.rollout.policy.settle)}), and "
                f"{ENOUGH_MINUTES} are needed."
            )
        due, basis = self._due()
        if due == 0 and self.counts.control is not None:
            return "no requests of either path were counted; no logs or metrics is no proof."
        if due == 0:
            return f"{self._silence}, and none before it; no logs or metrics is no proof."
        return f"{self._silence}; {basis}, too few to tell a drain from chance."

    def _due(self) -> tuple[float, str]:
        """Return how many requests the old weight would have brought by now, and how we know."""
        control = self.counts.control
        if control is None:
            due = self._rate() * self._minutes
            return due, f"{_about(due)} due at the rate before"
        seen = self._sum(control, self.closed)
        basis = f"{control} counted {count_text(seen, 'request')}"
        if self.weight == 100:  # the stable path was silent, and is not any more
            return (inf if seen else 0.0), basis
        due = seen * self.weight / (100 - self.weight)
        return due, f"{basis}, and {_about(due)} due at {self.weight} %"

    def _rate(self) -> float:
        """Return the canary's requests a minute in the last step; 0.0 when nobody counted them."""
        criteria = self.rollout.policy.criteria
        rates = (
            one.samples * MINUTE_S / (one.end - one.start)
            for one in self.rollout.findings
            if one.end > one.start and _counts(criteria.get(one.criterion), self.counts.canary)
        )
        return max(rates, default=0.0)

    def _sum(self, metric: str, end: float) -> float:
        points = self._answers[metric].points
        return sum(value for second, value in points.items() if self.begin <= second < end)

    @property
    def _answers(self) -> dict[str, Series]:
        keys = self.counts.keys(self.rollout.policy)
        return {name: self.series.get(series, NO_SERIES) for name, series in keys.items()}

    @property
    def _minutes(self) -> int:
        return max(0, self.closed - self.begin) // MINUTE_S

    @property
    def _since(self) -> str:
        return clock_text(at(self.begin))

    @property
    def _silence(self) -> str:
        minutes = count_text(self._minutes, "minute")
        return f"{self.counts.canary} counted no request in {minutes} since {self._since}"

    def _finding(
        self, verdict: Verdict, label: Label, measured: float | None, sentence: str
    ) -> Finding:
        samples, end = int(measured or 0), max(self.closed, self.begin)
        return Finding(NAME, verdict, label, measured, 0.0, samples, self.begin, end, sentence)


def _counts(criterion: Criterion | None, metric: str) -> bool:
    match criterion:
        case Traffic():
            return criterion.metric == metric
        case SuccessRate():
            return criterion.total == metric
        case _:
            return False


def _about(due: float) -> str:
    return f"about {count_text(round(due), 'request')} {'was' if round(due) == 1 else 'were'}"
