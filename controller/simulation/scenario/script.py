"""A scenario with its moments known: what holds on each path, and what is broken, at any second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import cos, pi
from typing import TypeVar

from controller.core.policy import alarm_name
from controller.simulation.scenario.fault_events import (
    AlarmChange,
    Errors,
    EventTime,
    ExternalAction,
    FailedUpdates,
    HooksRefuse,
    KmsDenied,
    LastingFault,
    Latency,
    LogLine,
    Outage,
    SlowUpdates,
    TrafficChange,
)
from controller.simulation.scenario.metric_roles import Path
from controller.simulation.scenario.path_model import ColdStart
from controller.simulation.scenario.scenario import Scenario

_L = TypeVar("_L", bound=LastingFault)


@dataclass(frozen=True, slots=True)
class ResponseProfile:
    """How one path answers at one moment; rates as fractions."""

    median_ms: float
    sigma: float
    client_errors: float
    server_errors: float
    cold_start: ColdStart | None


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """What becomes of an update of the function that begins now."""

    takes: timedelta = timedelta(seconds=3)
    fails: bool = False
    kms_denied: bool = False


class Script:
    """Answers what a scenario says of a second, and learns when each step came into force.

    steps: weights of the policy's steps, for moments that count from a step.
    adopted: the first steps are skipped, so that what happens in any step counts from the start.
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
        self._events = scenario.events

    def note_weight(self, weight: int, second: float) -> None:
        """Take note that `weight` is in force; only the first time of each step counts."""
        for index, step in enumerate(self._steps):
            if step == weight:
                self._step_starts.setdefault(index, second)

    def moment(self, when: EventTime) -> float | None:
        """Return the unix second that `when` names; None while its step has not come."""
        if when.step is None:
            return self._start_s + when.after.total_seconds()
        begun = self._step_starts.get(min(when.step, len(self._steps)) - 1)
        return None if begun is None else begun + when.after.total_seconds()

    def external_actions(self) -> Iterator[tuple[int, datetime, ExternalAction]]:
        """Yield number, moment and content of what others do, as far as its moment is known."""
        for number, event in enumerate(self._events):
            if isinstance(event, ExternalAction):
                moment = self.moment(event.at)
                if moment is not None:
                    yield number, datetime.fromtimestamp(moment, UTC), event

    def requests_per_minute(self, second: float) -> float:
        """Return the rate at which requests arrive, on both paths together."""
        rhythm = self.scenario.traffic
        hour = second / 3_600 % 24
        swing = rhythm.daily_swing * cos(2 * pi * (hour - rhythm.busiest_hour) / 24)
        rate = rhythm.requests_per_minute * (1 + swing)
        for event, _ in self._active(TrafficChange, second):
            rate *= event.times
        return rate

    def response_profile(self, path: Path, second: float) -> ResponseProfile:
        """Return how `path` (not both) answers at `second`."""
        usual = self.scenario.canary if path is Path.CANARY else self.scenario.stable
        client, server, median = usual.client_errors, usual.server_errors, usual.median_ms
        for errors, _ in self._active(Errors, second):
            if errors.path in (path, Path.BOTH):
                client = client if errors.client_errors is None else errors.client_errors
                server = server if errors.server_errors is None else errors.server_errors
        for slower, since in self._active(Latency, second):
            if slower.path in (path, Path.BOTH):
                ramp = slower.ramp.total_seconds()
                part = min(1.0, since / ramp) if ramp else 1.0
                median *= 1 + (slower.times - 1) * part
        return ResponseProfile(median, usual.sigma, client, server, usual.cold_start)

    def outage(self, service: str, second: float) -> str | None:
        """Return how `service` is broken, in the words of the scenario; None when it is not."""
        outages = (event for event, _ in self._active(Outage, second))
        return next((event.how for event in outages if event.service == service), None)

    def hook_refusal(self, second: float) -> str | None:
        """Return how hooks refuse at `second`, in the words of the scenario; None: they do not."""
        return next((event.how for event, _ in self._active(HooksRefuse, second)), None)

    def alarm(self, name: str, second: float, born: int) -> tuple[str, int]:
        """Return the state of alarm `name` and since when; OK since `born` where nothing happens.

        What has held last counts as the begin of being OK again.
        """
        back = born
        for event in self._events:
            begin = self.moment(event.at)
            if not isinstance(event, AlarmChange) or begin is None or second < begin:
                continue
            if event.alarm is not None and alarm_name(event.alarm) != name:
                continue
            lasting = event.lasting
            if lasting is None or second < begin + lasting.total_seconds():
                return event.state, int(begin)
            back = max(back, int(begin + lasting.total_seconds()))
        return "ok", back

    def log_messages(self) -> set[str]:
        """Return every text that the function logs beside what requests log."""
        return {event.message for event in self._events if isinstance(event, LogLine)}

    def log_lines(self) -> Iterator[tuple[float, LogLine]]:
        """Yield when the function logs what, as far as its moment is known."""
        for event in self._events:
            moment = self.moment(event.at)
            if isinstance(event, LogLine) and moment is not None:
                yield moment, event

    def update_rules(self, second: float) -> UpdateRules:
        """Return what becomes of an update that begins at `second`."""
        takes = self.scenario.function.update_takes
        for slow, _ in self._active(SlowUpdates, second):
            takes = slow.takes
        return UpdateRules(
            takes=takes,
            fails=any(self._active(FailedUpdates, second)),
            kms_denied=any(self._active(KmsDenied, second)),
        )

    def _active(self, kind: type[_L], second: float) -> Iterator[tuple[_L, float]]:
        """Yield the events of `kind` that are in force, and for how many seconds already."""
        for event in self._events:
            if not isinstance(event, kind):
                continue
            begin = self.moment(event.at)
            if begin is None or second < begin:
                continue
            if event.lasting is None or second < begin + event.lasting.total_seconds():
                yield event, second - begin
