"""The tick: load, observe, decide, act, record. It branches on moves, never on phases.

Less traffic: act, then save. More traffic: save, then act. A move is followed for a short while,
and when it is seen in force within that time, that is recorded too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller import events
from controller.core.decide import decide, roll_back
from controller.core.effects import Alert, Decision, Lower, Notice, Raise, Severity
from controller.core.history import Entry, append, series_data
from controller.core.judge import Needs, needs, unanswered
from controller.core.observation import (
    Observation,
    Query,
    Reading,
    Series,
    Span,
    Unreadable,
    Update,
)
from controller.core.rollout import Rollout
from controller.errors import (
    MetricsError,
    RolloutError,
    StateConflictError,
    StoreError,
    TargetError,
    WriteRefusedError,
)
from controller.ports import Clock, MetricSource, Notifier, Store, Target, Targets

log = events.logger()

# How long a tick follows its own move before it leaves it to the next.
FOLLOW = timedelta(seconds=30)
LOOK_EVERY = timedelta(seconds=1)
ROLLBACK_SAVES = 5
# How long a rollback by bare names may take, twice: to write 0 % and to see it in force.
LOWER_BY_HAND = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Visit:
    """One rollout visited: where it stands now, and whether that needs an exit status of its own.

    busy: another run saved first, and this one changed nothing durable.
    problem: why the decision could not be saved; empty when it was.
    """

    rollout: Rollout
    alerts: tuple[Alert, ...] = ()
    busy: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    rollout: Rollout
    now: datetime
    target: Reading | Unreadable
    owns: bool
    wants: Needs


@dataclass(slots=True)
class Runner:
    """Visits rollouts. Everything it touches comes in through the ports."""

    store: Store
    targets: Targets
    metrics: MetricSource
    notifier: Notifier
    clock: Clock
    by: str
    _open: dict[str, Target] = field(default_factory=dict)

    def tick(self, ids: Sequence[str]) -> list[Visit]:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Raises StoreError, UnknownRolloutError: a store that cannot be read decides nothing. One
        that cannot be written is a problem of its visit: the others may need to be rolled back.
        """
        looks = [self._look(self.store.load(one)) for one in ids]
        series = self._read_metrics([look.wants for look in looks])
        return [self._visit(look, series) for look in looks]

    def begin(self, decision: Decision, target: Reading) -> Rollout:
        """Create the rollout of `decision`, take its locks, and carry out its first move.

        Raises TargetTakenError, StateConflictError: nothing was touched.
        """
        rollout, entries = self._recorded(Observation(target), decision)
        self.store.create(rollout, entries, rollout.locks)
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        return self._act_saved(rollout, decision)

    def roll_back(self, rollout_id: str, why: str) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way."""
        for attempt in range(ROLLBACK_SAVES):
            look = self._look(self.store.load(rollout_id))
            seen = Observation(look.target, {}, look.owns)
            decision = roll_back(look.rollout, seen, look.now, why)
            try:
                return self._carry_out(look.rollout, seen, decision)
            except StateConflictError:
                # Traffic is down already; only the record lost a race with a tick.
                if attempt + 1 == ROLLBACK_SAVES:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    # --- looking --------------------------------------------------------------------------------

    def target_of(self, rollout: Rollout) -> Target:
        """Return the target of `rollout`, opened once."""
        if rollout.id not in self._open:
            self._open[rollout.id] = self.targets(rollout.policy.target)
        return self._open[rollout.id]

    def _look(self, rollout: Rollout) -> _Look:
        now = max(self.clock.now(), rollout.updated)
        target = self._read_target(rollout)
        owns = not rollout.final or self.store.owner(rollout.locks[0]) == rollout.id
        return _Look(rollout, now, target, owns, needs(rollout, now))

    def _read_target(self, rollout: Rollout) -> Reading | Unreadable:
        try:
            return self.target_of(rollout).read()
        except TargetError as error:
            hopeless = isinstance(error, WriteRefusedError)
            log.warning("target_unreadable", **_facts(rollout, error))
            return Unreadable(str(error), hopeless)

    def _read_metrics(self, wants: Sequence[Needs]) -> Mapping[Query, Series] | str:
        """Return every series that was asked for, or why there is none."""
        queries = {query for want in wants for query in want.queries.values()}
        if not queries:
            return {}
        spans = [want.span for want in wants if want.queries]
        span = Span(min(one.start for one in spans), max(one.end for one in spans))
        try:
            return self.metrics.read(queries, span)
        except MetricsError as error:
            log.warning("metrics_unavailable", **{**error.context, "problem": str(error)})
            return str(error)

    # --- deciding and acting --------------------------------------------------------------------

    def _visit(self, look: _Look, answer: Mapping[Query, Series] | str) -> Visit:
        if isinstance(answer, str):
            series = unanswered(answer, look.wants.queries)
        else:
            series = {key: answer[query] for key, query in look.wants.queries.items()}
        seen = Observation(look.target, series, look.owns)
        decision = decide(look.rollout, seen, look.now)
        try:
            return self._carry_out(look.rollout, seen, decision)
        except StateConflictError as error:
            log.warning("tick_lost", **_facts(look.rollout, error))
            return Visit(look.rollout, busy=True)
        except StoreError as error:
            log.error("save_failed", **_facts(look.rollout, error))
            if isinstance(decision.move, Lower):  # it was carried out, and people must hear of it
                self._tell_all(look.rollout, decision.notices)
            return Visit(look.rollout, problem=str(error))

    def _carry_out(self, before: Rollout, seen: Observation, decision: Decision) -> Visit:
        """Act and save in the order that is safe for the move, then follow it and tell people."""
        alerts = [decision.alert] if decision.alert else []
        move = decision.move
        if isinstance(move, Lower) and not self._lower(decision.rollout, move):
            alerts.append(Alert.ROLLBACK_UNCONFIRMED)
        after = self._act_saved(self._save(before, seen, decision), decision)
        _log_tick(after, seen, alerts)
        return Visit(after, tuple(dict.fromkeys(alerts)))

    def _act_saved(self, rollout: Rollout, decision: Decision) -> Rollout:
        """Do what comes after the save: raise, follow the move, tell people."""
        self._tell_all(rollout, decision.notices)
        match decision.move:
            case Raise(weight=weight) as move:
                return self._follow(rollout, weight) if self._raise(rollout, move) else rollout
            case Lower():
                return self._follow(rollout, 0)
            case None:
                return rollout

    def _lower(self, rollout: Rollout, move: Lower) -> bool:
        """Write 0 %; False when that is hopeless, so that somebody is paged at once."""
        try:
            self.target_of(rollout).lower_to_zero(move.within)
        except TargetError as error:
            log.critical("lower_failed", **_facts(rollout, error))
            if isinstance(error, WriteRefusedError):
                text = f"{rollout.id} cannot be rolled back: {error}"
                self._tell(rollout, Notice(Severity.CRITICAL, text))
                return False
            return True
        log.warning("weight_lowered", rollout=rollout.id, weight_percent=0)
        return True

    def _raise(self, rollout: Rollout, move: Raise) -> bool:
        """Write the weight once; False when it was not written. The next tick looks again."""
        try:
            self.target_of(rollout).raise_to(move.weight, move.token)
        except TargetError as error:
            log.error("raise_refused", **_facts(rollout, error))
            return False
        log.info("weight_raised", rollout=rollout.id, weight_percent=move.weight)
        return True

    def _follow(self, rollout: Rollout, weight: int) -> Rollout:
        """Wait a short while for the move to be in force; record it when it was seen."""
        deadline = self.clock.now() + FOLLOW
        target = self._read_target(rollout)
        while _moving(target) and self.clock.now() < deadline:
            self.clock.sleep(LOOK_EVERY)
            target = self._read_target(rollout)
        if isinstance(target, Unreadable) or not target.stands_at(weight):
            return rollout
        seen = Observation(target)
        now = max(self.clock.now(), rollout.updated)
        decision = decide(rollout, seen, now)
        if decision.record is None or decision.move is not None:
            return rollout
        try:
            after = self._save(rollout, seen, decision)
        except StateConflictError:  # a tick beside this one has recorded it already
            return self.store.load(rollout.id)
        self._tell_all(after, decision.notices)
        return after

    # --- recording ------------------------------------------------------------------------------

    def _save(self, before: Rollout, seen: Observation, decision: Decision) -> Rollout:
        """Write the next state, and its record in the same breath."""
        after, entries = self._recorded(seen, decision)
        if before.final and not entries:
            return before  # a finished rollout that nothing happened to is not written again
        return self.store.save(after, entries)

    def _recorded(self, seen: Observation, decision: Decision) -> tuple[Rollout, list[Entry]]:
        """Return the next state with its chain moved on, and the entries to store with it."""
        if decision.record is None:
            return decision.rollout, []
        kept = series_data(seen.series) if decision.record.keeps_series else {}
        data = {"target": _target_data(seen.target), "series": kept}
        after, entry = append(decision.rollout, decision.record, by=self.by, seen=data)
        return after, [entry]

    def _tell_all(self, rollout: Rollout, notices: Sequence[Notice]) -> None:
        for notice in notices:
            self._tell(rollout, notice)

    def _tell(self, rollout: Rollout, notice: Notice) -> None:
        try:
            self.notifier.notify(rollout, notice)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
            log.error("notify_failed", rollout=rollout.id, notice=notice.text, problem=str(error))


def lower_and_confirm(target: Target, clock: Clock) -> Reading:
    """Lower a bare target to 0 % and return what it shows once that is in force, or at the limit.

    Raises TargetError when it cannot be lowered or read.
    """
    target.lower_to_zero(LOWER_BY_HAND)
    deadline = clock.now() + LOWER_BY_HAND
    reading = target.read()
    while not reading.stands_at(0) and clock.now() < deadline:
        if reading.update is not Update.IN_PROGRESS:
            break
        clock.sleep(LOOK_EVERY)
        reading = target.read()
    return reading


def _facts(rollout: Rollout, error: RolloutError) -> dict[str, object]:
    """Return what a log line says of `error`; its context may name the same things."""
    return {**error.context, "rollout": rollout.id, "problem": str(error)}


def _moving(target: Reading | Unreadable) -> bool:
    return isinstance(target, Reading) and target.update is Update.IN_PROGRESS


def _target_data(target: Reading | Unreadable) -> dict[str, object]:
    if isinstance(target, Unreadable):
        return {"unreadable": target.reason, "hopeless": target.hopeless}
    return {
        "identity": target.identity,
        "weight": target.weight,
        "shown": target.shown,
        "token": target.token,
        "update": str(target.update),
        "detail": target.detail,
    }


def _log_tick(rollout: Rollout, seen: Observation, alerts: Sequence[Alert]) -> None:
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
        alerts=[str(alert) for alert in alerts],
    )
