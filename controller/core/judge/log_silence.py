"""Log events after a rollback: one that must be absent, and one whose presence makes that telling.

They are counted up to a limit that tells as much as all of them would.
"""

from dataclasses import dataclass
from typing import ClassVar

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.reader import NO_SERIES
from controller.core.judge.watched import LOOK_FOR, Watched, telling
from controller.core.observation import Answer, LogQuery, Series, Span
from controller.core.policy import VerifyRollback
from controller.core.units import count_text

ABSENT, PRESENT, ANY = "log:absent", "log:present", "log:any"
# From 1 % on, 684 events of the stable path make silence telling (99 x 6.9).
ENOUGH_EVENTS = 1_000


def log_queries(watched: Watched, open_end: int, *, last: bool) -> dict[str, LogQuery]:
    """Return what has to be counted in the logs, by key; nothing where the policy asks for none.

    open_end: end of the minute that is still open. last: it is the last look, which tells a log
    without these events from one without any.
    """
    policy = watched.rollout.policy
    verify = policy.verify_rollback
    if verify is None:
        return {}
    group, all_of_it = verify.group_of(policy.target.function), Span(watched.begin, open_end)
    queries = {ABSENT: LogQuery(group, verify.absent, all_of_it, ENOUGH_EVENTS)}
    if not watched.unsettled:
        settled = Span(watched.begin, watched.closed)
        queries[PRESENT] = LogQuery(group, verify.present, settled, ENOUGH_EVENTS)
    if last:
        queries[ANY] = LogQuery(group, "", all_of_it, 1)
    return queries


@dataclass(frozen=True, slots=True)
class Events:
    """What the log events of a policy say of the drain."""

    by: ClassVar[str] = "log events"

    watched: Watched
    verify: VerifyRollback

    def refuted(self) -> Finding | None:
        """What was logged once is a leak, however little else could be read."""
        leaked = self.watched.ever(self._one(ABSENT))
        if leaked <= 0:
            return None
        text = (
            f"{self.verify.absent} was logged {_times(leaked)} in {self._group} since "
            f"{self.watched.since}, {self.watched.at_zero_since}. {LOOK_FOR}."
        )
        return self.watched.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmed(self) -> Finding | None:
        """The canary's event is absent, and the stable path's is there often enough."""
        if self.watched.unsettled or self._unread:
            return None
        due, words = self.watched.due_beside(self._control)
        if not telling(due):
            return None
        text = f"{self._silence}; {self._heard}{words}."
        return self.watched.finding(Verdict.PASS, Label.CONFIRMED, 0.0, text)

    def lack(self) -> str:
        """Return why the log tells nothing."""
        if self.watched.unsettled:
            return self.watched.unsettled
        if self._unread:
            return f"{self._unread}."
        if self._control:
            _, words = self.watched.due_beside(self._control)
            return f"{self._silence}; {self._heard}{words}, too few to tell a drain from chance."
        if self.watched.ever(self._one(ANY)):
            return (
                f"neither {self.verify.absent} nor {self.verify.present} was logged in "
                f"{self._group} since {self.watched.since}, and other events were: the patterns "
                "may not fit, or nobody called; that proves nothing."
            )
        since = f"since {self.watched.since}"
        return f"no log event at all in {self._group} {since}; that proves nothing."

    def _one(self, key: str) -> Series:
        return self.watched.series.get(key, NO_SERIES)

    @property
    def _unread(self) -> str:
        """Why an event could not be counted to the end; empty when both were."""
        both = (self._one(ABSENT), self._one(PRESENT))
        failed = next((one for one in both if one.answer is not Answer.COMPLETE), None)
        if failed is None:
            return ""
        return failed.message.rstrip(".") or f"the events in {self._group} were not read"

    @property
    def _control(self) -> float:
        return self.watched.settled(self._one(PRESENT))

    @property
    def _group(self) -> str:
        return self.verify.group_of(self.watched.rollout.policy.target.function)

    @property
    def _silence(self) -> str:
        return f"{self.verify.absent} was not logged in {self._group} {self.watched.for_minutes}"

    @property
    def _heard(self) -> str:
        return f"{self.verify.present} was logged {_times(self._control)}"


def _times(events: float) -> str:
    more = "at least " if events >= ENOUGH_EVENTS else ""
    return f"{more}{count_text(events, 'time')}" if events > 1 else "once"
