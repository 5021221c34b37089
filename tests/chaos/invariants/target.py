"""The function: its other variables are sacred, and what fails goes back to 0 %."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.core.commands import Verb
from controller.core.judge.findings import Verdict
from controller.core.judge.queries import JUDGED
from controller.core.rollout import Phase, Rollout
from tests.chaos.event_log import (
    BARE_ROLLBACK,
    EnvironmentWrite,
    GateVerdict,
    Notification,
    ProcessEnd,
    RolloutSave,
    is_external,
)
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import ProcessRecord, SystemState

# How long it takes at most from one look of a tick to the next.
_TICK_GAP = timedelta(minutes=2)
_LOWERING_VERBS = frozenset({Verb.ROLLBACK, BARE_ROLLBACK})


class OtherVariablesUnchanged(Invariant):
    """Names are told, values never."""

    name = "other-variables"
    text = "No other environment variable ever changes, comes or goes by our hand."

    def on_write(self, write: EnvironmentWrite, state: SystemState) -> Iterator[str]:
        """Yield the names of what was changed beside the pair."""
        ours = {state.target.percentage, state.target.boolean}
        both = write.before.keys() | write.after.keys()
        changed = sorted(
            name for name in both - ours if write.before.get(name) != write.after.get(name)
        )
        if changed:
            yield f"changed {', '.join(changed)} beside the weight"


class FailureRollsBack(Invariant):
    """Held against each run that could: it saw what fails, Lambda answered, and it was not killed.

    That is stricter than the policy's rollback_timeout, which is for a Lambda that refuses: the
    first run that is not refused leaves 0 %.
    """

    name = "failure-goes-back"
    text = (
        "Where a criterion fails, a rollback was decided or a person asked for one, the first run "
        "that Lambda answers soundly leaves 0 %, whatever else is down."
    )
    allows = (
        "A run that Lambda refuses, whose updates are stuck or whose environment cannot be "
        "decrypted leaves it to the next; so does one that crashes, or that another run keeps from "
        "the rollout. What a hand sets meanwhile is that hand's, and what a person starts "
        "meanwhile is another rollout's."
    )

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Take note of a criterion that fails."""
        known = state.process(judgement.by, judgement.at).rollouts_at_start.get(judgement.rollout)
        as_found = known is not None and known.version == state.stored[judgement.rollout].version
        if judgement.verdict is Verdict.FAIL and as_found:
            self._failing[judgement.by] = f"saw {judgement.rollout} fail"
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield a process that left traffic where it must not be."""
        failing = self._failing.pop(end.by, "")
        life = state.processes.get(end.by)
        if life is None or end.status is None or not life.answers or not life.sound:
            return
        if state.weight == 0 or (
            is_external(state.last_writer) and state.last_write_number >= life.start_number
        ):
            return
        newest = state.newest()
        if (
            newest is not None
            and newest.id not in life.rollouts_at_start
            and not life.verbs & _LOWERING_VERBS
        ):
            return
        why = self._duty(life, failing, state)
        if why:
            left = "a contradiction" if state.weight is None else f"{state.weight} %"
            yield f"{why} and left {left}, although Lambda answered"

    def _duty(self, process: ProcessRecord, failing: str, state: SystemState) -> str:
        if process.verbs:
            return "was asked to roll back" if process.verbs & _LOWERING_VERBS else ""
        if failing:
            return failing
        for one in process.rollouts_at_start.values():
            if one.phase is Phase.ROLLING_BACK:
                return f"found {one.id} rolling back"
            if self._reappeared(one, process, state):
                return f"found {one.id} rolled back and its {one.peak} % come back"
        return ""

    def _reappeared(self, rollout: Rollout, process: ProcessRecord, state: SystemState) -> bool:
        """Tell whether a rollout that owns the target has to guard its 0 % against itself."""
        if (
            rollout.phase is not Phase.ROLLED_BACK
            or rollout != state.newest()
            or is_external(state.last_writer)
        ):
            return False
        watched = rollout.watch_until is not None and state.now < rollout.watch_until - state.skew
        return (
            watched
            and state.weight == rollout.peak
            and state.last_write_number < process.start_number
        )


class TrafficJudged(Invariant):
    """Held against ticks that end well: what else goes wrong has limits of its own.

    The limit is that of a raise on its way, then the warm-up, and two minutes for the ticks.
    """

    name = "traffic-is-judged"
    text = (
        "While requests meet a canary that may stay or go on, its gate is judged, or people are "
        "told of it: it is left alone no longer than a raise may take and a warm-up lasts. No gate "
        "is that of a step to come, whose raise was never in force."
    )
    allows = "An answer without data is judged too: what silence leads to is the policy's."

    def __init__(self) -> None:
        self._left: dict[str, datetime] = {}

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Take note of who was judged, and yield the gate of a weight that nobody has met."""
        self._left.pop(judgement.rollout, None)
        one = state.stored[judgement.rollout]
        raised = 0 < one.intent.previous < one.weight
        if raised and one.previous_live is None and one.id not in state.served_rollouts:
            yield f"judged {one.id} by the gate of {one.weight} %, which was never in force"

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Take note of what people know."""
        self._left.pop(notification.rollout.id, None)
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield a canary that a tick has left alone like those before it."""
        life = state.processes.get(end.by)
        if life is None or end.status != 0 or life.verbs or not (life.answers and life.sound):
            return
        for one in life.rollouts_at_start.values():
            if state.served_weight == 0 or state.stored[one.id].phase not in JUDGED:
                self._left.pop(one.id, None)
                continue
            since = self._left.setdefault(one.id, end.at)
            policy = one.policy
            step = min(one.step, len(policy.steps) - 1)  # another invariant tells a wrong one
            limit = policy.shift_timeout + policy.warmup_of(step) + _TICK_GAP + state.skew
            if end.at - since > limit:
                yield f"left {one.id} at {state.served_weight} % unjudged since {since:%H:%M}"


class BakeFromServed(Invariant):
    """Requests really met the weight: what the function shows is not enough."""

    name = "baked-from-sight"
    text = (
        "A step is only settled, left or completed after its weight was really in force; so a "
        "success was really seen at its last weight."
    )
    allows = (
        "What callers get by an alias of another version is not seen on the function: a `traffic` "
        "criterion is there for that."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield what goes on from a weight that nobody met."""
        before, after = save.before, save.after
        for entry in save.entries:
            leaves = entry.kind in ("settled", "advanced", "succeeded")
            if leaves and before is not None and before.id not in state.served_rollouts:
                yield f"wrote {entry.kind} of {after.id}, and {before.weight} % was never in force"
