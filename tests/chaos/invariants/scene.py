"""How everything stands while a story is told: what an invariant compares a happening with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from controller.core.history import Entry
from controller.core.policy import LambdaEnv
from controller.core.rollout import Intent, Rollout
from controller.core.transitions import BACK
from tests.chaos.event_log import (
    KEEP,
    RESTORE,
    RETRY,
    START,
    Answered,
    Asked,
    Began,
    Ended,
    Happening,
    InForce,
    Saved,
    Wrote,
    is_hand,
)

NEVER = datetime.min.replace(tzinfo=UTC)
# A person who asks one of these lets the weight go up again.
GO_AHEAD = frozenset({START, RETRY, "resume", RESTORE, KEEP, "promote"})
# What is written into the history when a weight is decided; all but the last may be more traffic.
DECIDES = ("started", "advanced", "resumed")
ADVANCES = frozenset(DECIDES[:2])


@dataclass(slots=True)
class Life:
    """A process from its begin on.

    begun: what had happened before it, as a number. found: the rollouts as it found them.
    asked: what a person asked by it. sound: Lambda has answered it as it should, and always did.
    """

    began: datetime
    begun: int
    found: dict[str, Rollout]
    asked: set[str] = field(default_factory=set)
    answers: int = 0
    sound: bool = True


@dataclass(slots=True)
class Scene:
    """The truth after everything that has been heard.

    weight, in_force: what the function shows and what requests meet; None: a contradiction.
    skew: how far the clocks of two processes may be apart. now: when the last thing happened.
    by_hand: every weight that another hand has set, and the one of the beginning.
    last: who wrote the environment last; last_number: when, counted in happenings.
    raises: of each rollout the last intent to raise, and the weight that it had asked for before.
    go_ahead: a person has let the weight go up since another hand wrote it.
    met: the rollouts whose weight requests have met since it was asked for.
    """

    target: LambdaEnv
    weight: int | None = 0
    in_force: int | None = 0
    skew: timedelta = timedelta()
    now: datetime = NEVER
    number: int = 0
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, list[Entry]] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    by_hand: set[int | None] = field(default_factory=set)
    last: str = ""
    last_number: int = 0
    raises: dict[str, tuple[Intent, int]] = field(default_factory=dict)
    go_ahead: bool = False
    met: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.by_hand.add(self.weight)

    def life(self, by: str, at: datetime) -> Life:
        """Return the life of the process `by`, which begins now if nobody saw it begin."""
        if by not in self.lives:
            self.lives[by] = Life(at, self.number, dict(self.stored))
        return self.lives[by]

    def asked(self, by: str) -> frozenset[str]:
        """Return what a person asked by the process `by`."""
        return frozenset(self.lives[by].asked) if by in self.lives else frozenset()

    def raising(self, wrote: Wrote) -> Rollout | None:
        """Return the rollout that has recorded the raise to what was written; None: none has.

        The one that meant this very state of the function comes first, then the newest.
        """
        fitting = [one for one in wrote.stored if self._advanced_to(one) == wrote.weight_after]
        fitting.sort(key=lambda one: (self._meant(one, wrote.token), one.attempt))
        return fitting[-1] if fitting else None

    def advance(self, rollout_id: str) -> Entry | None:
        """Return the entry in which more traffic was decided, if that is what was decided last."""
        decided = [one for one in self.histories.get(rollout_id, ()) if one.kind in DECIDES]
        return decided[-1] if decided and decided[-1].kind in ADVANCES else None

    def _advanced_to(self, rollout: Rollout) -> int | None:
        entry = self.advance(rollout.id)
        return None if entry is None else int(entry.body["weight_to"])

    def _meant(self, rollout: Rollout, token: str) -> bool:
        known = self.raises.get(rollout.id)
        return known is not None and known[0].token == token

    def newest(self) -> Rollout | None:
        """Return the rollout that was created last."""
        return max(self.stored.values(), key=lambda one: (one.created, one.attempt), default=None)

    def hear(self, happening: Happening) -> None:
        """Take note of what has happened."""
        self.number += 1
        match happening:
            case Began(at=at, by=by):
                self.lives.setdefault(by, Life(at, self.number, dict(self.stored)))
            case Asked(at=at, by=by, verb=verb):
                self.life(by, at).asked.add(verb)
            case Answered(at=at, by=by, sound=sound):
                life = self.life(by, at)
                life.answers += 1
                life.sound = life.sound and sound
            case Wrote():
                self._wrote(happening)
            case InForce(weight=weight):
                self.in_force = weight
                going = (one for one in self.stored.values() if one.phase not in BACK)
                self.met |= {one.id for one in going if one.weight == weight}
            case Saved():
                self._saved(happening)
            case Ended(by=by):
                self.lives.pop(by, None)
            case _:
                pass

    def _wrote(self, wrote: Wrote) -> None:
        self.weight = wrote.weight_after
        self.last, self.last_number = wrote.by, self.number
        if is_hand(wrote.by):
            self.by_hand.add(wrote.weight_after)
            self.go_ahead = False

    def _saved(self, saved: Saved) -> None:
        before, after = saved.before, saved.after
        self.stored[after.id] = after
        self.histories.setdefault(after.id, []).extend(saved.entries)
        if self.asked(saved.by) & GO_AHEAD:
            self.go_ahead = True
        intent = after.intent
        if before is not None and before.intent == intent:
            return
        self.met -= {after.id}
        if self.in_force == after.weight:
            self.met.add(after.id)
        if intent.weight > intent.previous:
            self.raises[after.id] = (intent, 0 if before is None else before.weight)
