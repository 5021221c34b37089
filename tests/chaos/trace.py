"""The trace of one simulation run: its lines, its events, and the invariants that it violated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.immutable import Immutable
from controller.tools.simulation.world import World
from tests.chaos.event_log import ObservedEvent, ProcessEnd, RolloutSave, TargetWrite
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.faults import operation_name
from tests.chaos.ground_truth import GroundTruth
from tests.chaos.invariants.invariant import Violation
from tests.chaos.process import ExternalCall
from tests.support.core import Phase, Reason, Rollout


class TraceLine(Immutable):
    """One line of a trace: what a process did, or which fault it met, and the state at that time.

    where: the external call, like `12 lambda:UpdateFunctionConfiguration`; empty when it is none.
    weight: percent of traffic that is served by the canary. shown: percent that the target
    shows. phase: of the newest rollout, as it is stored; empty before there is one.
    """

    at: datetime
    by: str
    where: str
    what: str
    weight: int
    shown: int
    phase: str


class Trace(Immutable):
    """A fault plan and the result of its run.

    fault_counts: how often each fault was injected, by `service:Operation: kind`. steps: the number
    of external calls. ticks: the number of minutes. rollout: the newest one; None: there is none.
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
    """Tell whether only an operator can move `rollout` on, and its leak check is over."""
    match rollout.phase:
        case Phase.ROLLED_BACK:
            watched = rollout.watch_until is not None and now < rollout.watch_until
            return rollout.leak_check is not None or not watched
        case Phase.SUCCEEDED | Phase.PAUSED:
            return True
        case _:
            return rollout.reason is Reason.AWAITING_APPROVAL


class TraceRecorder:
    """Records a trace during the run: injected faults, changes, ends of processes, violations."""

    def __init__(self, world: World, truth: GroundTruth) -> None:
        self._world, self._truth = world, truth
        self._lines: list[TraceLine] = []
        self._events: list[ObservedEvent] = []
        self._violations: list[Violation] = []
        self._fault_counts: Counter[str] = Counter()
        self._rollouts: dict[str, Rollout] = {}
        self.steps = 0

    def record_fault(self, call: ExternalCall, kind: str) -> None:
        """Record an injected fault."""
        where = operation_name(call)
        self._fault_counts[f"{where}: {kind}"] += 1
        self._add(call.process, f"{call.number} {where}", f"! {kind}")

    def record_event(self, event: ObservedEvent) -> None:
        """Record an event, with a line if it has a text."""
        self._events.append(event)
        if isinstance(event, RolloutSave):
            self._rollouts[event.after.id] = event.after
        what = _event_text(event)
        if what:
            self._add(event.by, "", what)

    def record_error(self, by: str, error: Exception) -> None:
        """Record an unexpected error that ended a process, as a violation."""
        now = self._world.clock.now()
        self.record_violation(Violation("nothing-escapes", now, by, f"ended with {error!r}"))

    def record_violation(self, violation: Violation) -> None:
        """Record a violated invariant."""
        self._violations.append(violation)
        self._add(violation.by, "", f"VIOLATES {violation.invariant}")

    def trace(self, plan: FaultPlan, ticks: int) -> Trace:
        """Return the trace so far."""
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
        return max(self._rollouts.values(), key=lambda rollout: rollout.attempt, default=None)

    def _add(self, by: str, where: str, what: str) -> None:
        shown = self._truth.share()
        newest = self._newest()
        phase = "" if newest is None else str(newest.phase)
        now, weight = self._world.clock.now(), self._world.weight_now()
        self._lines.append(TraceLine(now, by, where, what, weight, shown, phase))


def _event_text(one: ObservedEvent) -> str:
    """Return the text of an event for a line; empty when it gets none."""
    match one:
        case TargetWrite() if one.effective:
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
    return "a contradiction" if weight is None else f"{weight}%"
