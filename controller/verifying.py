"""Verifying one target: everything that can be read is read, and each answer is a line of its own.

What may not be read costs its own lines and no others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.core.checks import Check, unread, warn
from controller.core.judge.queries import aligned
from controller.core.log_events import LogEvent
from controller.core.observation import Query, Reading, Series, Unreadable
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.core.units import at
from controller.core.verification import (
    EVENTS,
    Counts,
    Stretch,
    counts_of,
    of_drain,
    of_events,
    of_metrics,
    of_reach,
    of_rollout,
    of_target,
    stretch_of,
)
from controller.errors import (
    LogsError,
    MetricsError,
    NoLogGroupError,
    NoStoreError,
    StoreError,
    TargetError,
    WriteRefusedError,
)
from controller.ports import MetricSource, OpenTarget, Store
from controller.tailing import Tail


@dataclass(frozen=True, slots=True)
class Verifying:
    """What is looked at for one policy, and through what.

    doubt: why the log may be another one; empty: there is none.
    """

    policy: Policy
    target: OpenTarget
    metrics: MetricSource
    tail: Tail
    doubt: str = ""

    def read_target(self) -> Reading | Unreadable:
        """Return what the target shows, or why it does not."""
        try:
            return self.target.read()
        except TargetError as error:
            return Unreadable(str(error), hopeless=isinstance(error, WriteRefusedError))

    def owner(self, store: Store, reading: Reading | Unreadable) -> Rollout | None:
        """Return the rollout that holds the target, else the newest of the policy; None: neither.

        Raises StoreError.
        """
        ids: list[str | None] = []
        if isinstance(reading, Reading):
            ids += map(store.owner, self.policy.target.locks(reading.identity))
        ids += store.of_name(self.policy.name)[-1:]
        known = next(filter(None, ids), None)
        return None if known is None else store.load(known)

    def checks(
        self,
        reading: Reading | Unreadable,
        rollout: Rollout | StoreError | None,
        minutes: int,
        now: datetime,
        *,
        from_file: bool,
    ) -> Iterator[Check]:
        """Yield a check for each thing that was looked at.

        rollout: what holds the target; None: nothing does; or why nobody can say.
        """
        if isinstance(rollout, StoreError):
            remedy = "so what is live is compared with nothing; name the store: --store"
            missing = isinstance(rollout, NoStoreError)
            yield (warn if missing else unread)("rollout", str(rollout), remedy)
            rollout = None
        else:
            yield of_rollout(self.policy, rollout, from_file=from_file)
        yield from of_target(self.policy, rollout, reading, now)
        yield from of_reach(self.target.obstacles())
        yield from of_drain(rollout, now)
        if isinstance(reading, Reading) and reading.weight is not None:
            yield from self._shares(stretch_of(self.policy, rollout, reading, minutes, now))

    def _shares(self, stretch: Stretch) -> Iterator[Check]:
        counts = counts_of(self.policy)
        yield of_metrics(counts, self._counted(counts, stretch), stretch)
        if self.doubt:
            yield warn("log group", self.doubt, f"{self.tail.group} is read")
        yield from self._events(stretch)

    def _counted(self, counts: Counts | None, stretch: Stretch) -> Mapping[Query, Series] | str:
        if counts is None or stretch.empty:
            return {}
        queries = {str(query): query for query in counts.queries.values()}
        try:
            return self.metrics.read(queries.values(), aligned(queries, stretch.begin, stretch.end))
        except MetricsError as error:
            return str(error)

    def _events(self, stretch: Stretch) -> Iterator[Check]:
        found, cut = list[LogEvent](), ""
        try:
            if not stretch.empty:
                tail = self.tail.once(at(stretch.begin), at(stretch.end))
                found, cut = list(tail.events), tail.cut
        except LogsError as error:
            missing = isinstance(error, NoLogGroupError)
            yield (warn if missing else unread)(EVENTS, str(error))
            return
        yield from of_events(found, self.tail.group, stretch, cut)
