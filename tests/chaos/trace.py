"""What came of a plot: a story, line by line, and whether everything held."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.core.policy import LambdaEnv
from controller.core.rollout import Phase, Reason, Rollout
from controller.simulation.operators import weight_of
from controller.simulation.world import World
from tests.chaos.event_log import EnvironmentWrite, ObservedEvent, ProcessEnd, RolloutSave
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.faults import operation_name
from tests.chaos.invariants.invariant import Violation
from tests.chaos.process import ExternalCall


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One line of a story: what a process did or met, and how things stood then.

    where: the crossing, like `12 lambda:UpdateFunctionConfiguration`; empty where it is none.
    weight: percent of traffic in force. shown: what the function shows. phase: of the newest
    rollout, as it is stored; empty before there is one.
    """

    at: datetime
    by: str
    where: str
    what: str
    weight: int
    shown: int
    phase: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A plot and what came of it.

    struck: how often a fault really struck, by `service:Operation: kind`. steps: how many crossings
    there were. end: how the newest rollout stands; `not started` without any.
    """

    plan: FaultPlan
    lines: Sequence[TraceLine]
    events: Sequence[ObservedEvent]
    violations: Sequence[Violation]
    fault_counts: Mapping[str, int]
    steps: int
    ticks: int
    rollout: Rollout | None

    @property
    def end(self) -> str:
        """The phase of the newest rollout; `not started` without any."""
        return "not started" if self.rollout is None else str(self.rollout.phase)


def at_rest(rollout: Rollout, now: datetime) -> bool:
    """Tell whether nothing but a person moves `rollout` on, and what it left behind is known."""
    match rollout.phase:
        case Phase.ROLLED_BACK:
            watched = rollout.watch_until is not None and now < rollout.watch_until
            return rollout.drain is not None or not watched
        case Phase.SUCCEEDED | Phase.PAUSED:
            return True
        case _:
            return rollout.reason is Reason.AWAITING_APPROVAL


class TraceRecorder:
    """Writes a story down while it happens: what struck, what changed, how processes ended."""

    def __init__(self, world: World, target: LambdaEnv) -> None:
        self._world, self._target = world, target
        self._lines: list[TraceLine] = []
        self._events: list[ObservedEvent] = []
        self._violations: list[Violation] = []
        self._fault_counts: Counter[str] = Counter()
        self._rollouts: dict[str, Rollout] = {}
        self.steps = 0

    def record_fault(self, call: ExternalCall, kind: str) -> None:
        """Take note of a fault that strikes."""
        where = operation_name(call)
        self._fault_counts[f"{where}: {kind}"] += 1
        self._add(call.process, f"{call.number} {where}", f"! {kind}")

    def record_event(self, event: ObservedEvent) -> None:
        """Take note of what has happened."""
        self._events.append(event)
        if isinstance(event, RolloutSave):
            self._rollouts[event.after.id] = event.after
        what = _event_text(event)
        if what:
            self._add(event.by, "", what)

    def record_error(self, by: str, error: Exception) -> None:
        """Take note of an error that nobody planned, and no process should end with."""
        now = self._world.clock.now()
        self.record_violation(Violation("nothing-escapes", now, by, f"ended with {error!r}"))

    def record_violation(self, violation: Violation) -> None:
        """Take note of an invariant that does not hold."""
        self._violations.append(violation)
        self._add(violation.by, "", f"VIOLATES {violation.invariant}")

    def trace(self, plan: FaultPlan, ticks: int) -> Trace:
        """Return all of it."""
        return Trace(
            plan,
            tuple(self._lines),
            tuple(self._events),
            tuple(self._violations),
            dict(sorted(self._fault_counts.items())),
            self.steps,
            ticks,
            self._newest(),
        )

    def _newest(self) -> Rollout | None:
        return max(self._rollouts.values(), key=lambda one: one.attempt, default=None)

    def _add(self, by: str, where: str, what: str) -> None:
        shown = weight_of(self._target, self._world.function(self._target.function).variables)
        newest = self._newest()
        phase = "" if newest is None else str(newest.phase)
        now, weight = self._world.clock.now(), self._world.weight_now()
        self._lines.append(TraceLine(now, by, where, what, weight, shown, phase))


def _event_text(one: ObservedEvent) -> str:
    """Return what a line says of a happening; empty where it is not worth one."""
    match one:
        case EnvironmentWrite() if one.before != one.after:
            return f"writes {_percent(one.weight_before)} > {_percent(one.weight_after)}"
        case RolloutSave(entries=entries) if entries:
            kinds = ", ".join(entry.kind for entry in entries)
            after = one.after
            return f"saves {after.id} {kinds} (step {after.step + 1}, {after.reason})"
        case ProcessEnd(status=None):
            return "is gone"
        case ProcessEnd(status=status) if status:
            return f"ends with {status}"
        case _:
            return ""


def _percent(weight: int | None) -> str:
    return "a contradiction" if weight is None else f"{weight} %"
