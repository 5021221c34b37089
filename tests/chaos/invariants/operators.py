"""Invariants of operators: their changes are not undone, and their pauses hold."""

from collections.abc import Iterator

from controller.core.transitions.rollback import ROLLBACK_PHASES
from tests.chaos.event_log import (
    BARE_ROLLBACK,
    RESUME_KEEP,
    RESUME_RESTORE,
    RETRY,
    RolloutSave,
    TargetWrite,
    is_external,
)
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import ProcessRecord, SystemState
from tests.support.core import Phase, RolledBack, Rollout, Verb

_RESUMING_VERBS = frozenset({Verb.RESUME, RESUME_RESTORE, RESUME_KEEP, Verb.PROMOTE})
_LOWERING_VERBS = frozenset({Verb.ROLLBACK, BARE_ROLLBACK, RESUME_RESTORE})
_PROGRESSING_PHASES = frozenset({Phase.PROGRESSING, Phase.SUCCEEDED})


class NoOperatorOverride(Invariant):
    """A weight that was changed outside and set back to the intended one is no drift any more."""

    name = "drift-is-kept"
    text = (
        "No process of rolloutctl raises the weight over a value that was set outside rolloutctl, "
        "unless an operator resumed, promoted or started a rollout since."
    )
    allows = (
        "A weight set outside that equals the intended weight is not drift. Where the API has no "
        "condition on a write (`alb-weights`), a weight that was set after the last reading of the "
        "process is overwritten."
    )

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield a raise over a weight that was set outside rolloutctl."""
        rollout = state.rollout_of_raise(write)
        if (
            not write.raised
            or not is_external(state.last_writer)
            or state.go_ahead
            or rollout is None
            or write.unseen_external
        ):
            return
        _, previous_weight = state.raises.get(rollout.id, (None, None))
        if write.weight_before != previous_weight:
            yield (
                f"wrote {write.weight_after}% over the {write.weight_before}% "
                f"that {state.last_writer} had set, and nobody has let it go on since"
            )


class PausePersists(Invariant):
    """A raise in flight when a pause is saved may still arrive: see `no-stale-raise`."""

    name = "pause-holds"
    text = "A paused rollout goes on only after an operator command."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield the end of a pause without an operator command."""
        before, after = save.before, save.after
        if (
            before is None
            or before.phase is not Phase.PAUSED
            or after.phase not in _PROGRESSING_PHASES
        ):
            return
        if not state.verbs_of(save.by) & _RESUMING_VERBS:
            yield f"let {after.id} go on from its pause ({before.reason}), and nobody had asked"


class ZeroGuardScope(Invariant):
    """Rules 5 and 6: an ended rollout lowers only its own late raise, and only for a short time."""

    name = "only-its-own-weight"
    text = (
        "When every rollout has ended, a tick lowers only a weight that the newest rollout had "
        "written, and only for 15 minutes. Any other weight stays as it was set."
    )
    allows = (
        "A process that began before the end may still lower the weight: less traffic is always "
        "allowed. So may a tick while a rollback that an operator asked for is under way. An "
        "operator may lower it at any time. Where the API has no condition on a write "
        "(`alb-weights`), a weight that was set after the last reading of the tick is overwritten."
    )

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield the lowering of a weight that was set outside after the end."""
        if (
            not write.lowered
            or write.unseen_external
            or not is_external(state.last_writer)
            or state.verbs_of(write.by) & _LOWERING_VERBS
        ):
            return
        rollouts = state.process(write.by, write.at).rollouts_at_start
        newest = max(rollouts.values(), key=lambda rollout: rollout.created, default=None)
        seen = (*rollouts.values(), *state.stored.values())
        if newest is None or not all(one.final for one in seen):
            return
        guards = (
            isinstance(newest.state, RolledBack)
            and write.weight_before == newest.state.intended
            and write.at < newest.state.watch_until + state.skew
        )
        if not guards:
            yield (
                f"took {write.weight_before}% back to 0%, which {state.last_writer} had set "
                f"after the end of {newest.id}"
            )


class NoUnattendedRetry(Invariant):
    """Only the newest rollout of a revision counts: an older one has been retried since."""

    name = "no-return"
    text = (
        "A revision that was rolled back stays blocked: its rollout stays ended, and a new "
        "rollout of it needs `retry` with an operator's reason."
    )
    allows = "A late raise of the ended rollout may arrive and is lowered again."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield an ended rollout that goes on, or a start of a blocked revision."""
        before, after = save.before, save.after
        if before is None:
            yield from self._check_start(save, state)
        elif before.phase in ROLLBACK_PHASES and after.phase not in ROLLBACK_PHASES:
            yield f"led {after.id} from {before.phase} to {after.phase}"
        elif before.phase is Phase.SUCCEEDED and not (
            after.final or after.phase in ROLLBACK_PHASES
        ):
            yield f"led {after.id} from its success to {after.phase}"

    def _check_start(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        after, life = save.after, state.processes.get(save.by)
        if RETRY in state.verbs_of(save.by):
            return
        same = [one for one in state.stored.values() if _same_revision(one, after)]
        newest = max(same, key=lambda one: one.attempt, default=None)
        if newest is None:
            return
        lowered_after_success = (
            newest.phase is Phase.SUCCEEDED
            and state.weight == 0
            and not _written_since(state, life)
        )
        if newest.phase is Phase.ROLLED_BACK or lowered_after_success:
            yield f"started {after.id}, whose revision {newest.id} had rolled back, without a retry"


def _same_revision(first: Rollout, second: Rollout) -> bool:
    return (first.name, first.revision, first.target) == (
        second.name,
        second.revision,
        second.target,
    )


def _written_since(state: SystemState, process: ProcessRecord | None) -> bool:
    """Tell whether the target was written since `process` started."""
    return process is not None and state.last_write_number >= process.start_number
