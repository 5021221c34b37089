"""The watch of a final rollout: ticks check the weight of its target for a limited time."""

from datetime import datetime

from controller.core.decision import Decision, Record
from controller.core.judge.leak_check import leak_check_after_drift, leak_check_finding
from controller.core.judge.stable_use import stable_use_of
from controller.core.observation import Observation, TargetReading, UnreadableTarget
from controller.core.rollout import Reason, RolledBack, Rollout, Succeeded
from controller.core.transitions import pause, rollback
from controller.core.words.notices import stable_path_text
from controller.immutable import replace

STABLE_PATH = "stable_path"


def after_rollback(
    rollout: Rollout, state: RolledBack, observation: Observation, now: datetime
) -> Decision:
    """Return the decision for a rolled back rollout: keep 0%, and check for leaks."""
    target = observation.target
    is_at_zero = isinstance(target, TargetReading) and target.has_applied(0)
    if is_at_zero and observation.owns_target and rollback.has_come_back(rollout):
        return rollback.end_at_zero_again(rollout, now)
    # Ticks may visit the rollout longer than that, to repeat its page.
    guarding = now < state.since + rollback.ROLLBACK_GUARD
    if not guarding or not _is_watched(rollout, observation, now):
        return Decision(rollout)
    if isinstance(target, UnreadableTarget):
        # The live weight is unknown, so request counts prove nothing.
        return rollback.record_leak_check(rollout, state, leak_check_finding(rollout, {}, now), now)
    if target.weight == 0:
        return rollback.record_leak_check(
            rollout, state, leak_check_finding(rollout, observation.series, now), now
        )
    state = replace(state, leak_check=leak_check_after_drift(rollout, target.variables))
    rollout = replace(rollout, state=state)
    if target.weight == state.intended and not rollout.policy.target.observed:
        return rollback.lower_again(rollout, state, now)
    return pause.report_final_drift(rollout, target, now)


def after_success(
    rollout: Rollout, state: Succeeded, observation: Observation, now: datetime
) -> Decision:
    """Return the decision for a succeeded rollout: report what changed, and the stable path."""
    if not _is_watched(rollout, observation, now):
        return Decision(rollout)
    target = observation.target
    if isinstance(target, TargetReading):
        decision = _report_change(rollout, target, now)
        if decision.record is not None:
            return decision
    return _record_stable_use(rollout, state, observation, now)


def _report_change(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    if target.weight != 0 and rollout.exposed_to is not None:
        return pause.report_reexposure(rollout, target, now)
    if target.weight != rollout.weight:
        return pause.report_final_drift(rollout, target, now)
    return pause.report_release(rollout, target, now)


def _record_stable_use(
    rollout: Rollout, state: Succeeded, observation: Observation, now: datetime
) -> Decision:
    use = stable_use_of(rollout, state, observation, now)
    if use is None:
        return Decision(rollout)
    after = replace(rollout, state=replace(state, stable_use=use))
    text = f"stable path: {stable_path_text(after, use)}"
    entry = Record.of(
        STABLE_PATH, rollout, after, rollout.weight, now,
        reason=Reason.WATCHING, sentence=text, findings=(), keeps_series=True,
    )  # fmt: skip
    return Decision(after, record=entry)


def _is_watched(rollout: Rollout, observation: Observation, now: datetime) -> bool:
    """Tell whether the watch of a final rollout is not over, and no newer one owns its target."""
    return observation.owns_target and rollout.is_watched(now)
