"""Observes rollouts: reads the target of each, and the metrics, alarms and logs of all at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from controller.core.judge.gate import error_series, query_plan
from controller.core.judge.queries import JUDGED_PHASES, QueryPlan, aligned_span
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    LogQuery,
    MetricQuery,
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
)
from controller.core.rollout import Rollout
from controller.engine.isolation import problem_of
from controller.engine.recipients import withheld_sources
from controller.errors import (
    MetricsError,
    MetricsRefusedError,
    RolloutError,
    TargetError,
    WriteRefusedError,
)
from controller.immutable import Immutable, field
from controller.ports.clock import Clock
from controller.ports.metrics import AlarmSource, LogSource, MetricCatalogue, MetricSource
from controller.ports.store import Store
from controller.ports.target import Target, TargetFactory, unreadable
from controller.process import logging

log = logging.logger()


class _ForeignWeightError(Exception):
    """The weight was changed outside rolloutctl after the decision to lower it."""


class RolloutTarget:
    """The target of a rollout; one of the same name with another identity is refused.

    port: the target itself, for a raise: the token of a raise is refused by another target.
    identity: the ARN at the start. Another one is in another account or region, where the rollout
    must not move traffic.
    """

    def __init__(self, port: Target, identity: str) -> None:
        self.port, self._identity = port, identity

    def read(self) -> TargetReading:
        """Return the current weight. Raises WriteRefusedError for another target."""
        reading = self.port.read()
        self._check(reading)
        return reading

    def lower_to_zero(
        self, within: timedelta, *, outdated_token: str = "", only: int | None = None
    ) -> bool:
        """Write weight 0; return False if the weight is neither 0 nor `only`, and was left alone.

        outdated_token: while the target carries this token, 0 is written even where the weight is 0
            already.
        only: the one weight that is lowered; None: any weight.
        Raises WriteRefusedError for another target.
        """

        def check(reading: TargetReading) -> None:
            self._check(reading)
            if only is not None and reading.weight not in (0, only):
                raise _ForeignWeightError

        try:
            self.port.lower_to_zero(within, outdated_token=outdated_token, check=check)
        except _ForeignWeightError:
            return False
        return True

    def _check(self, reading: TargetReading) -> None:
        if reading.identity != self._identity:
            raise WriteRefusedError(
                f"{reading.identity} answers where the rollout runs on {self._identity}; nothing "
                "is written: check the account and the region of these credentials"
            )


class PartialObservation(Immutable):
    """One rollout with its target read.

    needs: what must be measured before the decision. fix: as in `Observation`.
    """

    rollout: Rollout
    now: datetime
    target: TargetReading | UnreadableTarget
    owns_target: bool
    needs: QueryPlan
    fix: Mapping[str, float | None] | None = None

    def observation(self, measurements: "Measurements") -> Observation:
        """Return the observation of this rollout. measurements: those of `Observer.measure`."""
        series = dict[str, Series]()
        queries = self.needs.queries
        if isinstance(measurements.series, str):
            series |= error_series(measurements.series, queries)
        else:
            series |= {key: measurements.series[query] for key, query in queries.items()}
        series |= {key: measurements.events[query] for key, query in self.needs.logs.items()}
        alarms = {name: measurements.alarms[name] for name in self.needs.alarms}
        return Observation(self.target, series, self.owns_target, alarms, fix=self.fix)


class Measurements(Immutable):
    """The measurements of many rollouts, from one read of each source.

    series: of the metrics, or why there is none. alarms: by name or ARN. events: counts of log
    events.
    """

    series: Mapping[MetricQuery, Series] | str = field(default_factory=dict)
    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    events: Mapping[LogQuery, Series] = field(default_factory=dict)


class Observer(Immutable):
    """Reads through the ports, and turns failed reads into values that a decision can use.

    dry_run: nothing is written, so no decided weight is ever read back as applied.
    logs, alarms: read only for rollouts whose policy names log events or alarms.
    catalogue: lists metrics before a start.
    """

    store: Store
    targets: TargetFactory
    metrics: MetricSource
    clock: Clock
    logs: LogSource
    alarms: AlarmSource
    catalogue: MetricCatalogue
    dry_run: bool = False
    _target_cache: dict[str, RolloutTarget] = field(default_factory=dict)

    def target_of(self, rollout: Rollout) -> RolloutTarget:
        """Return the target of `rollout`, which is opened once."""
        if rollout.id not in self._target_cache:
            self._target_cache[rollout.id] = RolloutTarget(
                self.targets(rollout.policy.target), rollout.target
            )
        return self._target_cache[rollout.id]

    def observe_target(self, rollout: Rollout) -> PartialObservation:
        """Return `rollout` with its target read. Time is never earlier than the last record.

        Raises StoreError when the owner of the target of a final rollout cannot be read, or what
        allows one as a fix.
        """
        now = max(self.clock.now(), rollout.updated)
        target = self.read_target(rollout)
        owns = not rollout.final or self.store.owns(rollout.id, rollout.locks)
        needs = query_plan(rollout, now) if owns else QueryPlan()
        is_fix = rollout.evidence.fix is not None and rollout.phase in JUDGED_PHASES
        fix = self.store.red_before(rollout.id) if is_fix else None
        return PartialObservation(rollout, now, target, owns, needs, fix)

    def read_target(self, rollout: Rollout) -> TargetReading | UnreadableTarget:
        """Return the reading of the target of `rollout`, or why it cannot be read."""
        try:
            return self.target_of(rollout).read()
        except TargetError as error:
            log.warning("target_unreadable", **log_context(rollout, error))
            return unreadable(error)

    def measure(self, partials: Sequence[PartialObservation]) -> Measurements | None:
        """Return the metrics and alarms of `partials`, all of them from one read.

        None: CloudWatch refuses that read. Each of them is to be read alone then, because an
        invalid query must affect only its own rollout, and is not refused as a whole.
        """
        series = self._series(partials)
        return None if series is None else Measurements(series, self._alarm_readings(partials))

    def count_log_events(self, partials: Sequence[PartialObservation]) -> Mapping[LogQuery, Series]:
        """Return the counts of the log events that `partials` need, all within one time limit.

        This may be slow.
        """
        queries = list(
            dict.fromkeys(query for partial in partials for query in partial.needs.logs.values())
        )
        if not queries:
            return {}
        try:
            counts = self.logs.count(queries)
        except Exception as error:  # noqa: BLE001 - events that are not read are a finding
            message = str(problem_of(error, "rollouts with log events", "counting events for"))
            counts = dict.fromkeys(queries, Series(status=QueryStatus.ERROR, message=message))
        for problem in sorted({count.message for count in counts.values() if count.message}):
            log.warning("logs_unavailable", problem=problem)
        return counts

    def _series(
        self, partials: Sequence[PartialObservation]
    ) -> Mapping[MetricQuery, Series] | str | None:
        """Return every series that `partials` need, from one read, or why there is none.

        None: CloudWatch refuses a query of one of them, or its answer cannot be read.
        """
        needed = [partial.needs for partial in partials if partial.needs.queries]
        if not needed:
            return {}
        queries = dict.fromkeys(query for one in needed for query in one.queries.values())
        used = (
            (one.rollout.id, query.source)
            for one in partials
            for query in one.needs.queries.values()
        )
        withheld = withheld_sources(self.store.recipients, used)
        unread = {
            query: Series(status=QueryStatus.ERROR, message=withheld[query.source])
            for query in queries
            if query.source in withheld
        }
        queries = dict.fromkeys(query for query in queries if query not in unread)
        if not queries:
            return unread
        # Each span fits the periods of its own rollout; their union must fit all periods.
        start, end = min(one.span.start for one in needed), max(one.span.end for one in needed)
        try:
            return {**unread, **self.metrics.read(queries, aligned_span(queries, start, end))}
        except Exception as error:  # noqa: BLE001 - a metric that is not read is a finding
            problem = problem_of(error, ", ".join(one.rollout.id for one in partials), "measuring")
            log.warning("metrics_unavailable", **{**problem.context, "problem": str(problem)})
            if not isinstance(problem, MetricsError) or isinstance(problem, MetricsRefusedError):
                return None if len(partials) > 1 else str(problem)
            if problem.denied:
                denied = Series(status=QueryStatus.FORBIDDEN, message=str(problem))
                return {**unread, **dict.fromkeys(queries, denied)}
            return str(problem)

    def _alarm_readings(self, partials: Sequence[PartialObservation]) -> Mapping[str, AlarmReading]:
        """Return the states of the alarms that `partials` need, from one read.

        One that could not be read has a reason.
        """
        names = list(dict.fromkeys(name for partial in partials for name in partial.needs.alarms))
        if not names:
            return {}
        try:
            readings = self.alarms.states(names)
        except Exception as error:  # noqa: BLE001 - an alarm that is not read is a finding
            reason = str(problem_of(error, "rollouts with alarms", "reading alarms for"))
            readings = dict.fromkeys(names, AlarmReading(AlarmState.UNREAD, reason=reason))
        problems = {
            reading.reason for reading in readings.values() if reading.state is AlarmState.UNREAD
        }
        for problem in sorted(problems):
            log.warning("alarms_unavailable", problem=problem)
        return readings


def log_context(rollout: Rollout, error: RolloutError) -> dict[str, object]:
    """Return the fields of a log line about `error`; they replace the same keys of its context."""
    return {**error.context, "rollout": rollout.id, "problem": str(error)}
