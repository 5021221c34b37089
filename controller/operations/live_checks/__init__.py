"""The checks of the account that `start`, `plan --live` and `doctor` make of a policy.

`start` is refused if one fails, and `doctor` makes others besides. A source that cannot be read
degrades only its own checks, which report that.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from controller.core.observation import (
    MetricQuery,
    Series,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Metric, Policy, aws_metrics
from controller.errors import MetricsError, StoreError
from controller.immutable import Immutable, replace
from controller.operations.checks import Check, CheckLevel, fail, warn
from controller.operations.live_checks import metrics, sources, target
from controller.operations.live_checks.requests import (
    FOREIGN_REMEDY,
    foreign_requests,
    unanswered_checks,
)
from controller.policy_file.counts import counts_refusals
from controller.ports import api_gateway
from controller.ports.metrics import (
    AlarmSource,
    LogSource,
    MetricCatalogue,
    MetricListing,
    MetricSource,
)
from controller.ports.store import Exposures
from controller.ports.target import InspectableTarget

WHOSE_REQUESTS: Final = "whose requests"
CANARY_METRICS: Final = "canary metrics"
# The check that fails where no metric can be read at all.
METRICS: Final = "metrics"


class LiveChecks(Immutable):
    """The checks of one policy, and the sources that they read.

    exposures: of the store; None: it cannot be read.
    starting: a rollout starts now, so an update in progress and an alarm that is in ALARM fail;
        otherwise both may have passed by the start, and are warnings.
    fix: it starts as a fix, so what is red of the stable path or an alarm is a warning.
    """

    policy: Policy
    target: InspectableTarget
    metrics: MetricSource
    exposures: Exposures | None
    catalogue: MetricCatalogue
    alarms: AlarmSource
    logs: LogSource
    starting: bool = False
    fix: bool = False

    def checks(self, reading: TargetReading | UnreadableTarget, now: datetime) -> Iterator[Check]:
        """Yield every check, in the order in which problems are best fixed."""
        if isinstance(reading, UnreadableTarget):
            yield target.unreadable_check(reading, fail)
            yield from self.measurement_checks(None, now)
            return
        yield target.weight_check(reading)
        yield target.update_check(reading, starting=self.starting)
        yield from target.names_checks(self.target)
        yield from target.reach_checks(self.target.obstacles())
        yield from target.cold_start_checks(self.metrics, self.policy, now)
        yield from target.paid_reads_checks(self.metrics, self.policy, now)
        for line in counts_refusals(self.policy):
            yield fail(WHOSE_REQUESTS, line, "correct the policy")
        yield from self.measurement_checks(reading, now)

    def measurement_checks(self, reading: TargetReading | None, now: datetime) -> Iterator[Check]:
        """Yield the checks of metrics, alarms and logs. reading: None: the target is unreadable."""
        try:
            yield from self.metric_checks(reading, now)
            yield from self._canary_check(reading, now)
            for check in unanswered_checks(self.metrics, self.policy, now):
                yield (
                    replace(check, level=CheckLevel.WARN)
                    if self.fix and check.level is CheckLevel.FAIL
                    else check
                )
            idle = partial(self._is_idle, reading)
            yield from metrics.lateness_checks(self.metrics, self.policy, now, idle=idle)
            yield from sources.limit_checks(self.metrics, self.policy, {}, now)
            yield from sources.frequency_checks(self.metrics, self.policy, now)
        except MetricsError as error:
            yield fail(METRICS, str(error), "no gate can be judged without them")
        yield from self._alarm_checks()
        yield from self._log_checks(now)

    def _is_idle(self, reading: TargetReading | None, metric: str) -> bool:
        """Tell whether a metric counts the canary alone, which gets no requests."""
        is_at_zero = reading is not None and reading.weight == 0
        return is_at_zero and self.policy.counts[metric] == "canary"

    def metric_checks(self, reading: TargetReading | None, now: datetime) -> Iterator[Check]:
        """Yield the checks of the data, the name and the fields of each metric, by one read.

        Raises MetricsError when the metric source cannot be read at all.
        """
        named = self.policy.metrics
        queries = {name: metrics.queries_of(one) for name, one in named.items()}
        others = {
            name: metrics.queries_of(other)
            for name, one in named.items()
            if (other := metrics.stable_counterpart(self.policy, one)) is not None
        }
        pairs = [*queries.values(), *others.values()]
        series = self.metrics.read(
            [query for pair in pairs for query in pair], metrics.span_until(now)
        )
        found = {
            name: metrics.data_check(name, named[name], *_pair(series, pair), now)
            for name, pair in queries.items()
        }
        with_data = [named[name] for name, check in found.items() if check is not None]
        listings = dict[tuple[str, str], MetricListing]()
        for name, metric in named.items():
            if (check := found[name]) is None:
                idle = self._is_idle(reading, name)
                check = self._missing_data_check(name, with_data, listings, idle=idle)
            yield check
            yield from metrics.field_checks(name, metric)
        yield from self._stages_checks([name for name, check in found.items() if check])
        yield from metrics.bound_checks(self.policy, self._typical_values(series, queries, others))

    def _stages_checks(self, with_data: Sequence[str]) -> Iterator[Check]:
        """Yield a warning for each API of which the metrics add up several stages."""
        by_api = dict[str, dict[str, Metric]]()
        for name in with_data:
            metric = self.policy.metrics[name]
            if metric.namespace == api_gateway.NAMESPACE and len(metric.dimensions) == 1:
                by_api.setdefault(str(metric.dimensions), {})[name] = metric
        for of_api in by_api.values():
            listed = self.catalogue.similar(next(iter(of_api.values())))
            if (check := metrics.stages_check(of_api, listed)) is not None:
                yield check

    def _missing_data_check(
        self,
        name: str,
        with_data: Sequence[Metric],
        listings: dict[tuple[str, str], MetricListing],
        *,
        idle: bool,
    ) -> Check:
        """Return the check of a metric without data. listings: by namespace and name, so far."""
        metric, listed = self.policy.metrics[name], MetricListing()
        proven = metrics.has_proven_dimensions(self.policy, metric, with_data)
        if metric.source is not None:
            return sources.missing_check(name, metric, idle=idle, proven=proven)
        if not (proven and aws_metrics.is_documented(metric)):
            key = metric.namespace, metric.name
            listed = listings[key] = listings.get(key) or self.catalogue.similar(metric)
            proven = metrics.has_proven_dimensions(
                self.policy, metric, with_data, listed.dimensions
            )
        return metrics.missing_data_check(name, metric, listed, idle=idle, proven=proven)

    def _typical_values(
        self,
        series: Mapping[MetricQuery, Series],
        queries: Mapping[str, tuple[MetricQuery, MetricQuery]],
        others: Mapping[str, tuple[MetricQuery, MetricQuery]],
    ) -> dict[str, float]:
        """Return what each metric usually measures; one without data has that of another path."""
        values = dict[str, float]()
        for name, metric in self.policy.metrics.items():
            alike = [
                queries[other]
                for other, one in self.policy.metrics.items()
                if (one.place, one.name, one.statistic)
                == (metric.place, metric.name, metric.statistic)
            ]
            for pair in (queries[name], *([others[name]] if name in others else []), *alike):
                value = metrics.typical_value(*_pair(series, pair))
                if value is not None:
                    values[name] = value
                    break
        return values

    def _canary_check(self, reading: TargetReading | None, now: datetime) -> Iterator[Check]:
        """Yield a failure if metrics of the canary count requests while its weight is 0.

        Raises MetricsError when the metric source cannot be read at all.
        """
        if reading is None:
            return
        if self.exposures is None:
            yield warn(CANARY_METRICS, "not checked: the store cannot be read")
            return
        try:
            foreign = foreign_requests(self.metrics, self.exposures, self.policy, reading, now)
        except StoreError as error:
            yield fail(CANARY_METRICS, f"not checked: {error}", "run again")
            return
        if foreign:
            yield fail(CANARY_METRICS, foreign, FOREIGN_REMEDY)

    def _alarm_checks(self) -> Iterator[Check]:
        criteria = sources.alarms_of(self.policy)
        if not criteria:
            return
        readings = self.alarms.states([criterion.alarm for criterion in criteria.values()])
        for name, criterion in criteria.items():
            yield sources.alarm_check(
                name, criterion, readings[criterion.alarm], starting=self.starting, fix=self.fix
            )

    def _log_checks(self, now: datetime) -> Iterator[Check]:
        queries_by_line = sources.log_queries(self.policy, now)
        if not queries_by_line:
            return
        counts = self.logs.count(query for queries in queries_by_line.values() for query in queries)
        for what, queries in queries_by_line.items():
            yield sources.log_check(what, queries, counts)


def _pair(
    series: Mapping[MetricQuery, Series], queries: tuple[MetricQuery, MetricQuery]
) -> tuple[Series, Series]:
    samples, values = queries
    return series.get(samples, Series()), series.get(values, Series())
