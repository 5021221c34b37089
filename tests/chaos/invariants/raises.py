"""Invariants of raises: recorded before, written once, and never by a stale run."""

from collections.abc import Iterator

from controller.core.transitions.rollback import ROLLBACK_PHASES
from tests.chaos.event_log import RolloutSave, TargetWrite
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import SystemState
from tests.support.core import Reason


class KnownWeight(Invariant):
    """The weight at the start of the run counts as set outside rolloutctl."""

    name = "known-weight"
    text = "The weight is 0%, a step of the policy, or a value that was set outside rolloutctl."

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield a weight that is no step and was not set outside."""
        steps = {step.weight for one in write.stored for step in one.policy.steps}
        weight = write.weight_after
        if weight is None:
            yield "wrote a contradiction"
        elif weight not in {0} | steps | state.external_weights:
            yield f"wrote {weight}%, which is no step and was set by nobody"


class RecordedRaise(Invariant):
    """A restore is no raise: it is recorded as `resumed`, and only lowers the weight."""

    name = "recorded-raise"
    text = (
        "The weight rises only by a start or an advance that is already saved in state and history."
    )
    allows = (
        "A contradiction that may mean 100% counts as 100%, so a `resume --restore` from it is "
        "no raise."
    )

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield a raise that is not in the history."""
        if write.raised and state.rollout_of_raise(write) is None:
            yield f"{_raise_text(write)}, and no rollout has recorded that"


class OneRaisePerAdvance(Invariant):
    """A write that is repeated counts once: its first try was refused, or never arrived."""

    name = "one-raise-per-advance"
    text = "Each saved advance raises the weight at most once, whatever number of processes see it."
    allows = (
        "Where the API has no condition on a write (`alb-weights`), a process that had read the "
        "target before another write may raise the weight after it. No process raises it twice."
    )

    def __init__(self) -> None:
        self._first_writes: dict[tuple[str, int], TargetWrite] = {}

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield a second raise by one advance."""
        rollout = state.rollout_of_raise(write)
        entry = None if rollout is None else state.advance(rollout.id)
        if not write.raised or rollout is None or entry is None:
            return
        advance = (rollout.id, entry.seq)
        first = self._first_writes.setdefault(advance, write)
        if first is not write and not (write.unseen and write.by != first.by):
            yield (
                f"{_raise_text(write)} by entry {advance[1]} of {rollout.id}, "
                f"on which {first.by} had acted already"
            )


class NoStaleRaise(Invariant):
    """A raise must match the state that is stored when it is written."""

    name = "no-stale-raise"
    text = (
        "A process raises the weight only while the stored state wants that weight for the "
        "present version of the target."
    )
    allows = (
        "A pause does not stop a raise that the target has already accepted. Neither does a "
        "rollback whose every write the target refused. The process that wrote such a raise takes "
        "it back, or the watch after a rollback does; `failure-goes-back` checks that. Where the "
        "API has no condition on a write (`alb-weights`), the present version and the stored state "
        "are those at the last reading of the process: another write may come in between."
    )

    def __init__(self) -> None:
        self._unwritten: set[str] = set()

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Record a rollback that may have left the token of a raise valid."""
        before, after = save.before, save.after
        if after.phase in ROLLBACK_PHASES and (
            before is None or before.phase not in ROLLBACK_PHASES
        ):
            refused = not state.process(save.by, save.at).sound
            if refused or after.reason is Reason.SHIFT_TIMED_OUT:
                self._unwritten.add(after.id)
        yield from ()

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield a raise that no stored rollout intends."""
        if not write.raised:
            return
        for one in write.stored:
            wanted = one.pending
            if one.phase in ROLLBACK_PHASES and one.id in self._unwritten:
                wanted, _ = state.raises.get(one.id, (None, 0))
            if (
                wanted is not None
                and wanted.weight == write.weight_after
                and state.is_version(wanted.token, write.token)
            ):
                return
        stored = "; ".join(f"{one.id} is {one.phase} at {one.weight}%" for one in write.stored)
        yield (
            f"{_raise_text(write)}, "
            f"and nothing that is stored wants that ({stored or 'nothing is'})"
        )


def _raise_text(write: TargetWrite) -> str:
    before = "a contradiction" if write.weight_before is None else f"{write.weight_before}%"
    return f"wrote {write.weight_after}% over {before}"
