"""Visiting: rollouts looked at, decided about and carried out, those first that cannot wait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from controller import events, stopping
from controller.asking import NO_TIME, Asking
from controller.carrying import FOLLOW, Carrying, Visit
from controller.core.decide import decide
from controller.core.effects import Decision, Lower
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.overtaken import overtaken
from controller.core.rollout import Rollout
from controller.errors import StateConflictError, StoreError
from controller.leasing import Taken
from controller.looking import Answers, Look, Looking, facts

log = events.logger()


Waiting: TypeAlias = tuple[Look, Observation, Decision]
"""A rollout whose hooks have to be asked, with what was seen, and decided so far."""


@dataclass(frozen=True, slots=True)
class Visiting:
    """Visits what a run has taken."""

    looking: Looking
    carrying: Carrying
    asking: Asking

    def each(self, taken: Taken, waiting: list[Waiting]) -> Iterator[Visit]:
        """Yield a visit of each rollout of `taken`, with one read of the metrics for all of them.

        Those that need no metrics go first: a rollback does not wait for CloudWatch. Those whose
        hooks have to be asked are left in `waiting`.
        """
        looks = list[Look]()
        for rollout in taken.rollouts:
            stopping.point()
            try:
                looks.append(self.looking.look(rollout))
            except StoreError as error:
                log.error("load_failed", **facts(rollout, error))
                yield Visit(rollout, problem=str(error), saved=False)
        urgent = [look for look in looks if not look.wants]
        others = [look for look in looks if look.wants]
        for look in urgent:
            yield self._visit(look.rollout, *_decided(look, look.seen(Answers())), taken)
        stopping.point()
        for look, answers in self._measured(others):
            seen, decision = _decided(look, look.seen(answers))
            if decision.asks:  # a hook of one rollout keeps no other waiting
                waiting.append((look, seen, decision))
            else:
                yield self._visit(look.rollout, seen, decision, taken)

    def asked(self, waiting: Sequence[Waiting], taken: Taken) -> Iterator[Visit]:
        """Yield a visit of each rollout that was left in `waiting`, once its hooks were asked.

        They go last: nothing waits for a hook but the step that it is about. Those that got no time
        in the last tick go first among them.
        """
        until = self.asking.until()
        for look, seen, decision in sorted(waiting, key=_had_time):
            yield self._visit(look.rollout, *self._consented(look, seen, decision, until), taken)

    def _measured(self, looks: Sequence[Look]) -> Iterator[tuple[Look, Answers]]:
        """Yield each of `looks` with what was measured.

        A log may take its time to be searched: whoever needs none does not wait for it.
        """
        answers = self.looking.ask(looks)
        yield from ((look, answers) for look in looks if not look.wants.logs)
        slow = [look for look in looks if look.wants.logs]
        answers = self.looking.search(slow, answers)
        yield from ((look, answers) for look in slow)

    def _consented(
        self, look: Look, seen: Observation, decision: Decision, until: datetime
    ) -> tuple[Observation, Decision]:
        """Return what was seen with what its hooks say, and what is decided of that."""
        stopping.point()
        rollout = decision.rollout
        calls = advance_calls(rollout, look.now)
        answers = self.asking.answers(rollout.policy, decision.asks, calls, until)
        return _decided(look, replace(seen, hooks=answers))

    def _visit(
        self, rollout: Rollout, seen: Observation, decision: Decision, taken: Taken
    ) -> Visit:
        stopping.point()
        problem = taken.unwritable.get(rollout.id)
        if problem is None:
            return self._carried(rollout, seen, decision)
        if not isinstance(decision.move, Lower):
            return Visit(rollout, problem=str(problem), saved=False)
        visit = self._carried(rollout, seen, decision)
        if visit.saved:  # and with that, leased: it is given back as any other
            del taken.unwritable[rollout.id]
        return replace(visit, problem=visit.problem or str(problem))

    def _carried(self, rollout: Rollout, seen: Observation, decision: Decision) -> Visit:
        try:
            return self.carrying.out(rollout, seen, decision)
        except StateConflictError as error:
            log.warning("tick_lost", **facts(rollout, error))
            if not isinstance(decision.move, Lower):
                return Visit(rollout, busy=True)
        except StoreError as error:
            log.error("save_failed", **facts(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

        def again(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return overtaken(stored, decision, seen, now)

        return self.carrying.insist(rollout.id, again, FOLLOW, decision)


def _had_time(waiting: Waiting) -> bool:
    return NO_TIME not in waiting[0].rollout.blocked


def _decided(look: Look, seen: Observation) -> tuple[Observation, Decision]:
    return seen, decide(look.rollout, seen, look.now)
