"""The function: its other variables are sacred, and what fails goes back to 0 %."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.core.commands import Verb
from controller.core.judge.findings import Verdict
from controller.core.judge.queries import JUDGED
from controller.core.rollout import Phase, Rollout
from tests.chaos.event_log import (
    BARE,
    Ended,
    Judged,
    Saved,
    Told,
    Wrote,
    is_hand,
)
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.scene import Life, Scene

# How long it takes at most from one look of a tick to the next.
_TICKS = timedelta(minutes=2)
_LOWERS = frozenset({Verb.ROLLBACK, BARE})


class OtherVariables(Invariant):
    """Names are told, values never."""

    name = "other-variables"
    text = "No other environment variable ever changes, comes or goes by our hand."

    def wrote(self, wrote: Wrote, scene: Scene) -> Iterator[str]:
        """Yield the names of what was changed beside the pair."""
        ours = {scene.target.percentage, scene.target.boolean}
        both = wrote.before.keys() | wrote.after.keys()
        changed = sorted(
            name for name in both - ours if wrote.before.get(name) != wrote.after.get(name)
        )
        if changed:
            yield f"changed {', '.join(changed)} beside the weight"


class FailureGoesBack(Invariant):
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

    def judged(self, judged: Judged, scene: Scene) -> Iterator[str]:
        """Take note of a criterion that fails."""
        known = scene.life(judged.by, judged.at).found.get(judged.rollout)
        as_found = known is not None and known.version == scene.stored[judged.rollout].version
        if judged.verdict is Verdict.FAIL and as_found:
            self._failing[judged.by] = f"saw {judged.rollout} fail"
        yield from ()

    def ended(self, ended: Ended, scene: Scene) -> Iterator[str]:
        """Yield a process that left traffic where it must not be."""
        failing = self._failing.pop(ended.by, "")
        life = scene.lives.get(ended.by)
        if life is None or ended.status is None or not life.answers or not life.sound:
            return
        if scene.weight == 0 or (is_hand(scene.last) and scene.last_number >= life.begun):
            return
        newest = scene.newest()
        if newest is not None and newest.id not in life.found and not life.asked & _LOWERS:
            return
        why = self._had_to(life, failing, scene)
        if why:
            left = "a contradiction" if scene.weight is None else f"{scene.weight} %"
            yield f"{why} and left {left}, although Lambda answered"

    def _had_to(self, life: Life, failing: str, scene: Scene) -> str:
        if life.asked:
            return "was asked to roll back" if life.asked & _LOWERS else ""
        if failing:
            return failing
        for one in life.found.values():
            if one.phase is Phase.ROLLING_BACK:
                return f"found {one.id} rolling back"
            if self._came_back(one, life, scene):
                return f"found {one.id} rolled back and its {one.peak} % come back"
        return ""

    def _came_back(self, one: Rollout, life: Life, scene: Scene) -> bool:
        """Tell whether a rollout that owns the target has to guard its 0 % against itself."""
        if one.phase is not Phase.ROLLED_BACK or one != scene.newest() or is_hand(scene.last):
            return False
        watched = one.watch_until is not None and scene.now < one.watch_until - scene.skew
        return watched and scene.weight == one.peak and scene.last_number < life.begun


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

    def judged(self, judged: Judged, scene: Scene) -> Iterator[str]:
        """Take note of who was judged, and yield the gate of a weight that nobody has met."""
        self._left.pop(judged.rollout, None)
        one = scene.stored[judged.rollout]
        raised = 0 < one.intent.previous < one.weight
        if raised and one.waits is None and one.id not in scene.met:
            yield f"judged {one.id} by the gate of {one.weight} %, which was never in force"

    def told(self, told: Told, scene: Scene) -> Iterator[str]:
        """Take note of what people know."""
        self._left.pop(told.rollout.id, None)
        yield from ()

    def ended(self, ended: Ended, scene: Scene) -> Iterator[str]:
        """Yield a canary that a tick has left alone like those before it."""
        life = scene.lives.get(ended.by)
        if life is None or ended.status != 0 or life.asked or not (life.answers and life.sound):
            return
        for one in life.found.values():
            if scene.in_force == 0 or scene.stored[one.id].phase not in JUDGED:
                self._left.pop(one.id, None)
                continue
            since = self._left.setdefault(one.id, ended.at)
            policy = one.policy
            step = min(one.step, len(policy.steps) - 1)  # another invariant tells a wrong one
            limit = policy.shift_timeout + policy.warmup_of(step) + _TICKS + scene.skew
            if ended.at - since > limit:
                yield f"left {one.id} at {scene.in_force} % unjudged since {since:%H:%M}"


class BakedFromSight(Invariant):
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

    def saved(self, saved: Saved, scene: Scene) -> Iterator[str]:
        """Yield what goes on from a weight that nobody met."""
        before, after = saved.before, saved.after
        for entry in saved.entries:
            leaves = entry.kind in ("settled", "advanced", "succeeded")
            if leaves and before is not None and before.id not in scene.met:
                yield f"wrote {entry.kind} of {after.id}, and {before.weight} % was never in force"
