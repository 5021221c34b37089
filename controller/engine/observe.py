"""What a tick looks at: the target of each rollout, and the metrics of all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.core.judge.gate import Needs, needs, unanswered
from controller.core.judge.queries import aligned
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    Answer,
    LogQuery,
    Observation,
    Query,
    Reading,
    Series,
    Unreadable,
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
from controller.ports.target import Target, Targets
from controller.process import logging

log = logging.logger()


class _LeftAloneError(Exception):
    """Another hand has set another weight meanwhile."""


class _RefusedError(Exception):
    """CloudWatch refuses a query, or its answer cannot be read; `text` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class OwnTarget:
    """A target that is refused when it is another one than `identity`, of the same name.

    That is another account or region: a rollout must not move traffic where it never was.
    """

    def __init__(self, target: Target, identity: str) -> None:
        self._target, self._identity = target, identity

    def read(self) -> Reading:
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

        def check(reading: Reading) -> None:
            self._check(reading)
            if only is not None and reading.weight not in (0, only):
                raise _LeftAloneError

        try:
            self._target.lower_to_zero(within, void=void, check=check)
        except _LeftAloneError:
            return False
        return True

    def _check(self, reading: Reading) -> None:
        if reading.identity != self._identity:
            raise WriteRefusedError(
                f"{reading.identity} answers where the rollout runs on {self._identity}; nothing "
                "is written: check the account and the region of these credentials"
            )


@dataclass(frozen=True, slots=True)
class Look:
    """One rollout with its target read; `wants` is what has to be measured before it is decided."""

    rollout: Rollout
    now: datetime
    target: Reading | Unreadable
    owns: bool
    wants: Needs

    def seen(self, answers: "Answers") -> Observation:
        """Return everything that was seen of this rollout; answers: of `Looking.ask`."""
        wants, series = self.wants, dict[str, Series]()
        if isinstance(answers.series, str):
            series |= unanswered(answers.series, wants.queries)
        else:
            series |= {key: answers.series[query] for key, query in wants.queries.items()}
        series |= {key: answers.events[query] for key, query in wants.logs.items()}
        alarms = {name: answers.alarms[name] for name in wants.alarms}
        return Observation(self.target, series, self.owns, alarms)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back for many rollouts at once.

    series: of the metrics, or why there is none. alarms: by name or ARN. events: of the logs.
    """

    series: Mapping[Query, Series] | str = field(default_factory=dict)
    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    events: Mapping[LogQuery, Series] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Looking:
    """Reads through the ports and turns what fails into something that can be decided about.

    dry: nothing is written, so what was asked for is never seen applied.
    logs, alarms: asked only for rollouts whose policy names events, or alarms; None: nobody can be
        asked.
    """

    store: Store
    targets: Targets
    metrics: MetricSource
    clock: Clock
    logs: LogSource | None = None
    alarms: AlarmSource | None = None
    dry: bool = False
    _open: dict[str, OwnTarget] = field(default_factory=dict, init=False)

    def target_of(self, rollout: Rollout) -> OwnTarget:
        """Return the target of `rollout`, opened once."""
        if rollout.id not in self._open:
            self._open[rollout.id] = OwnTarget(self.targets(rollout.policy.target), rollout.target)
        return self._open[rollout.id]

    def look(self, rollout: Rollout) -> Look:
        """Return `rollout` with its target read. Time never goes back behind what was recorded.

        Raises StoreError when the store does not tell who owns the target of a final rollout.
        """
        now = max(self.clock.now(), rollout.updated)
        target = self.read_target(rollout)
        owns = not rollout.final or self.store.owns(rollout.id)
        return Look(rollout, now, target, owns, needs(rollout, now))

    def read_target(self, rollout: Rollout) -> Reading | Unreadable:
        """Return what the target of `rollout` shows, or why it cannot be read."""
        try:
            return self.target_of(rollout).read()
        except TargetError as error:
            log.warning("target_unreadable", **facts(rollout, error))
            return Unreadable(str(error), hopeless=isinstance(error, WriteRefusedError))

    def ask(self, looks: Sequence[Look]) -> list[tuple[Look, Answers]]:
        """Return each of `looks` with its metrics and alarms, all of them from one read.

        Where that read is refused, each rollout is asked for alone: the query of one that
        CloudWatch does not take is that rollout's trouble.
        """
        try:
            shared = Answers(self._measure(looks), self._alarms(looks))
        except _RefusedError as error:
            if len(looks) == 1:
                shared = Answers(error.text, self._alarms(looks))
            else:
                return [pair for look in looks for pair in self.ask([look])]
        return [(look, shared) for look in looks]

    def search(self, pairs: Sequence[tuple[Look, Answers]]) -> list[tuple[Look, Answers]]:
        """Return `pairs` with the log events that their looks want; that may take a while."""
        events = self._events([look for look, _ in pairs])
        return [(look, replace(answers, events=events)) for look, answers in pairs]

    def _measure(self, looks: Sequence[Look]) -> Mapping[Query, Series] | str:
        """Return every series that `looks` want, from one read, or why there is none.

        Raises _RefusedError when CloudWatch refuses a query.
        """
        wants = [look.wants for look in looks if look.wants.queries]
        if not wants:
            return {}
        queries = {str(query): query for want in wants for query in want.queries.values()}
        # Each span fits the periods of its own rollout; their union has to fit all periods.
        start, end = min(want.span.start for want in wants), max(want.span.end for want in wants)
        try:
            return self.metrics.read(queries.values(), aligned(queries, start, end))
        except Exception as error:
            problem = problem_of(error, ", ".join(look.rollout.id for look in looks), "measuring")
            log.warning("metrics_unavailable", **{**problem.context, "problem": str(problem)})
            if isinstance(problem, MetricsError) and not isinstance(problem, MetricsRefusedError):
                return str(problem)
            raise _RefusedError(str(problem)) from error

    def _alarms(self, looks: Sequence[Look]) -> Mapping[str, AlarmReading]:
        """Return how the alarms stand that `looks` want, from one read."""
        names = list(dict.fromkeys(name for look in looks for name in look.wants.alarms))
        return self.alarms_now(names) if names else {}

    def alarms_now(self, names: Sequence[str]) -> Mapping[str, AlarmReading]:
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

    def _events(self, looks: Sequence[Look]) -> Mapping[LogQuery, Series]:
        """Return the log events that `looks` want, counted in one go with one limit of time."""
        queries = list(dict.fromkeys(one for look in looks for one in look.wants.logs.values()))
        if not queries:
            return {}
        if self.logs is None:
            nobody = Series(answer=Answer.ERROR, message="no logs can be read from here")
            return dict.fromkeys(queries, nobody)
        try:
            found = self.logs.count(queries)
        except Exception as error:  # noqa: BLE001 - events that are not read are a finding
            why = str(problem_of(error, "rollouts with log events", "counting events for"))
            found = dict.fromkeys(queries, Series(answer=Answer.ERROR, message=why))
        for problem in sorted({one.message for one in found.values() if one.message}):
            log.warning("logs_unavailable", problem=problem)
        return found


def facts(rollout: Rollout, error: RolloutError) -> dict[str, object]:
    """Return what a log line says of `error`; its context may name the same things."""
    return {**error.context, "rollout": rollout.id, "problem": str(error)}
