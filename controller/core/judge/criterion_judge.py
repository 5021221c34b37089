"""What a criterion of any kind does: it says what it reads, folds it, and concludes a finding.

Each kind of criterion has a class in `criteria/`, named by `judged_by` of its policy model.
Whatever is asked of one kind and not of another is a method here: judging a gate matches on no
kind.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import ClassVar, Generic, TypeAlias, TypeVar

from controller.core.judge.bound import Bound
from controller.core.judge.evidence import (
    BaselineMeasurement,
    NonMetricEvidence,
    SequentialResult,
    Tally,
)
from controller.core.judge.facts import Facts, FailedQuery, WindowLength, flat
from controller.core.judge.findings import Fact, Finding, FindingReason, Label, Verdict
from controller.core.judge.progress import Progress, towards_samples
from controller.core.judge.series import (
    NO_SERIES,
    Measure,
    Reader,
    fold,
    no_window,
    query,
    series_key,
)
from controller.core.observation import LogQuery, MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Criterion, Metric, Policy
from controller.core.policy.kind_registry import load
from controller.core.stats.combined_tests import SequentialState
from controller.core.units import number_beside
from controller.immutable import Immutable, field

C = TypeVar("C", bound=Criterion)

Outcome: TypeAlias = tuple[Verdict, Label, str]
"""Verdict, label and reason of a finding."""


class Context(Immutable):
    """What a criterion is judged with in addition to its tally.

    start, closed_end, open_end: begin of the first window, end of the settled time, and end of what
    was read, unix seconds.
    bake_over: the bake is over and its data are settled to the end.
    weight: percent on the canary.
    incomplete: a series that was not answered in full, with its name; None when all were.
    series: the data since the checkpoint, by key. search_span: where log events were searched for.
    non_metric: alarms and sign-offs. result: what the evidence of the whole rollout says, of a
        criterion whose evidence adds up.
    newest, newest_start: the tally of the newest bake-length, and its begin in unix seconds; None
        where no later step judges the criterion.
    """

    start: int
    closed_end: int
    open_end: int
    bake_over: bool
    weight: int
    incomplete: tuple[str, Series] | None = None
    series: Mapping[str, Series] = field(default_factory=dict)
    search_span: Span = Span(0, 0)
    non_metric: NonMetricEvidence = field(default_factory=NonMetricEvidence)
    result: SequentialResult = SequentialResult()
    newest: Tally | None = None
    newest_start: int = 0


@dataclass(frozen=True)
class CriterionJudge(Generic[C]):
    """The judge of one criterion of a policy.

    name: the id of the criterion.

    baseline: what was read of the stable path before the start; None where nothing was.

    has_windows: closed windows are folded into a tally. folds_partial: also those of an answer that
    is not complete.
    samples_field: the field that says how many samples of the traffic a pass needs; empty where it
    is not known how samples follow from traffic. counts_both_paths: they are requests of both.
    """

    name: str
    criterion: C
    policy: Policy
    baseline: BaselineMeasurement | None = None

    has_windows: ClassVar[bool] = True
    folds_partial: ClassVar[bool] = False
    samples_field: ClassVar[str] = ""
    counts_both_paths: ClassVar[bool] = False

    # --- what is read -----------------------------------------------------------------------------

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of the policy, by name."""
        return self.policy.metrics

    @cached_property
    def period_s(self) -> int:
        """Length of one period that is read, in seconds."""
        return int(self.criterion.period.total_seconds())

    def statistics(self) -> list[tuple[str, str]]:
        """Return metric name and statistic of every series that is read."""
        return [(name, self.metrics[name].statistic) for name in self.criterion.metric_names]

    @cached_property
    def series_keys(self) -> list[tuple[str, str, str]]:
        """Metric name, statistic and series key of every series that is read."""
        return [
            (name, statistic, series_key(name, statistic, self.period_s))
            for name, statistic in self.statistics()
        ]

    @cached_property
    def queries(self) -> Mapping[str, MetricQuery]:
        """The query of every series that is read, by series key."""
        return {
            key: query(self.metrics[name], statistic, self.period_s)
            for name, statistic, key in self.series_keys
        }

    def alarms(self) -> tuple[str, ...]:
        """Return the names and ARNs of the alarms that are read."""
        return ()

    def log_queries(self, stored_end: int, judged_span: Span) -> Iterator[tuple[str, LogQuery]]:
        """Yield the log queries of a tick, by series key.

        stored_end: end of the checkpoint, unix seconds. judged_span: the judged and settled time of
        the step.
        """
        yield from ()

    def search_span(self, stored_end: int, judged_span: Span) -> Span | None:
        """Return where one tick searches a log for events; None where no log is searched."""
        return None

    def answers(self, series: Mapping[str, Series], searched: Span | None) -> dict[str, Series]:
        """Return the answers to everything that was read, by a name for people."""
        return {
            f"{metric} ({statistic})": series.get(key, NO_SERIES)
            for metric, statistic, key in self.series_keys
        }

    def checkpoint_keys(self) -> list[str]:
        """Return the keys of the series that are not read again before the checkpoint."""
        return [key for _, _, key in self.series_keys]

    # --- how windows add up -----------------------------------------------------------------------

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that reads one window out of `series`.

        has_traffic: whether the canary has a weight above 0; without one, its missing datapoints
        are not below a lower bound.
        """
        return no_window

    def reader(self, series: Mapping[str, Series]) -> Reader:
        """Return a reader of `series` in windows of this criterion."""
        return Reader(self.metrics, series, self.period_s)

    def fold(self, tally: Tally, measure: Measure, starts: Sequence[int]) -> Tally:
        """Return `tally` with the windows at `starts` folded in, in order."""
        return fold(tally, measure, starts, self.period_s)

    def after_loss(self, tally: Tally) -> Tally:
        """Return `tally` after windows were given up, cut to those that are looked back over."""
        return tally

    @property
    def reads_newest_s(self) -> int:
        """How much of the newest time of the step each tick reads, stored or not, in seconds."""
        return 0

    @property
    def look_back(self) -> timedelta | None:
        """How far back a start reads for the criterion to fail; None: the past says nothing."""
        return None

    def worst_value(self, series: Mapping[str, Series], starts: range) -> float | None:
        """Return the worst value that the windows at `starts` have, as `with_bound` takes it.

        None where none has data, and for a kind in which no value is worse than another.
        """
        return None

    @property
    def counts_open_windows(self) -> bool:
        """True when a window that is still open can be over its bound for good."""
        return False

    def can_fail_after(self, finding: Finding | None) -> bool:
        """Tell whether more windows can fail the criterion; True where that is not known.

        finding: the newest one of the step; None before the first.
        """
        return True

    def may_fail_early(self, tally: Tally) -> bool:
        """Tell whether the criterion may fail by `tally` before the bake is over.

        Never a false no: a backtest concludes nothing in between where no criterion may fail.
        """
        return True

    # --- what follows -----------------------------------------------------------------------------

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the tally of the step."""
        raise NotImplementedError

    def finding(
        self,
        context: Context,
        outcome: Outcome,
        *facts: Facts | Mapping[str, Fact],
        measured: float | None = None,
        bound: float = 0.0,
        samples: float = 0,
        end: int = 0,
    ) -> Finding:
        """Return a finding on the time from the start of the step to `end`, unix seconds."""
        verdict, label, reason = outcome
        return Finding(
            criterion=self.name,
            kind=self.criterion.kind,
            verdict=verdict,
            label=label,
            reason=reason,
            measured=measured,
            bound=bound,
            samples=int(samples),
            start=context.start,
            end=max(context.start, end),
            facts=flat(*facts),
            gates=self.criterion.gating,
        )

    def progress(self, finding: Finding, stored: SequentialState) -> Progress:
        """Return how far the criterion is towards each verdict, by its newest finding.

        stored: the evidence of the whole rollout, as of the last checkpoint.
        """
        return Progress(passing=towards_samples(finding, self.min_samples))

    # --- what traffic it needs, for a power analysis ----------------------------------------------

    @property
    def min_samples(self) -> int | None:
        """Samples that a pass needs; None where how they follow from traffic is not known."""
        return getattr(self.criterion, self.samples_field) if self.samples_field else None

    @property
    def no_estimate(self) -> str:
        """Why it is not known how soon the criterion finds a fault at a request rate."""
        if self.criterion.sequential:
            return "more is allowed than the faults of the table"
        if self.samples_field:
            return "windows are compared one by one"
        return "the kind does not say how many samples follow from the traffic"

    @property
    def allowed_failures(self) -> float:
        """The share of requests that may fail; 0.0 for a criterion without such a share."""
        return 0.0

    # --- what it asks for, in words ---------------------------------------------------------------

    def demand_text(self) -> str:
        """Return what the criterion asks for and how it is judged, in one line."""
        return f"a criterion of the kind {self.criterion.kind}"

    @property
    def limits_text(self) -> str:
        """At which evidence the criterion fails; empty: it does not weigh evidence."""
        return ""

    @property
    def rule_text(self) -> str:
        """What the criterion asks for, how it is judged and at which evidence it fails."""
        return "; ".join(filter(None, (self.demand_text(), self.limits_text)))

    @property
    def value_bound(self) -> Bound | None:
        """The bound that one value is compared with; None where the criterion has none."""
        return None

    @property
    def bound(self) -> float:
        """The bound of a finding, where the policy says it."""
        return 0.0 if self.value_bound is None else self.value_bound.value

    def target_text(self) -> str:
        """Return what the criterion asks for, in a few characters, before its first finding."""
        return self.bound_text(self.bound)

    def baseline_text(self) -> str:
        """Return the stored baseline, and the limit that follows from it; empty without one."""
        return ""

    def bound_text(self, bound: float) -> str:
        """Return the bound of a finding, and on which side of it the criterion passes."""
        if self.value_bound is None:
            return number_beside(bound, bound)
        return self.value_bound.text(bound)

    def measured_text(self, finding: Finding) -> str:
        """Return what a finding measured; empty when nothing was."""
        if finding.measured is None:
            return ""
        return self.value_text(finding.measured, finding.bound)

    def value_text(self, value: float, bound: float) -> str:
        """Return the measured value of a finding; it has enough digits to differ from the bound."""
        if self.value_bound is None:
            return number_beside(value, bound)
        return self.value_bound.value_text(value, bound)


