"""The facts of a finding: what its sentence is made from, in groups that a judge fills in.

A finding has them as one flat mapping by name, which the history stores and JSON documents show. A
field that is UNSET is left out there. A kind of another package writes a mapping itself.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final, Self, TypeAlias

from msgspec import UNSET, UnsetType, ValidationError

from controller.core.judge.findings import Fact, Finding
from controller.core.observation import QueryStatus
from controller.core.units import Second
from controller.immutable import Immutable, convert, plain_data

_FAILED_QUERIES: Final = {
    QueryStatus.PARTIAL: "CloudWatch answered only partly",
    QueryStatus.ERROR: "CloudWatch did not answer",
    QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
    QueryStatus.COMPLETE: "CloudWatch answered",
}


class Facts(Immutable, forbid_unknown_fields=False):
    """A group of facts; a finding may have several, whose names differ."""

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return these facts of `finding`. Raises ValueError where another version wrote others."""
        return convert(finding.facts, cls)

    @classmethod
    def find(cls, finding: Finding) -> Self | None:
        """Return these facts of `finding`; None where it has none."""
        try:
            return cls.of(finding)
        except ValidationError:
            return None


def flat(*groups: Facts | Mapping[str, Fact]) -> dict[str, Fact]:
    """Return facts by name, as a finding has them."""
    facts: dict[str, Fact] = {}
    for group in groups:
        facts.update(plain_data(group) if isinstance(group, Facts) else group)
    return facts


def time_names() -> frozenset[str]:
    """Return the names of the facts that are unix seconds."""
    fields = (item for group in Facts.__subclasses__() for item in group.__annotations__.items())
    return frozenset(name for name, kind in fields if kind in (Second, Second | UnsetType))


# --- Any criterion --------------------------------------------------------------------------------


class OwnText(Facts):
    """The sentence of a criterion whose kind is of another package."""

    text: str


class Dilution(Facts):
    """Which of the judged metrics count both paths, and the percent on the canary."""

    diluted: str
    diluted_weight: int


class RedBefore(Facts):
    """That the criterion was red before a start as a fix, and has not been green since.

    worse_than: the worst value before the start, where it is worse now; it rolls back then.
    """

    red_before_start: int
    worse_than: float | UnsetType = UNSET


class LostWindows(Facts):
    """How many windows were given up, because CloudWatch never answered, and their length."""

    lost_windows: int
    window_s: int


class FailedQuery(Facts):
    """The series that was not answered in full, and what the source said."""

    series: str
    answer: QueryStatus
    message: str

    @property
    def text(self) -> str:
        """Which query failed, and why."""
        detail = f": {self.message}" if self.message else ""
        return f"{_FAILED_QUERIES[self.answer]} for {self.series}{detail}"


class WindowLength(Facts):
    """How long a window of the criterion is."""

    window_s: int


class MissingKindFacts(Facts):
    """Why there is no model of the kind of a criterion."""

    problem: str


class JudgeFault(Facts):
    """The class of the error that a judge raised."""

    error: str


class LeakFacts(Facts):
    """What was seen of the canary after a rollback, in words."""

    seen: str


# --- Windows against a bound ----------------------------------------------------------------------


class WindowFacts(Facts):
    """The closed windows of the step, in the unit of the value.

    side: `at most` or `at least`. last_end: end of the newest with data; 0 before the first.
    bad_windows: those with inconsistent data.
    """

    subject: str
    side: str
    unit: str
    window_s: int
    min_samples: int
    last_end: Second
    bad_windows: int


class Breach(Facts):
    """The run of breaches that fails; breach_windows: that fit into its time, with data or not."""

    breaches: int
    breach_start: Second
    breach_end: Second
    breach_windows: int


class Breaching(Facts):
    """The run of breaches that does not fail yet."""

    breaches: int
    failure_limit: int


class Failures(Facts):
    """The failures among the samples of a finding."""

    failures: float


class PossibleRate(Facts):
    """The failure rate that the counts leave possible, at a confidence; without one, 95%.

    proof_requests: those that confirm the objective, all without a failure, where any do.
    """

    possible_share: float
    confidence: float | UnsetType = UNSET
    proof_requests: float | UnsetType = UNSET


