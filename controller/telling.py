"""Telling: once rollouts of a run are visited, others hear of it, and the log does too."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import events
from controller.carrying import Visit
from controller.core.observation import Observation, Reading
from controller.core.outbox import turn
from controller.fence import problem_of
from controller.leasing import Missed
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
                told[index], post = self._sent(visit, deadline)
                _log(told[index], visit.seen, post)
            elif not visit.busy:  # else the run that has it tells
                _log(visit, None, Posted(visit.rollout))
        return told

    def _sent(self, visit: Visit, deadline: datetime) -> tuple[Visit, Posted]:
        """Return `visit` and what was sent of it; what is raised meanwhile is its problem."""
        try:
            post = self._posted(visit, deadline)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            problem = problem_of(error, visit.rollout.id, "delivering messages of")
            return replace(visit, problem=visit.problem or str(problem)), Posted(visit.rollout)
        return replace(visit, rollout=post.rollout), post

    def begun(self, visit: Visit) -> Visit:
        """Send the messages of a start."""
        post = self._posted(visit, self.clock.now() + WITHIN)
        return replace(visit, rollout=post.rollout)

    def _posted(self, visit: Visit, deadline: datetime) -> Posted:
        return self.posting.post(visit.rollout, deadline, saved=visit.saved)


def log_missed(missed: Missed) -> None:
    """Log that a rollout was not visited, as the one event that it has in this tick."""
    log.info("tick_completed", rollout=missed.rollout_id, problem=str(missed.error))


def _log(visit: Visit, seen: Observation | None, post: Posted) -> None:
    rollout = visit.rollout
    target = None if seen is None else seen.target
    log.info(
        "tick_completed",
        rollout=rollout.id,
        phase=str(rollout.phase),
        step=rollout.step,
        weight_percent=rollout.weight,
        seen_percent=target.weight if isinstance(target, Reading) else None,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        next=rollout.next,
        alerts=[str(alert) for alert in visit.alerts],
        busy=visit.busy,
        problem=visit.problem,
        messages_sent=post.sent,
        messages_failed=post.failed,
    )
