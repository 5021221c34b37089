"""The function of a small world, its metrics and its clock, which can be restored."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.lambda_ import FakeLambda, Function, code_digest
from controller.tools.simulation.lambda_env import weight_of
from controller.tools.simulation.scenario.timeline import UpdateRules
from tests.support.stage import SECRET
from tests.tools.simulation.worlds import FUNCTION, START

CanaryHealth: TypeAlias = Literal["healthy", "sick", "silent"]

REQUESTS_PER_MINUTE: Final = 600
# The mutable fields of a function, besides its variables.
_PLAIN_FIELDS: Final = ("revision", "code_sha256", "modified", "status", "reason", "reason_code")


@dataclass(frozen=True, slots=True)
class ScheduledAction:
    """An action of the clock: the end of an update, of which there is only one at a time.

    Two actions at the same time do the same to a function with the same variables, so they are
    equal.
    """

    at: datetime
    number: int = field(compare=False)
    action: Callable[[], None] = field(compare=False)


class CloudState(NamedTuple):
    """The state of the function, and the time.

    shown, served: its variables, in the configuration and to requests. fields: its other fields.
    updates: the number of its updates. weights: each served weight, by the second it began.
    scheduled: the pending actions of the clock.
    """

    now: datetime
    shown: tuple[tuple[str, str], ...]
    served: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]
    updates: int
    weights: tuple[tuple[float, int], ...]
    scheduled: tuple[ScheduledAction, ...]

    @property
    def revision(self) -> str:
        """The RevisionId of the function."""
        return self.fields[_PLAIN_FIELDS.index("revision")]

    @property
    def status(self) -> str:
        """The status of its last update."""
        return self.fields[_PLAIN_FIELDS.index("status")]


class _Clock(VirtualClock):
    def snapshot(self) -> tuple[datetime, tuple[ScheduledAction, ...]]:
        return self._now, tuple(ScheduledAction(*planned) for planned in sorted(self._schedule))

    def restore(self, now: datetime, due: tuple[ScheduledAction, ...]) -> None:
        self._now, self._schedule = now, [(one.at, one.number, one.action) for one in due]
        heapq.heapify(self._schedule)


class _Lambda(FakeLambda):
    """Numbers revisions by updates, so that they have the same names in every schedule."""

    updates = 0

    def _revision(self) -> str:
        self.updates += 1
        return f"revision-{self.updates}"


class Cloud:
    """One function, its metrics, and a clock.

    canary: the health of the canary. takes: how long an update of the function takes; an instant
    one is over with its answer.
    """

    def __init__(self, target: LambdaEnv, canary: CanaryHealth, takes: timedelta) -> None:
        self.target, self.canary, self.takes = target, canary, takes
        self.clock = _Clock(START)
        self._weights: list[tuple[float, int]] = [(float("-inf"), 0)]
        self._lambda = _Lambda(self.clock, self._rules, seed=0)
        self._lambda.on_traffic_change = self._serve
        self._template = {"API_KEY": SECRET, **target.settings(0)}
        self._function = self._lambda.add(FUNCTION, self._template)

    def call(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call of Lambda or CloudWatch as AWS would."""
        if method == "get_metric_data":
            return self._metrics(request)
        answer: dict[str, Any] = getattr(self._lambda, method)(request)
        if method.startswith("update_"):
            self.clock.advance(timedelta())
        return answer

    # --- external changes -----------------------------------------------------------------------

    def set_weight(self, weight: int) -> None:
        """Set the pair of variables as a person does. Raises ClientError during an update."""
        self._set(self.target.settings(weight))

    def deploy(self) -> None:
        """Reset the environment to that of the template. Raises ClientError during an update."""
        self._set(self._template)
        self._function.code_sha256 = code_digest(f"stack {self._lambda.updates}")

    def _set(self, variables: Mapping[str, str]) -> None:
        environment = {"Variables": {**self._function.variables, **variables}}
        request = {"FunctionName": FUNCTION, "Environment": environment}
        self.call("update_function_configuration", request)

    # --- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> CloudState:
        """Return the current state."""
        now, due = self.clock.snapshot()
        function = self._function
        return CloudState(
            now,
            tuple(sorted(function.variables.items())),
            tuple(sorted(function.served.items())),
            tuple(getattr(function, name) for name in _PLAIN_FIELDS),
            self._lambda.updates,
            tuple(self._weights),
            due,
        )

    def restore(self, state: CloudState) -> None:
        """Restore `state`."""
        for name, value in zip(_PLAIN_FIELDS, state.fields, strict=True):
            setattr(self._function, name, value)
        self._function.variables, self._function.served = dict(state.shown), dict(state.served)
        self._lambda.updates = state.updates
        self._weights[:] = state.weights
        self.clock.restore(state.now, state.scheduled)

    # --- fakes ----------------------------------------------------------------------------------

    def _rules(self) -> UpdateRules:
        return UpdateRules(takes=self.takes)

    def _serve(self, function: Function) -> None:
        weight = weight_of(self.target, function.effective_environment)
        if weight != self._weights[-1][1]:
            self._weights.append((self.clock.now().timestamp(), weight))

    def _metrics(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer GetMetricData: a minute that is over has the requests of its first weight."""
        first, end = int(request["StartTime"].timestamp()), request["EndTime"].timestamp()
        seconds = range(first, int(min(end, self.clock.now().timestamp() - 59)), 60)
        results = []
        for query in request["MetricDataQueries"]:
            name = query["MetricStat"]["Metric"]["MetricName"]
            values = {second: self._measured(name, second) for second in seconds}
            points = {second: value for second, value in values.items() if value is not None}
            results.append(
                {
                    "Id": query["Id"],
                    "Timestamps": [datetime.fromtimestamp(point, START.tzinfo) for point in points],
                    "Values": [*points.values()],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def _measured(self, name: str, second: int) -> float | None:
        weight = next(weight for since, weight in reversed(self._weights) if since <= second)
        if not weight or self.canary == "silent":
            return None
        requests = REQUESTS_PER_MINUTE * weight / 100
        if name == "5XXError":
            return requests / 5 if self.canary == "sick" else 0.0
        return requests if name == "Count" else 0.0
