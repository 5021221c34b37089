"""The script of a rehearsal: a scenario's state at any second, once its moments are known."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import cos, inf, pi
from typing import TypeVar

from controller.core.policy import alarm_name
from controller.immutable import Immutable
from controller.tools.simulation.scenario.fault_events import (
    AlarmChange,
    Errors,
    EventTime,
    ExternalAction,
    FailedUpdates,
    FaultEvent,
    FaultShares,
    KmsDenied,
    LastingFault,
    Latency,
    SlowUpdates,
    TrafficChange,
)
from controller.tools.simulation.scenario.metric_roles import TrafficPath
from controller.tools.simulation.scenario.scenario import ColdStart, Scenario

_E = TypeVar("_E", bound=FaultEvent)
_L = TypeVar("_L", bound=LastingFault)


class ResponseProfile(Immutable):
    """How one path answers at one moment; outcomes: its `FaultShares` above 0, by name."""

    median_ms: float
    sigma: float
    outcomes: tuple[tuple[str, float], ...]
    cold_start: ColdStart | None


class UpdateRules(Immutable):
    """How an update of the function that begins now will go."""

    takes: timedelta = timedelta(seconds=3)
    fails: bool = False
    kms_denied: bool = False


class Script:
    """The state of a scenario at any second; it records when each step was applied.

    steps: weights of the policy's steps, for moments that count from a step.
    adopted: the first steps are skipped, so that events of any step count from the start.
    """

    def __init__(
        self,
        scenario: Scenario,
        steps: Sequence[int],
        start: datetime,
        *,
        adopted: bool = False,
    ) -> None:
        self.scenario = scenario
        self._steps = tuple(steps)
        self._start_s = start.timestamp()
        self._step_starts: dict[int, float] = {}
        if adopted:
            self._step_starts = dict.fromkeys(range(len(self._steps)), self._start_s)

    def note_weight(self, weight: int, second: float) -> None:
        """Record that `weight` is applied; only the first time of each step counts."""
        for index, step in enumerate(self._steps):
            if step == weight:
                self._step_starts.setdefault(index, second)

    def moment(self, when: EventTime) -> float | None:
        """Return the unix second of `when`; None until its step is applied."""
        if when.step is None:
            return self._start_s + when.after.total_seconds()
        step_start = self._step_starts.get(min(when.step, len(self._steps)) - 1)
        return None if step_start is None else step_start + when.after.total_seconds()

    def external_actions(self) -> Iterator[tuple[int, datetime, ExternalAction]]:
        """Yield number, moment and content of each external action whose moment is known."""
        for number, event in enumerate(self.scenario.events):
            if isinstance(event, ExternalAction):
                moment = self.moment(event.at)
                if moment is not None:
                    yield number, datetime.fromtimestamp(moment, UTC), event

    def known(self, kind: type[_E]) -> Iterator[tuple[_E, float, float]]:
        """Yield each event of `kind` whose moment is known, with its begin and its end.

        In unix seconds; the end is inf for an event that lasts to the end, or for no time at all.
        """
        for event in self.scenario.events:
            if not isinstance(event, kind) or (begin := self.moment(event.at)) is None:
                continue
            lasting = event.lasting if isinstance(event, LastingFault) else None
            yield event, begin, inf if lasting is None else begin + lasting.total_seconds()

    def active(self, kind: type[_L], second: float) -> Iterator[tuple[_L, float]]:
        """Yield the active events of `kind`, and for how many seconds each has lasted."""
        for event, begin, end in self.known(kind):
            if begin <= second < end:
                yield event, second - begin

    def next_event(self, now: datetime) -> datetime | None:
        """Return when the next event begins or ends after `now`, of those whose moment is known."""
        moments = (one for _, begin, end in self.known(FaultEvent) for one in (begin, end))
        following = [moment for moment in moments if now.timestamp() < moment < inf]
        return datetime.fromtimestamp(min(following), UTC) if following else None

    def requests_per_minute(self, second: float) -> float:
        """Return the rate at which requests arrive, on both paths together."""
        profile = self.scenario.traffic
        hour = second / 3_600 % 24
        swing = profile.daily_swing * cos(2 * pi * (hour - profile.busiest_hour) / 24)
        rate = profile.requests_per_minute * (1 + swing)
        for event, _ in self.active(TrafficChange, second):
            rate *= event.times
        return rate

    def response_profile(self, path: TrafficPath, second: float) -> ResponseProfile:
        """Return how `path` (not both) answers at `second`."""
        model = self.scenario.canary if path is TrafficPath.CANARY else self.scenario.stable
        errors = [
            one for one, _ in self.active(Errors, second) if one.path in (path, TrafficPath.BOTH)
        ]
        shares, median = dict.fromkeys(FaultShares.model_fields, 0.0), model.median_ms
        for outcomes in (model, *errors):
            given = ((name, getattr(outcomes, name)) for name in shares)
            shares |= {name: share for name, share in given if share is not None}
        for latency, elapsed_s in self.active(Latency, second):
            if latency.path in (path, TrafficPath.BOTH):
                ramp = latency.ramp.total_seconds()
                part = min(1.0, elapsed_s / ramp) if ramp else 1.0
                median *= 1 + (latency.times - 1) * part
        above_zero = tuple((name, share) for name, share in shares.items() if share)
        return ResponseProfile(median, model.sigma, above_zero, model.cold_start)

    def alarm(self, name: str, second: float, initial_ok_since: int) -> tuple[str, int]:
        """Return the state of alarm `name`, and since when (unix seconds).

        Without an event it is OK since `initial_ok_since`; after events, since the last one ended.
        """
        ok_since = initial_ok_since
        for event, begin, end in self.known(AlarmChange):
            if second < begin or (event.alarm is not None and alarm_name(event.alarm) != name):
                continue
            if second < end:
                return event.state, int(begin)
            ok_since = max(ok_since, int(end))
        return "ok", ok_since

    def update_rules(self, second: float) -> UpdateRules:
        """Return how an update that begins at `second` will go."""
        takes = self.scenario.function.update_takes
        for slow, _ in self.active(SlowUpdates, second):
            takes = slow.takes
        return UpdateRules(
            takes=takes,
            fails=any(self.active(FailedUpdates, second)),
            kms_denied=any(self.active(KmsDenied, second)),
        )
