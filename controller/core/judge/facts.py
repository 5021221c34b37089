"""The facts of a finding: what its sentence is made from, in groups that a judge fills in.

A finding has them as one flat mapping by name, which the history stores and JSON documents show. A
field that has its default is left out there. A kind of another package writes a mapping itself.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final, Self, TypeAlias

from msgspec import ValidationError, convert, to_builtins

from controller.core.judge.findings import Fact, Finding
from controller.core.observation import QueryStatus
from controller.core.ranges import Second
from controller.immutable import Immutable

_FAILED_QUERIES: Final = {
    QueryStatus.PARTIAL: "CloudWatch answered only partly",
    QueryStatus.ERROR: "CloudWatch did not answer",
    QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
    QueryStatus.COMPLETE: "CloudWatch answered",
}
# The unit of a value that is shown as a percent.
FRACTION = "fraction"


class Facts(Immutable, omit_defaults=True, forbid_unknown_fields=False):
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
        facts.update(to_builtins(group) if isinstance(group, Facts) else group)
    return facts


def time_names() -> frozenset[str]:
    """Return the names of the facts that are unix seconds."""
    fields = (one for group in Facts.__subclasses__() for one in group.__annotations__.items())
    return frozenset(name for name, kind in fields if kind is Second)


# --- Any criterion --------------------------------------------------------------------------------


class OwnText(Facts):
    """The sentence of a criterion whose kind is of another package."""

    text: str


class Dilution(Facts):
    """Which of the judged metrics count both paths, and the percent on the canary."""

    diluted: str
    diluted_weight: int


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


class MissingKind(Facts):
    """Why there is no model of the kind of a criterion."""

    problem: str


class JudgeFault(Facts):
    """The class of the error that a judge raised."""

    error: str


class Drain(Facts):
    """What was seen of the canary after a rollback, in words."""

    seen: str


# --- Windows against a bound ----------------------------------------------------------------------


class Windows(Facts):
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
    """The failure rate that the counts leave possible, at a confidence; 0.0: that of the judge.

    proof_requests: those that confirm the objective, all without a failure; 0: none can.
    """

    possible_share: float
    confidence: float = 0.0
    proof_requests: float = 0


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


class Comparison(Facts):
    """The baseline, and the samples of the canary.

    canary: its mean, where the baseline is 0 and no increase says how much more that is.
    """

    baseline: float
    requests: float
    canary: float | None = None


# --- Requests -------------------------------------------------------------------------------------


class UnreachedCanary(Facts):
    """The requests of the stable path, and those that were due on the canary meanwhile."""

    expected: float
    control_requests: float


class MinSamples(Facts):
    """The samples that a verdict needs."""

    min_samples: int


class Split(Facts):
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


class Burn(Facts):
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


class Signature(Facts):
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

    regression_start, regression_end: the minutes that it is from; 0 where they are sealed.
    """

    odds: float
    odds_at: Second
    odds_limit: float
    regression_start: Second = 0
    regression_end: Second = 0


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


class LackOfData(Facts):
    """The samples of the path that has fewer, and the end of its newest data; 0 without any."""

    last_end: Second
    min_samples: int
    fewest_samples: float


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


# The counts of some minutes, beside what is allowed: one of the forms of `Totals`, with the groups
# that several forms share.


class SlowRequests(Facts):
    """The requests that were slower than `limit`, and the share that may be."""

    slow: float
    requests: float
    allowed_share: float
    limit: float
    unit: str


class AllowedIncrease(Facts):
    """Where the limit of slow requests is from: a statistic of the baseline, times `factor`.

    read_between: what shares are interpolated between; empty where slow requests are counted.
    drift: how much more is allowed, because a stored baseline may have drifted.
    """

    factor: float
    statistic: str
    read_between: str = ""
    drift: float | None = None


class AnotherDay(Facts):
    """The share that a stored baseline had, before the metric that corrected it for today."""

    stored_share: float
    stored_metric: str


class LimitedValue(Facts):
    """What a value is called, and the largest that is allowed."""

    subject: str
    limit: float


class FailureTotals(Facts, tag_field="form", tag="failures"):
    """Failures and requests of both paths."""

    failures: float
    requests: float
    allowed_share: float
    control_failures: float
    control_requests: float


class SlowTotals(Facts, tag_field="form", tag="slow"):
    """Slow requests against a bound."""


class ControlTotals(Facts, tag_field="form", tag="slow against control"):
    """Slow requests beside those of a concurrent control."""

    control_limit: float
    control_slow: float
    control_requests: float


class FrozenTotals(Facts, tag_field="form", tag="slow against frozen"):
    """Slow requests against a baseline that was read before the start."""


class FixedTotals(Facts, tag_field="form", tag="slow against fixed"):
    """Slow requests against a fixed baseline."""


class HungTotals(Facts, tag_field="form", tag="hung"):
    """Requests that took `factor` times the baseline; control_share: of the stable path's."""

    hung: float
    requests: float
    limit: float
    factor: float
    statistic: str
    unit: str
    allowed_share: float
    control_share: float | None = None


class RatioTotals(Facts, tag_field="form", tag="ratio"):
    """A ratio of two metrics."""

    share: float
    requests: float


class MeanTotals(Facts, tag_field="form", tag="mean"):
    """The mean count in a window."""

    mean: float
    window_s: int


class NoBaseline(Facts, tag_field="form", tag="no baseline"):
    """Nothing says what slow means."""


Totals: TypeAlias = (
    FailureTotals
    | SlowTotals
    | ControlTotals
    | FrozenTotals
    | FixedTotals
    | HungTotals
    | RatioTotals
    | MeanTotals
    | NoBaseline
)


def totals_of(finding: Finding) -> Totals | None:
    """Return the counts of `finding`, in their form; None where it has none.

    Raises ValueError where another version wrote others.
    """
    totals: Totals | None = convert(finding.facts, Totals) if "form" in finding.facts else None
    return totals
