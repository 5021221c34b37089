"""The canary's requests after a rollback: a leak, a silence that is telling, or one that is not."""

from dataclasses import dataclass
from typing import ClassVar

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.queries import key
from controller.core.judge.reader import NO_SERIES
from controller.core.judge.sentences import query_failed
from controller.core.judge.threshold import broken
from controller.core.judge.watched import LOOK_FOR, Watched, about, telling
from controller.core.observation import Series
from controller.core.policy import Criterion, Policy, SuccessRate, Traffic
from controller.core.units import MINUTE_S, count_text


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
class Requests:
    """What the metrics of a policy say of the drain."""

    by: ClassVar[str] = "requests"

    watched: Watched
    counts: Counts

    def refuted(self) -> Finding | None:
        """A count only grows: what was counted once is a leak, however young or partial."""
        leaked = self.watched.ever(self._answers[self.counts.canary])
        if leaked <= 0:
            return None
        text = (
            f"{self.counts.canary} counted {count_text(leaked, 'request')} on the canary since "
            f"{self.watched.since}, {self.watched.at_zero_since}. {LOOK_FOR}, and for other "
            "callers that this metric counts."
        )
        return self.watched.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmed(self) -> Finding | None:
        """Silence that the old weight would have broken."""
        if self.watched.unsettled or broken(self._answers) is not None:
            return None
        due, basis = self._due()
        if not telling(due):
            return None
        return self.watched.finding(
            Verdict.PASS, Label.CONFIRMED, 0.0, f"{self._silence}; {basis}."
        )

    def lack(self) -> str:
        """Return why silence tells nothing, or why there is nothing to be silent."""
        failed = broken(self._answers)
        if failed is not None:
            return query_failed("it", *failed)
        if self.watched.unsettled:
            return self.watched.unsettled
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
            due = self._rate() * self.watched.minutes
            return due, f"{about(due)} due at the rate before"
        seen = self.watched.settled(self._answers[control])
        due, words = self.watched.due_beside(seen)
        return due, f"{control} counted {count_text(seen, 'request')}{words}"

    def _rate(self) -> float:
        """Return the canary's requests a minute in the last step; 0.0 when nobody counted them."""
        rollout = self.watched.rollout
        rates = (
            one.samples * MINUTE_S / (one.end - one.start)
            for one in rollout.findings
            if one.end > one.start
            and _counts(rollout.policy.criteria.get(one.criterion), self.counts.canary)
        )
        return max(rates, default=0.0)

    @property
    def _answers(self) -> dict[str, Series]:
        keys = self.counts.keys(self.watched.rollout.policy)
        return {name: self.watched.series.get(series, NO_SERIES) for name, series in keys.items()}

    @property
    def _silence(self) -> str:
        return f"{self.counts.canary} counted no request {self.watched.for_minutes}"


def _counts(criterion: Criterion | None, metric: str) -> bool:
    match criterion:
        case Traffic():
            return criterion.metric == metric
        case SuccessRate():
            return criterion.total == metric
        case _:
            return False
