"""People: nobody undoes what they did, nothing goes on where they stopped it."""

from collections.abc import Iterator

from controller.core.commands import Verb
from controller.core.rollout import Phase, Rollout
from controller.core.transitions import BACK
from tests.chaos.event_log import BARE, KEEP, RESTORE, RETRY, Saved, Wrote, is_hand
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.scene import Life, Scene

_GOES_ON = frozenset({Verb.RESUME, RESTORE, KEEP, Verb.PROMOTE})
_LOWERS = frozenset({Verb.ROLLBACK, BARE, RESTORE})
_GOES_UP = frozenset({Phase.PROGRESSING, Phase.SUCCEEDED})


class NobodyFought(Invariant):
    """A weight that a hand has put back to what was asked for is nobody's move any more."""

    name = "nobody-fought"
    text = (
        "No move of another hand is undone upward, unless a person resumed, promoted or started "
        "since."
    )
    allows = "A hand that sets the very weight which the rollout had asked for has moved nothing."

    def wrote(self, wrote: Wrote, scene: Scene) -> Iterator[str]:
        """Yield a raise over what a hand had set."""
        rollout = scene.raising(wrote)
        if not wrote.raised or not is_hand(scene.last) or scene.go_ahead or rollout is None:
            return
        _, asked_before = scene.raises.get(rollout.id, (None, None))
        if wrote.weight_before != asked_before:
            yield (
                f"wrote {wrote.weight_after} % over the {wrote.weight_before} % that {scene.last} "
                "had set, and nobody has let it go on since"
            )


class PauseHolds(Invariant):
    """A raise that is on its way when a pause is saved may still land: `no-stale-raise`."""

    name = "pause-holds"
    text = "What is paused goes on only when a person asks for it."

    def saved(self, saved: Saved, scene: Scene) -> Iterator[str]:
        """Yield the end of a pause that nobody has asked for."""
        before, after = saved.before, saved.after
        if before is None or before.phase is not Phase.PAUSED or after.phase not in _GOES_UP:
            return
        if not scene.asked(saved.by) & _GOES_ON:
            yield f"let {after.id} go on from its pause ({before.reason}), and nobody had asked"


class OwnWeightOnly(Invariant):
    """Rules 5 and 6: what is over guards its 0 % against itself, briefly, and against no one."""

    name = "only-its-own-weight"
    text = (
        "When every rollout is over, a tick lowers only the last one's own weight, and only for a "
        "quarter of an hour; any other weight that a hand has set is left alone."
    )
    allows = (
        "A run that began before the end may still lower: less traffic is always allowed. So may "
        "a person."
    )

    def wrote(self, wrote: Wrote, scene: Scene) -> Iterator[str]:
        """Yield a hand's weight that was lowered after the end."""
        if not wrote.lowered or not is_hand(scene.last) or scene.asked(wrote.by) & _LOWERS:
            return
        found = scene.life(wrote.by, wrote.at).found
        newest = max(found.values(), key=lambda one: one.created, default=None)
        if newest is None or not all(one.final for one in found.values()):
            return
        until = newest.watch_until
        guards = newest.phase is Phase.ROLLED_BACK and wrote.weight_before == newest.peak
        if not guards or until is None or wrote.at >= until + scene.skew:
            yield (
                f"took {wrote.weight_before} % back to 0 %, which {scene.last} had set after the "
                f"end of {newest.id}"
            )


class NoReturn(Invariant):
    """The newest rollout of a revision speaks for it: an older one has been retried since."""

    name = "no-return"
    text = (
        "A revision that was rolled back never comes back by itself: its rollout stays over, and "
        "a new one takes a person who says why."
    )
    allows = "What is rolled back may be on its way back once more: a late raise is taken back."

    def saved(self, saved: Saved, scene: Scene) -> Iterator[str]:
        """Yield an end that was none."""
        before, after = saved.before, saved.after
        if before is None:
            yield from self._begun(saved, scene)
        elif before.phase in BACK and after.phase not in BACK:
            yield f"led {after.id} from {before.phase} to {after.phase}"
        elif before.phase is Phase.SUCCEEDED and not (after.final or after.phase in BACK):
            yield f"led {after.id} from its success to {after.phase}"

    def _begun(self, saved: Saved, scene: Scene) -> Iterator[str]:
        after, life = saved.after, scene.lives.get(saved.by)
        if RETRY in scene.asked(saved.by):
            return
        same = [one for one in scene.stored.values() if _same_revision(one, after)]
        newest = max(same, key=lambda one: one.attempt, default=None)
        if newest is None:
            return
        taken_back = (
            newest.phase is Phase.SUCCEEDED and scene.weight == 0 and not _moved(scene, life)
        )
        if newest.phase is Phase.ROLLED_BACK or taken_back:
            yield f"started {after.id}, whose revision {newest.id} had rolled back, without a retry"


def _same_revision(one: Rollout, other: Rollout) -> bool:
    return (one.name, one.revision, one.target) == (other.name, other.revision, other.target)


def _moved(scene: Scene, life: Life | None) -> bool:
    """Tell whether the function was written while the process `life` was looking."""
    return life is not None and scene.last_number >= life.begun