# --- A mean latency against a baseline ------------------------------------------------------------


class ComparedMetric(Facts):
    """The metric that is compared, and its unit."""

    metric: str
    unit: str


class FewestCompared(Facts):
    """The samples of the path that has fewer: `canary` or `baseline`."""

    fewest_samples: float
    fewest_on: str
    min_samples: int


class BaselineFacts(Facts):
    """The baseline, and the samples of the canary.

    canary: its mean, where the baseline is 0 and no increase says how much more that is.
    """

    baseline: float
    requests: float
    canary: float | UnsetType = UNSET


# --- Requests -------------------------------------------------------------------------------------


class UnreachedCanary(Facts):
    """The requests of the stable path, and those that were due on the canary meanwhile."""

    expected: float
    control_requests: float


class MinSamples(Facts):
    """The samples that a verdict needs."""

    min_samples: int


class SplitFacts(Facts):
    """The requests of the canary."""

    canary_requests: int


class SplitRange(Facts):
    """The fewest and the most requests of the canary that fit, and what makes that range."""

    low: int
    high: int
    tolerance: float
    confidence: float


class Budget(Facts):
    """The share of requests that may fail."""

    budget: float


class BurnFacts(Facts):
    """The long window in which the budget burnt too fast."""

    burn_start: Second
    burn_end: Second


class BudgetWindow(Facts):
    """The samples that a pass needs, and the end of the newest window with data; 0: none."""

    min_samples: int
    last_end: Second


class UndecidedPair(Facts):
    """A pair of windows that burns faster than its factor, with too few requests to fail."""

    factor: float
    long: str
    long_requests: float


class BurnRates(Facts):
    """How fast the budget burns in every pair of windows, in words."""

    rates: str


# --- Alarms, sign-offs and log events -------------------------------------------------------------


class AlarmFacts(Facts):
    """An alarm, when it went into its state, and why; 0 and nothing where AWS does not say."""

    alarm: str
    since: Second
    why: str


class Statement(Facts):
    """What an operator has to sign, and for which rollout."""

    statement: str
    rollout: str


class SignOffFacts(Facts):
    """Who signed or refused, when, and with which note."""

    by: str
    at: Second
    note: str


class LogFacts(Facts):
    """An event of a log group, and how often its control event was logged.

    side: `at most` or `at least`. control_limit: no more control events are counted.
    control_window: in words.
    """

    event: str
    side: str
    group: str
    control: str
    control_events: float
    control_limit: int
    control_window: str


class UnreadLog(Facts):
    """What the source said, where a log was not read."""

    message: str


class LogBacklog(Facts):
    """Until when a log has been searched."""

    searched_until: Second


# --- Evidence that adds up over the minutes of a rollout ------------------------------------------


class Odds(Facts):
    """The likelihood ratio of a test that rolls back, when it was highest, and its limit.

    regression_start, regression_end: the minutes that it is from, unless the checkpoint has them.
    """

    odds: float
    odds_at: Second
    odds_limit: float
    regression_start: Second | UnsetType = UNSET
    regression_end: Second | UnsetType = UNSET


def odds_limit(limit: float) -> int:
    """Return the likelihood ratio that rolls back as a whole number that is no less."""
    return ceil(round(limit, 6))  # 1 / a part of the budget, which is not exact


class CountedSuccesses(Facts):
    """The metrics of which a request has to be in one, or it failed."""

    successes: str


class NewestBake(Facts):
    """Length of the newest bake-length, in seconds."""

    newest_s: int


class RuledOut(Facts):
    """The share that is ruled out; by_chance: 1 where the newest is above its bound, else 0."""

    large_share: float
    by_chance: int


# A larger likelihood ratio of that is stored, and written, as this.
CERTAINLY_BETTER: Final = 1e6


class BetterThanStable(Facts):
    """A canary beside a stable path that failed before the start.

    outage_share: the share of the stable path that failed then. kept_s: length of the newest
    bake-length, in seconds; kept_failures, kept_requests: of the canary in it.
    better_odds: the likelihood ratio that the canary is better, of the step; better_limit: what a
    pass needs.
    """

    outage_share: float
    kept_s: int
    kept_failures: float
    kept_requests: float
    better_odds: float
    better_limit: int


