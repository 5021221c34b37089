"""What of a policy a history can judge: its criteria on metrics, as the history has them.

Whatever a backtest reads otherwise than a rollout does is a note, which its page shows.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from controller.core.judge.series import SAMPLE_COUNT
from controller.core.policy import Criterion, Policy
from controller.core.units import MINUTE_S, ceil_to, format_duration
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.tools.backtest.csv_file import columns_text
from controller.tools.backtest.past_metrics import (
    ColumnKey,
    PastMetrics,
    compared_metrics,
    request_counts,
)

# Ends the name of a metric whose periods are spread over their minutes.
_BY_MINUTE: Final = " by minute"
_NOT_PLAYED: Final = ("freeze", "hooks", "notify", "verify_rollback", "max_bad_requests")


class BacktestInput(Immutable):
    """A policy and the history that it is tried on, made to fit each other.

    notes: what is read otherwise than in a rollout.
    """

    policy: Policy
    history: PastMetrics
    notes: tuple[str, ...]


def prepare(policy: Policy, history: PastMetrics) -> BacktestInput:
    """Return what of `policy` can be tried on `history`.

    Raises UsageError when a criterion has no column, or nothing is left to judge.
    """
    fitting = _Fitting(policy, history)
    fitting.leave_out_what_no_metric_shows()
    fitting.fill_canary_columns()
    fitting.fill_samples()
    fitting.check_columns()
    for name, criterion in fitting.criteria.items():
        fitting.criteria[name] = fitting.fitted(criterion)
    return fitting.subject()


class _Fitting:
    """A policy and a history on the way to fit each other."""

    def __init__(self, policy: Policy, history: PastMetrics) -> None:
        self.policy, self.history = policy, history
        self.criteria, self.metrics = dict(policy.criteria), dict(policy.metrics)
        self.columns = dict(history.columns)
        self.filled, self.notes = dict[str, str](), dict[str, None]()

    def note(self, text: str) -> None:
        """Add a note, once."""
        self.notes[text] = None

    # --- what is there ----------------------------------------------------------------------------

    def leave_out_what_no_metric_shows(self) -> None:
        """Leave out alarms, log events and sign-offs."""
        left_out = [name for name, criterion in self.criteria.items() if not criterion.metric_names]
        for name in left_out:
            del self.criteria[name]
        if left_out:
            self.note(f"not judged, because no metric shows it: {', '.join(left_out)}")
        if not any(criterion.gating for criterion in self.criteria.values()):
            raise UsageError(f"{self.policy.name} has no criterion on a metric that gates")

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each metric that a criterion reads, with that criterion."""
        for name, criterion in self.criteria.items():
            yield from ((metric, name) for metric in criterion.metric_names)

    def fill_canary_columns(self) -> None:
        """Give metrics of the canary without data those of the stable path they are compared to."""
        for canary, stable in compared_metrics(self.policy).items():
            if self.history.has(canary) or not self.history.has(stable):
                continue
            own, other = self.metrics[canary].statistic, self.metrics[stable].statistic
            for statistic in self.history.statistics_of(stable):
                kept = own if statistic == other else statistic
                self.columns[canary, kept] = self.history.columns[stable, statistic]
            self.filled[canary] = stable
            self.note(f"{canary} has no data of its own, and is read from {stable}")

    def fill_samples(self) -> None:
        """Take the requests as the samples of values that come without."""
        requests = request_counts(self.policy)
        for metric in dict.fromkeys(metric for metric, _ in self.used()):
            if self.columns.get((metric, SAMPLE_COUNT)):
                continue
            kind = self.policy.counts.get(metric, "canary")
            order = [requests.get(kind), *requests.values(), metric]
            source = next((one for one in order if one and self._counts(one)), None)
            if source is None:
                continue
            counts = self.columns[source, self.metrics[source].statistic]
            times = self.columns.get((metric, self.metrics[metric].statistic), {})
            self.columns[metric, SAMPLE_COUNT] = {at: n for at, n in counts.items() if at in times}
            if not self.metrics[metric].is_count:
                self.note(f"the samples of {metric} are taken from {source}")

    def _counts(self, metric: str) -> bool:
        one = self.metrics[metric]
        return one.is_count and bool(self.columns.get((metric, one.statistic)))

    # --- what is missing --------------------------------------------------------------------------

    def check_columns(self) -> None:
        """Raise UsageError with every column that a criterion needs and the history lacks."""
        problems: dict[str, None] = {}
        for metric, criterion in self.used():
            for key in self._missing_columns(metric, self.criteria[criterion]):
                problems[f"no data for {columns_text([key])}, which {criterion} reads"] = None
        if problems:
            raise UsageError("the history does not fit the policy", *problems)

    def _missing_columns(self, metric: str, criterion: Criterion) -> Iterator[ColumnKey]:
        one = self.metrics[metric]
        if (metric, one.statistic) not in self.columns:
            yield metric, one.statistic
        elif not one.is_count and not self.columns.get((metric, SAMPLE_COUNT)):
            yield metric, SAMPLE_COUNT
        elif criterion.sequential and one.percentile is not None:
            others = [key for key in self.columns if key[0] == metric and key[1].startswith("p")]
            if len(others) < 2:
                yield metric, "p99" if one.statistic != "p99" else "p95"

    # --- how it is read ---------------------------------------------------------------------------

    def fitted(self, criterion: Criterion) -> Criterion:
        """Return `criterion` as a history can be judged by it."""
        if not criterion.sequential:
            return self._with_window(criterion)
        metric = next((comparison.metric for comparison in criterion.comparisons), None)
        if metric is None:
            return criterion
        if self.metrics[metric].percentile is not None:
            self.note("requests beyond a limit are interpolated between percentiles")
            return criterion.model_copy(update={"exceedance": "percentiles"})
        return self._by_minute(criterion, metric)

    def _with_window(self, criterion: Criterion) -> Criterion:
        """Return a criterion whose windows are whole periods of the history."""
        own = int(criterion.period.total_seconds())
        window_s = ceil_to(own, self.history.period_s)
        if window_s == own:
            return criterion
        window = timedelta(seconds=window_s)
        lengths = f"{format_duration(criterion.period)} are read as {format_duration(window)}"
        self.note(f"windows of {lengths}, as the history has them")
        return criterion.model_copy(update={"window": window})

    def _by_minute(self, criterion: Criterion, metric: str) -> Criterion:
        """Return a count that is judged by minute, with a period spread over its minutes."""
        if self.history.period_s == MINUTE_S:
            return criterion
        name = f"{metric}{_BY_MINUTE}"
        self.metrics[name] = self.metrics[metric]
        self.note(f"{metric} is spread evenly over the minutes of a period")
        return criterion.model_copy(update={"metric": name})

    def subject(self) -> BacktestInput:
        """Return policy and history as they fit."""
        if self.history.period_s != MINUTE_S and any(
            criterion.sequential for criterion in self.criteria.values()
        ):
            length = format_duration(timedelta(seconds=self.history.period_s))
            self.note(f"a period of {length} counts as one minute of evidence")
        for step in self.policy.steps:
            if step.criteria and not self._gate(step.criteria):
                raise UsageError(f"the gate at {step.weight}% has no criterion on a metric")
        steps = [
            step.model_copy(
                update={
                    "approval": None,
                    "max_bad_requests": None,
                    "criteria": self._gate(step.criteria),
                }
            )
            for step in self.policy.steps
        ]
        ignored = [one for one in _NOT_PLAYED[:2] if getattr(self.policy, one) is not None]
        ignored += ["max_bad_requests"] if self.policy.limits_exposure else []
        ignored += ["approvals"] if any(one.approval for one in self.policy.steps) else []
        if ignored:
            self.note(f"nothing waits for {', '.join(ignored)}")
        # Within a period the history shows nothing new.
        delay_s = ceil_to(int(self.policy.evaluation_delay.total_seconds()), self.history.period_s)
        changes: dict[str, Any] = {
            **dict.fromkeys(_NOT_PLAYED),
            "evaluation_delay": timedelta(seconds=delay_s),
            "criteria": self.criteria,
            "metrics": self.metrics,
            "steps": tuple(steps),
        }
        policy = self.policy.model_copy(update=changes)
        policy.__dict__.pop("counts", None)  # cached, and about the metrics of the other policy
        history = replace(self.history, columns=self.columns, filled=self.filled)
        return BacktestInput(policy, history, (*self.history.notes, *self.notes))

    def _gate(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and tuple(name for name in names if name in self.criteria)


def by_minute_source(metric: str) -> str | None:
    """Return the metric whose periods `metric` has by minute; None where it is a metric itself."""
    return metric.removesuffix(_BY_MINUTE) if metric.endswith(_BY_MINUTE) else None
