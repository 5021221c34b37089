"""Invariants of the target: its other settings, rollbacks, judged traffic and bakes."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.core.judge.queries import JUDGED_PHASES
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.core.visit_order import FARTHEST
from tests.chaos.event_log import (
    BARE_ROLLBACK,
    GateVerdict,
    Notification,
    ProcessEnd,
    RolloutSave,
    TargetWrite,
    is_external,
)
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import ProcessRecord, SystemState
from tests.support.core import Live, Phase, RolledBack, Rollout, Verb, Verdict

# The longest time between the observations of two ticks.
_TICK_GAP = timedelta(minutes=2)
_LOWERING_VERBS = frozenset({Verb.ROLLBACK, BARE_ROLLBACK})


class OtherSettingsUnchanged(Invariant):
    """A violation names the settings and never their values."""

    name = "other-settings"
    text = (
        "No process of rolloutctl adds, changes or removes anything beside the weight, such as "
        "other variables of the function, other versions of the alias, and other actions, groups "
        "and options of the rule."
    )
    allows = (
        "Where the API has no condition on a write (`alb-weights`), a change after the last "
        "reading of the process is overwritten by what it had read."
    )

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield the names of changed settings beside the weight."""
        if write.beside:
            yield f"changed {', '.join(write.beside)} beside the weight"


