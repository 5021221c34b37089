"""What the dashboard shows of a store, read at most once an interval, however many tabs look."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Final

from controller.core.history import Entry, SnapshotChangedError
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable, replace
from controller.operations.history import ROUTINE, load_unverified
from controller.operations.overview import Overview, load_overview, load_rollouts
from controller.ports.clock import Clock
from controller.ports.store import Store

MAX_EVENTS: Final = 12
# Rollouts that are over change rarely, and listing them reads the whole index of a table.
_LIST_EVERY_S: Final = 60.0
# A store of a thousand rollouts takes half a second to read; it is not read all the time.
_PAUSE: Final = 4


class Event(Immutable):
    """An entry of the history of a rollout."""

    rollout_id: str
    entry: Entry


class StoredRollout(Immutable):
    """A rollout as it is stored. digest: of its stored policy, where that was changed."""

    rollout: Rollout
    digest: str | None = None


class View(Immutable):
    """What was read of a store.

    at: when it was read. events: the newest first, since the dashboard was started, and before that
    the newest of each rollout. problem: why it cannot be read any more; empty: it can.
    """

    overview: Overview
    at: datetime
    events: tuple[Event, ...] = ()
    problem: str = ""

    def find(self, rollout_id: str) -> StoredRollout | None:
        """Return the rollout of this id; None: it is not in this view."""
        for one in self.overview.damaged:
            if isinstance(one, SnapshotChangedError) and one.rollout.id == rollout_id:
                return StoredRollout(one.rollout, one.digest)
        named = (one for one in self.overview.rollouts if one.id == rollout_id)
        return next(map(StoredRollout, named), None)


class Feed:
    """Reads a store for all tabs: once an interval, and less often where a read takes long."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        interval: timedelta,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._clock, self._now_s = store, clock, now_s
        self.interval_s = interval.total_seconds()
        self._lock = threading.RLock()
        self._view = View(Overview((), ()), clock.now())
        self._due_s = self._listed_s = -inf
        self._active: frozenset[str] = frozenset()
        self._others: dict[str, StoredRollout] = {}
        self._entries: dict[str, int] = {}  # how many each rollout had when its newest was read
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)

    def view(self) -> View:
        """Return what the store had at most an interval ago; an older view with the problem."""
        with self._lock:
            begin_s = self._now_s()
            if begin_s >= self._due_s:
                try:
                    self._view = self._read()
                except StoreError as error:
                    self._view = replace(self._view, problem=str(error))
                self._others.clear()
                end_s = self._now_s()
                self._due_s = end_s + max(self.interval_s, _PAUSE * (end_s - begin_s))
            return self._view

    def find(self, rollout_id: str) -> StoredRollout:
        """Return a rollout, also an old one that the view leaves out. Raises StoreError."""
        with self._lock:
            found = self.view().find(rollout_id) or self._others.get(rollout_id)
            if found is None:
                found = StoredRollout(*load_unverified(self._store, rollout_id))
                self._others[rollout_id] = found
            return found

    def forget(self) -> None:
        """Let the next view be read anew: the store was changed by this process."""
        with self._lock:
            self._due_s = -inf

    def _read(self) -> View:
        now = self._clock.now()
        active = self._store.active(now)
        due = self._now_s() - self._listed_s >= _LIST_EVERY_S
        if due or self._active != frozenset(active):
            overview = load_overview(self._store, now)
            self._active, self._listed_s = frozenset(active), self._now_s()
        else:
            overview = self._updated(load_rollouts(self._store, active))
        self._events.extend(self._new_events(overview))
        events = sorted(self._events, key=lambda one: one.entry.at, reverse=True)
        return View(overview, now, tuple(events))

    def _updated(self, active: Overview) -> Overview:
        """Return the last overview with what was read of the `active` rollouts."""
        last = self._view.overview
        others = (one for one in last.rollouts if one.id not in self._active)
        damaged = (one for one in last.damaged if one.context.get("rollout") not in self._active)
        return replace(
            last,
            rollouts=(*active.rollouts, *others),
            damaged=(*active.damaged, *damaged),
        )

    def _new_events(self, overview: Overview) -> Iterator[Event]:
        """Yield the newest entry of each rollout that has a new one, the oldest entry first."""
        changed = [one for one in overview.rollouts if self._entries.get(one.id, 0) != one.entries]
        self._entries.update({one.id: one.entries for one in changed})
        newest = sorted(changed, key=lambda one: one.updated)[-MAX_EVENTS:]
        for rollout in newest:
            with suppress(StoreError):  # the page of the rollout says what is wrong with it
                entry = self._store.newest_entry(rollout.id)
                if entry is not None and entry.kind not in ROUTINE:
                    yield Event(rollout.id, entry)