class FewNewest(Facts):
    """The requests of the newest bake-length, where they are fewer than `min_samples`."""

    few_newest_samples: float


class LackOfData(Facts):
    """The samples of the path that has fewer, and the end of its newest data; 0 without any."""

    last_end: Second
    min_samples: int
    fewest_samples: float


class MissingRequests(Facts):
    """Requests of the newest time at 100%, and the fewest that a stored week leads to expect.

    missing_s: length of that time, in seconds.
    """

    missing_s: int
    newest_requests: float
    week_requests: float


class Contradiction(Facts):
    """A minute in which the slow requests do not fit the percentile. at: its start."""

    at: Second
    requests: float
    slow: float
    counted_by: str
    limit: float
    statistic: str
    value: float
    unit: str


# --- Counts of some minutes, beside what is allowed -----------------------------------------------


class FailureTotals(Facts, kw_only=True):
    """Failures and requests of both paths."""

    form: str = "failures"
    failures: float
    requests: float
    allowed_share: float
    control_failures: float
    control_requests: float


class RatioTotals(Facts, kw_only=True):
    """A ratio of two counts: what it is called, the largest that is allowed, and what it was."""

    subject: str
    limit: float
    form: str = "ratio"
    share: float
    requests: float


class MeanTotals(Facts, kw_only=True):
    """The mean count in a window, in the same order."""

    subject: str
    limit: float
    form: str = "mean"
    mean: float
    window_s: int


class SlowTotals(Facts, kw_only=True):
    """The requests that were slower than `limit`, and the share that may be."""

    form: str = "slow"
    slow: float
    requests: float
    allowed_share: float
    limit: float
    unit: str


class IncreaseTotals(Facts, kw_only=True):
    """The same, where the limit is `factor` times a statistic of a baseline.

    read_between: the percentiles between which shares are interpolated, where slow requests are
    not counted.
    drift: how much more is allowed, where a stored baseline may have drifted.
    """

    slow: float
    requests: float
    allowed_share: float
    limit: float
    unit: str
    factor: float
    statistic: str
    read_between: str | UnsetType = UNSET
    drift: float | UnsetType = UNSET


class ControlTotals(IncreaseTotals, kw_only=True):
    """Slow requests beside those of a concurrent control."""

    form: str = "slow against control"
    control_limit: float
    control_slow: float
    control_requests: float


class FrozenTotals(IncreaseTotals, kw_only=True):
    """Slow requests against a baseline that was read before the start."""

    form: str = "slow against frozen"


class FixedTotals(IncreaseTotals, kw_only=True):
    """Slow requests against a baseline that the policy names."""

    form: str = "slow against fixed"


class HungTotals(Facts, kw_only=True):
    """Requests that took `factor` times the baseline; control_share: of the stable path's."""

    form: str = "hung"
    hung: float
    requests: float
    limit: float
    factor: float
    statistic: str
    unit: str
    allowed_share: float
    control_share: float | UnsetType = UNSET


class NoBaseline(Facts):
    """Nothing says what slow means."""

    form: str = "no baseline"


Totals: TypeAlias = (
    FailureTotals
    | RatioTotals
    | MeanTotals
    | SlowTotals
    | ControlTotals
    | FrozenTotals
    | FixedTotals
    | HungTotals
    | NoBaseline
)
_FORMS: Final[Mapping[Fact, type[Totals]]] = {
    "failures": FailureTotals,
    "ratio": RatioTotals,
    "mean": MeanTotals,
    "slow": SlowTotals,
    "slow against control": ControlTotals,
    "slow against frozen": FrozenTotals,
    "slow against fixed": FixedTotals,
    "hung": HungTotals,
    "no baseline": NoBaseline,
}


class AnotherDay(Facts):
    """The share that a stored baseline had, before the metric that corrected it for today."""

    stored_share: float
    stored_metric: str


def totals_of(finding: Finding) -> Totals | None:
    """Return the counts of `finding`, in their form; None where it has none.

    Raises LookupError and ValueError where another version wrote others.
    """
    form = finding.facts.get("form")
    return None if form is None else _FORMS[form].of(finding)