class FailureRollsBack(Invariant):
    """Checked for each run that saw a failure, got sound answers of the target, and did not crash.

    That is stricter than the policy's rollback_timeout, which is for a target that refuses: the
    first run that is not refused leaves 0%.
    """

    name = "failure-goes-back"
    text = (
        "After a failed criterion, a decided rollback or a rollback command, the first process "
        "that gets valid answers from the target leaves the weight at 0%, whatever else is down."
    )
    allows = (
        "A process leaves it to the next one if the target refuses the write, an update is stuck, "
        "the environment cannot be decrypted, the process crashes, or another process holds the "
        "lease. Weights set outside meanwhile, and rollouts started meanwhile, are not its own. "
        "Where the API has no condition on a write (`alb-weights`), a raise by a process that had "
        "read the target before may come after the 0%: that process takes it back, or the next."
    )

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}
        self._late_raises: dict[str, str] = {}

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Record a raise of a rollout that is rolled back: its process has to undo it."""
        rollout = state.rollout_of_raise(write) if write.raised else None
        if rollout is not None and state.stored[rollout.id].phase in ROLLBACK_PHASES:
            self._late_raises[write.by] = rollout.id
        yield from ()

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Record a criterion that fails."""
        known = state.process(judgement.by, judgement.at).rollouts_at_start.get(judgement.rollout)
        unchanged = known is not None and known.version == state.stored[judgement.rollout].version
        if judgement.verdict is Verdict.FAIL and unchanged:
            self._failing[judgement.by] = f"saw {judgement.rollout} fail"
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield a process that left traffic on a failing canary."""
        failing, late = self._failing.pop(end.by, ""), self._late_raises.pop(end.by, "")
        process = state.processes.get(end.by)
        if process is None or end.status is None or not process.answers or not process.sound:
            return
        if state.weight == 0 or _is_overwritten(end.by, process, state):
            return
        why = self._duty(process, failing, late, state)
        if why:
            weight = "a contradiction" if state.weight is None else f"{state.weight}%"
            yield f"{why} and left {weight}, although the target answered"

    def _duty(self, process: ProcessRecord, failing: str, late: str, state: SystemState) -> str:
        newest = state.newest()
        if late and newest is not None and newest.id == late:
            return f"raised {late} after its rollback"
        started_meanwhile = newest is not None and newest.id not in process.rollouts_at_start
        if started_meanwhile and not process.verbs & _LOWERING_VERBS:
            return ""
        if process.verbs:
            return "was asked to roll back" if process.verbs & _LOWERING_VERBS else ""
        if failing:
            return failing
        for one in process.rollouts_at_start.values():
            if one.phase is Phase.ROLLING_BACK:
                return f"found {one.id} rolling back"
            if self._reappeared(one, process, state):
                return f"found {one.id} rolled back and its {state.weight}% come back"
        return ""

    def _reappeared(self, rollout: Rollout, process: ProcessRecord, state: SystemState) -> bool:
        """Tell whether the weight of a watched rollout has come back, and has to be lowered."""
        if (
            not isinstance(rollout.state, RolledBack)
            or rollout != state.newest()
            or is_external(state.last_writer)
        ):
            return False
        return (
            state.now < rollout.state.watch_until - state.skew
            and state.weight == rollout.state.intended
            and state.last_write_number < process.start_number
        )


def _is_overwritten(by: str, process: ProcessRecord, state: SystemState) -> bool:
    """Tell whether an external actor wrote last, since `process` started.

    So does a process that had read the target before, where the API has no condition on a write.
    """
    overtaken = state.last_unseen and state.last_writer != by
    since_start = state.last_write_number >= process.start_number
    return since_start and (is_external(state.last_writer) or bool(overtaken))


class TrafficJudged(Invariant):
    """Checked for ticks that end with 0; other ends have limits of their own.

    The limit is the shift_timeout of a raise and the warm-up, or the five minutes for which ticks
    may leave a rollout alone, and two minutes between ticks. It
    holds for the start of the tick: a tick that is stopped for ten minutes judges nothing then.
    """

    name = "traffic-is-judged"
    text = (
        "While the canary gets requests and may keep them, the gate of its live step is judged, "
        "or operators are notified. A gap is no longer than `shift_timeout` and the warm-up, or "
        "than the five minutes after which a rollout is due at the latest. The gate of a step "
        "whose raise was never applied is not used."
    )
    allows = "A gate without data counts as judged: `on_inconclusive` says what follows."

    def __init__(self) -> None:
        self._unjudged_since: dict[str, datetime] = {}

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Record the judged rollout, and yield the gate of a weight that was never served."""
        self._unjudged_since.pop(judgement.rollout, None)
        one = state.stored[judgement.rollout]
        raised = isinstance(one.position, Live) and one.step > 0
        if raised and one.id not in state.served_rollouts:
            yield f"judged {one.id} by the gate of {one.weight}%, which was never applied"

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Record that people were notified."""
        self._unjudged_since.pop(notification.rollout.id, None)
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield a canary that has not been judged for too long."""
        process = state.processes.get(end.by)
        if (
            process is None
            or end.status != 0
            or process.verbs
            or not (process.answers and process.sound)
        ):
            return
        for one in process.rollouts_at_start.values():
            if state.served_weight == 0 or state.stored[one.id].phase not in JUDGED_PHASES:
                self._unjudged_since.pop(one.id, None)
                continue
            since = self._unjudged_since.setdefault(one.id, end.at)
            policy = one.policy
            step = min(one.step, len(policy.steps) - 1)  # another invariant finds a wrong step
            limit = max(policy.shift_timeout + policy.warmup_of(step), FARTHEST)
            limit += _TICK_GAP + state.skew
            if process.started - since > limit:
                yield f"left {one.id} at {state.served_weight}% unjudged since {since:%H:%M}"


class BakeFromServed(Invariant):
    """The weight was really served; that the target shows it is not enough."""

    name = "baked-when-applied"
    text = (
        "A step begins, ends or completes only after its weight was read back from the target. "
        "So a succeeded rollout was read back at its last weight."
    )
    allows = (
        "An alias that serves another version to callers is not visible on the function; a "
        "`traffic` criterion detects that."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield an advance from a weight that was never served."""
        before, after = save.before, save.after
        for entry in save.entries:
            leaves = entry.kind in ("applied", "advanced", "succeeded")
            if leaves and before is not None and before.id not in state.served_rollouts:
                yield f"wrote {entry.kind} of {after.id}, and {before.weight}% was never applied"