def judge_of(
    name: str, criterion: C, policy: Policy, baseline: BaselineMeasurement | None = None
) -> CriterionJudge[C]:
    """Return the judge of `criterion`, which `policy` calls `name`."""
    path = criterion.judged_by_evidence if criterion.sequential else criterion.judged_by
    judge: CriterionJudge[C] = load(path)(name, criterion, policy, baseline)
    return judge


def judges_of(
    policy: Policy,
    criteria: Mapping[str, Criterion],
    baselines: Mapping[str, BaselineMeasurement],
) -> Iterator[CriterionJudge[Criterion]]:
    """Yield the judge of each of `criteria`."""
    for name, criterion in criteria.items():
        yield judge_of(name, criterion, policy, baselines.get(name))


def passed(reason: str, label: Label = Label.NO_REGRESSION) -> Outcome:
    """Return the outcome of a criterion that passes."""
    return Verdict.PASS, label, reason


def failed(reason: str, label: Label = Label.REGRESSION) -> Outcome:
    """Return the outcome of a criterion that fails."""
    return Verdict.FAIL, label, reason


def undecided(label: Label, reason: str) -> Outcome:
    """Return the outcome of a criterion that neither passes nor fails."""
    return Verdict.INCONCLUSIVE, label, reason


def not_ready(tally: Tally, context: Context, window_s: int) -> tuple[Outcome, Facts] | None:
    """Return why nothing can be judged yet, whatever the tally says; None when it can."""
    if context.incomplete is not None:
        facts = failed_query(*context.incomplete)
        return undecided(Label.QUERY_FAILED, FindingReason.QUERY_FAILED), facts
    if tally.windows + tally.empty + tally.inconsistent + tally.unanswered == 0:
        return undecided(Label.NOT_JUDGED, FindingReason.NO_WINDOW_YET), WindowLength(window_s)
    return None


def failed_query(name: str, series: Series) -> FailedQuery:
    """Return which series was not answered in full, and what the source said."""
    return FailedQuery(name, series.status, series.message)


def incomplete_series(answers: Mapping[str, Series]) -> tuple[str, Series] | None:
    """Return the first series that was not answered in full, by name; None when all were."""
    return next(
        (
            (name, answer)
            for name, answer in answers.items()
            if answer.status is not QueryStatus.COMPLETE
        ),
        None,
    )
