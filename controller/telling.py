"""Telling: once rollouts of a run are visited, others hear of it, and the log does too."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import events
from controller.carrying import Visit
from controller.core.observation import Observation, Reading
from controller.core.outbox import turn
from controller.ports import Clock
from controller.posting import WITHIN, Posted, Posting

log = events.logger()


@dataclass(frozen=True, slots=True)
class Telling:
    """Sends what visits left in the outbox of their rollouts.

    posting: how; a run that cannot tell anybody leaves it to another.
    """

    clock: Clock
    posting: Posting

    def all(self, visits: Iterable[Visit], within: timedelta = WITHIN) -> list[Visit]:
        """Send the messages of `visits` within one limit, and log what each visit came to."""
        deadline = self.clock.now() + within
        told = list(visits)
        for index, visit in sorted(enumerate(told), key=lambda one: turn(one[1].rollout)):
            if visit.seen is not None:
                post = self._posted(visit, deadline)
                told[index] = replace(visit, rollout=post.rollout)
                _log(told[index], visit.seen, post)
        return told

    def begun(self, visit: Visit) -> Visit:
        """Send the messages of a start."""
        post = self._posted(visit, self.clock.now() + WITHIN)
        return replace(visit, rollout=post.rollout)

    def _posted(self, visit: Visit, deadline: datetime) -> Posted:
        return self.posting.post(visit.rollout, deadline, saved=visit.saved)


def _log(visit: Visit, seen: Observation, post: Posted) -> None:
    rollout = visit.rollout
    log.info(
        "tick_completed",
        rollout=rollout.id,
        phase=str(rollout.phase),
        step=rollout.step,
        weight_percent=rollout.weight,
        seen_percent=seen.target.weight if isinstance(seen.target, Reading) else None,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        next=rollout.next,
        alerts=[str(alert) for alert in visit.alerts],
        messages_sent=post.sent,
        messages_failed=post.failed,
    )
