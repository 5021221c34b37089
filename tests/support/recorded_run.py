"""A rollout and its history, recorded as a tick does it, and replayed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.immutable import replace
from tests.support.core import (
    GATED_VERBS,
    Command,
    Commanded,
    Decision,
    Entry,
    Event,
    Observation,
    Observed,
    Policy,
    QueryStatus,
    Replay,
    Rollout,
    Seen,
    Series,
    Target,
    TargetReading,
    append,
    decide,
    observation_data,
    query_plan,
    replay,
    trim_series,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_start

TWO_STEPS: Final = a_policy(steps=[{"weight": 10, "bake": "150m"}, {"weight": 100, "bake": "30m"}])
_WORKS = {key: LADDER["criteria"]["works"][key] for key in ("kind", "total", "failures", "min")}
WEIGHED: Final = a_policy(criteria={"works": {**_WORKS, "judge": "sequential"}})
"""The ladder with one sequential criterion, whose evidence adds up over the whole rollout."""


def errors_between(first: float, last: float) -> Callable[[int], float]:
    """Return errors of each hundred requests, from one minute after noon on and up to another."""
    begin, end = ((NOON + minute * MINUTE).timestamp() for minute in (first, last))
    return lambda second: 20.0 if begin <= second < end else 0.0


@dataclass(slots=True)
class RecordedRun:
    """A rollout with its history, recorded as the tick does it.

    The canary has a hundred requests a minute at 10%, and as many more at a higher weight.
    errors: the errors in the minute at a unix second, of a hundred requests.
    failing_metrics: metrics whose queries fail.
    """

    rollout: Rollout
    now: datetime = NOON
    entries: list[Entry] = field(default_factory=list)
    errors: Callable[[int], float] = lambda second: 0.0
    failing_metrics: Collection[str] = ()
    _raises: list[tuple[float, int]] = field(default_factory=list)

    def record(self, decision: Decision, observation: Observation) -> Decision:
        """Append the entry of `decision`, and go on from its rollout."""
        before, after = self.rollout, decision.rollout
        if decision.record is not None:
            series = (
                trim_series(before, after, observation.series)
                if decision.record.keeps_series
                else {}
            )
            data = observation_data(before, observation, series)
            after, entry = append(after, decision.record, by="tester", observation=data)
            self.entries.append(entry)
        self.rollout = after
        return decision

    def observe(self, target: Target, after: timedelta = MINUTE) -> Observation:
        """Let time pass, and return the observation."""
        self.now += after
        if isinstance(target, TargetReading) and (target.weight or 0) > 10:
            self._raises.append((self.now.timestamp(), target.weight or 0))
        needed = query_plan(self.rollout, self.now)
        minutes = range(needed.span.start, needed.span.end, 60)
        series = {
            key: Series(
                {
                    second: self._scale(second) * (self.errors(second) if "errors" in key else 100)
                    for second in minutes
                }
            )
            for key in needed.queries
        }
        error = Series(status=QueryStatus.ERROR, message="Throttling")
        failed = {key: error for key in series if key.partition(":")[0] in self.failing_metrics}
        return Observation(target, series | failed)

    def _scale(self, second: int) -> float:
        """Return how many times the requests of 10% came in that minute."""
        seen = [weight for at, weight in self._raises if at <= second]
        return seen[-1] / 10 if seen else 1.0

    def decide(self, event: Event) -> Decision:
        """Return the decision of now, and record nothing."""
        return decide(self.rollout, event, self.now)

    def apply(self, event: Seen) -> Decision:
        """Decide on `event`, and record the decision."""
        return self.record(self.decide(event), event.observation)

    def tick(self, target: Target, after: timedelta = MINUTE) -> Decision:
        """Observe, decide and record."""
        return self.apply(Observed(self.observe(target, after)))

    def tick_on(self, target: Target, minutes: float, every: timedelta = MINUTE) -> None:
        """Tick until so many minutes are over, or the phase has changed."""
        end, phase = self.now + minutes * MINUTE, self.rollout.phase
        while self.now < end and self.rollout.phase is phase:
            self.tick(target, every)

    def command(self, command: Command, target: Target) -> Decision:
        """Apply the command of an operator."""
        observation = self.observe(target)
        if command.verb not in GATED_VERBS:
            observation = replace(observation, series={})
        return self.apply(Commanded(observation, command))

    @property
    def replay(self) -> Replay:
        """The replay of the history."""
        return replay(self.rollout, self.entries)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the entries."""
        return [entry.kind for entry in self.entries]


def a_run(policy: Policy = TWO_STEPS, adopted: int | None = None) -> RecordedRun:
    """Return a rollout that was just started, or that has adopted the weight of a step."""
    target = a_reading(0 if adopted is None else policy.steps[adopted].weight)
    first = a_start(policy, target, adopted=adopted)
    run = RecordedRun(first.rollout)
    run.record(first, Observation(target))
    return run
