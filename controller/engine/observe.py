"""What a tick looks at: the target of each rollout, and the metrics of all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.core.judge.gate import Needs, needs, unanswered
from controller.core.judge.queries import aligned
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
from controller.errors import (
    MetricsError,
    MetricsRefusedError,
    RolloutError,
    TargetError,
    WriteRefusedError,
)
from controller.ports.clock import Clock
from controller.ports.logs import LogSource
from controller.ports.metrics import AlarmSource, MetricSource
from controller.ports.store import Store
from controller.ports.target import Target, TargetFactory
from controller.process import logging

log = logging.logger()


class _ForeignWeightError(Exception):
    """Another hand has set another weight meanwhile."""


class _QueryRefusedError(Exception):
    """CloudWatch refuses a query, or its answer cannot be read; `text` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class RolloutTarget:
    """A target that is refused when it is another one than `identity`, of the same name.

    That is another account or region: a rollout must not move traffic where it never was.
    """

    def __init__(self, target: Target, identity: str) -> None:
        self._target, self._identity = target, identity

    def read(self) -> TargetReading:
        """Return the weight as it stands. Raises WriteRefusedError for another target."""
        reading = self._target.read()
        self._check(reading)
        return reading

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once; the token is of the right target, or refused."""
        self._target.shift_to(weight, token)

    def lower_to_zero(self, within: timedelta, *, void: str = "", only: int | None = None) -> bool:
        """Write weight 0, unless another target is what answers; False where `only` left it.

        void: while the target carries this token, 0 is written even where it stands.
        only: the one weight that is taken back; None: whatever stands there.
        """

        def check(reading: TargetReading) -> None:
            self._check(reading)
            if only is not None and reading.weight not in (0, only):
                raise _ForeignWeightError

        try:
            self._target.lower_to_zero(within, void=void, check=check)
        except _ForeignWeightError:
            return False
        return True

    def _check(self, reading: TargetReading) -> None:
        if reading.identity != self._identity:
            raise WriteRefusedError(
                f"{reading.identity} answers where the rollout runs on {self._identity}; nothing "
                "is written: check the account and the region of these credentials"
            )


@dataclass(frozen=True, slots=True)
class PartialObservation:
    """One rollout with its target read; `needs` is what has to be measured before it is decided."""

    rollout: Rollout
    now: datetime
    target: TargetReading | UnreadableTarget
    owns_target: bool
    needs: Needs

    def observation(self, measurements: "Measurements") -> Observation:
        """Return everything that was seen of this rollout; measurements: of `Looking.ask`."""
        wants, series = self.needs, dict[str, Series]()
        if isinstance(measurements.series, str):
            series |= unanswered(measurements.series, wants.queries)
        else:
            series |= {key: measurements.series[query] for key, query in wants.queries.items()}
        series |= {key: measurements.events[query] for key, query in wants.logs.items()}
        alarms = {name: measurements.alarms[name] for name in wants.alarms}
        return Observation(self.target, series, self.owns_target, alarms)


@dataclass(frozen=True, slots=True)
class Measurements:
    """What came back for many rollouts at once.

    series: of the metrics, or why there is none. alarms: by name or ARN. events: of the logs.
    """

    series: Mapping[MetricQuery, Series] | str = field(default_factory=dict)
    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    events: Mapping[LogQuery, Series] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads through the ports and turns what fails into something that can be decided about.

    dry_run: nothing is written, so what was asked for is never seen applied.
    logs, alarms: asked only for rollouts whose policy names events, or alarms; None: nobody can be
        asked.
    """

    store: Store
    targets: TargetFactory
    metrics: MetricSource
    clock: Clock
    logs: LogSource | None = None
    alarms: AlarmSource | None = None
    dry_run: bool = False
    _target_cache: dict[str, RolloutTarget] = field(default_factory=dict, init=False)

    def target_of(self, rollout: Rollout) -> RolloutTarget:
        """Return the target of `rollout`, opened once."""
        if rollout.id not in self._target_cache:
            self._target_cache[rollout.id] = RolloutTarget(
                self.targets(rollout.policy.target), rollout.target
            )
        return self._target_cache[rollout.id]

    def observe_target(self, rollout: Rollout) -> PartialObservation:
        """Return `rollout` with its target read. Time never goes back behind what was recorded.

        Raises StoreError when the store does not tell who owns the target of a final rollout.
        """
        now = max(self.clock.now(), rollout.updated)
        target = self.read_target(rollout)
        owns = not rollout.final or self.store.owns(rollout.id)
        return PartialObservation(rollout, now, target, owns, needs(rollout, now))

    def read_target(self, rollout: Rollout) -> TargetReading | UnreadableTarget:
        """Return what the target of `rollout` shows, or why it cannot be read."""
        try:
            return self.target_of(rollout).read()
        except TargetError as error:
            log.warning("target_unreadable", **log_context(rollout, error))
            return UnreadableTarget(str(error), permanent=isinstance(error, WriteRefusedError))

    def measure(
        self, partials: Sequence[PartialObservation]
    ) -> list[tuple[PartialObservation, Measurements]]:
        """Return each of `partials` with its metrics and alarms, all of them from one read.

        Where that read is refused, each rollout is asked for alone: the query of one that
        CloudWatch does not take is that rollout's trouble.
        """
        try:
            shared = Measurements(self._series(partials), self._alarm_readings(partials))
        except _QueryRefusedError as error:
            if len(partials) == 1:
                shared = Measurements(error.text, self._alarm_readings(partials))
            else:
                return [pair for look in partials for pair in self.measure([look])]
        return [(look, shared) for look in partials]

    def count_log_events(
        self, pairs: Sequence[tuple[PartialObservation, Measurements]]
    ) -> list[tuple[PartialObservation, Measurements]]:
        """Return `pairs` with the log events that their looks want; that may take a while."""
        events = self._log_events([look for look, _ in pairs])
        return [(look, replace(answers, events=events)) for look, answers in pairs]

    def _series(self, partials: Sequence[PartialObservation]) -> Mapping[MetricQuery, Series] | str:
        """Return every series that `partials` want, from one read, or why there is none.

        Raises _RefusedError when CloudWatch refuses a query.
        """
        wants = [look.needs for look in partials if look.needs.queries]
        if not wants:
            return {}
        queries = {str(query): query for want in wants for query in want.queries.values()}
        # Each span fits the periods of its own rollout; their union has to fit all periods.
        start, end = min(want.span.start for want in wants), max(want.span.end for want in wants)
        try:
            return self.metrics.read(queries.values(), aligned(queries, start, end))
        except Exception as error:
            problem = problem_of(
                error, ", ".join(look.rollout.id for look in partials), "measuring"
            )
            log.warning("metrics_unavailable", **{**problem.context, "problem": str(problem)})
            if isinstance(problem, MetricsError) and not isinstance(problem, MetricsRefusedError):
                return str(problem)
            raise _QueryRefusedError(str(problem)) from error

    def _alarm_readings(self, partials: Sequence[PartialObservation]) -> Mapping[str, AlarmReading]:
        """Return how the alarms stand that `partials` want, from one read."""
        names = list(dict.fromkeys(name for look in partials for name in look.needs.alarms))
        return self.read_alarms(names) if names else {}

    def read_alarms(self, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        """Return how the alarms of these names or ARNs stand; what was not read says why."""
        if self.alarms is None:
            nobody = AlarmReading(AlarmState.UNREAD, reason="no alarms can be read from here")
            return dict.fromkeys(names, nobody)
        try:
            found = self.alarms.states(names)
        except Exception as error:  # noqa: BLE001 - an alarm that is not read is a finding
            why = str(problem_of(error, "rollouts with alarms", "reading alarms for"))
            found = dict.fromkeys(names, AlarmReading(AlarmState.UNREAD, reason=why))
        unread = {one.reason for one in found.values() if one.state is AlarmState.UNREAD}
        for problem in sorted(unread):
            log.warning("alarms_unavailable", problem=problem)
        return found

    def _log_events(self, partials: Sequence[PartialObservation]) -> Mapping[LogQuery, Series]:
        """Return the log events that `partials` want, counted in one go with one limit of time."""
        queries = list(dict.fromkeys(one for look in partials for one in look.needs.logs.values()))
        if not queries:
            return {}
        if self.logs is None:
            nobody = Series(answer=QueryStatus.ERROR, message="no logs can be read from here")
            return dict.fromkeys(queries, nobody)
        try:
            found = self.logs.count(queries)
        except Exception as error:  # noqa: BLE001 - events that are not read are a finding
            why = str(problem_of(error, "rollouts with log events", "counting events for"))
            found = dict.fromkeys(queries, Series(answer=QueryStatus.ERROR, message=why))
        for problem in sorted({one.message for one in found.values() if one.message}):
            log.warning("logs_unavailable", problem=problem)
        return found


def log_context(rollout: Rollout, error: RolloutError) -> dict[str, object]:
    """Return what a log line says of `error`; its context may name the same things."""
    return {**error.context, "rollout": rollout.id, "problem": str(error)}
