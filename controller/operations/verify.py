"""All checks of `rolloutctl verify`: one target against its rollout, metrics and log events.

A source that cannot be read degrades only its own checks.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.findings import Verdict
from controller.core.judge.queries import aligned_span
from controller.core.observation import MetricQuery, Series, Span, TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Phase, Rollout
from controller.core.units import MINUTE_S, clock_text, from_unix
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import ways_out_of_drift
from controller.errors import LogsError, MetricsError, NoLogGroupError, NoStoreError, StoreError
from controller.immutable import Immutable
from controller.operations.checks import Check, CheckLevel, fail, ok, unread, warn
from controller.operations.live_checks.target import (
    SET_ONE_WEIGHT,
    WEIGHT,
    reach_checks,
    unreadable_check,
    update_check,
    weight_check,
    weight_text,
)
from controller.operations.log_tail import Tail
from controller.operations.traffic_shares import (
    EVENTS,
    METRICS,
    PathMetrics,
    SettledWindow,
    event_share_checks,
    metric_share_check,
    path_metrics,
    settled_window,
)
from controller.ports.logs import LogEvent
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.ports.target import InspectableTarget

# Names of the checks.
_ROLLOUT, _LEAK_CHECK, BOOLEAN = "rollout", "leak check", "boolean"

# What a missing log group costs where the metrics say the same and nothing else searches a log.
_SPARE_LOG: Final = (
    f"no gate and no rollback of this policy needs it, and `{METRICS}` is as it should be"
)

_CHANGE_REMEDY: Final = "check who changed it (history of the rollout, CloudTrail)"


# --- The target and its rollout -------------------------------------------------------------------


def rollout_check(policy: Policy, rollout: Rollout | None, *, from_file: bool) -> Check:
    """Return the check that a rollout owns the target, and that it follows this policy.

    from_file: `policy` was read from a file, and not from the rollout.
    """
    if rollout is None:
        return ok(_ROLLOUT, "no rollout of this target, so no weight is expected")
    detail = f"{rollout.id} is {rollout.phase} and expects {rollout.weight}%"
    if rollout.name != policy.name:
        return warn(_ROLLOUT, f"{detail}; it owns the target, and is a rollout of another policy")
    if from_file and rollout.digest != policy.digest():
        remedy = "the file applies to the next revision; verify the rollout by its name"
        return warn(_ROLLOUT, f"{detail}, with another version of this policy", remedy)
    return ok(_ROLLOUT, detail)


def target_checks(
    policy: Policy, rollout: Rollout | None, target: TargetReading | UnreadableTarget, now: datetime
) -> Iterator[Check]:
    """Yield the checks of the weight and of the last update of the target."""
    if isinstance(target, UnreadableTarget):
        yield unreadable_check(target, unread)
        return
    if rollout is None:
        yield weight_check(target)
    elif target.weight == rollout.weight:
        yield ok(WEIGHT, f"{weight_text(target)}, as {rollout.id} expects")
    else:
        level, relation, remedy = _weight_difference(rollout, target, now)
        yield Check(WEIGHT, level, f"{weight_text(target)}, but {rollout.id} {relation}", remedy)
    yield from _boolean_checks(policy, target)
    yield update_check(target)


def _weight_difference(
    rollout: Rollout, target: TargetReading, now: datetime
) -> tuple[CheckLevel, str, str]:
    """Return the level, the relation to the rollout, and the remedy of an unexpected weight."""
    expectation = f"expects {rollout.weight}%"
    tick = f"wait for the next tick, then: rolloutctl status {rollout.id}"
    match rollout.phase:
        case Phase.PROGRESSING if rollout.pending and target.weight == rollout.pending.previous:
            return CheckLevel.WARN, f"{expectation}, and that raise is pending", tick
        case Phase.ROLLING_BACK:
            return CheckLevel.FAIL, "rolls back to 0%", f"rolloutctl rollback {rollout.id}"
        case Phase.PAUSED if target.weight == rollout.seen_weight:
            ways = ways_out_of_drift(
                rollout, target.weight, may_exceed=target.may_exceed(rollout.weight)
            )
            return CheckLevel.WARN, f"is paused because of it ({rollout.sentence})", "; ".join(ways)
        case Phase.ROLLED_BACK | Phase.SUCCEEDED if not rollout.is_watched(now):
            return (
                CheckLevel.WARN,
                f"ended at {rollout.weight}% and is no longer watched",
                _CHANGE_REMEDY,
            )
        case Phase.ROLLED_BACK:
            remedy = f"rolloutctl rollback {rollout.id}; {_CHANGE_REMEDY}"
            return CheckLevel.FAIL, "was rolled back to 0%", remedy
        case _:
            return CheckLevel.FAIL, expectation, f"{_CHANGE_REMEDY}; {tick}"


def _boolean_checks(policy: Policy, target: TargetReading) -> Iterator[Check]:
    """Yield the check that the settings beside the weight say the same."""
    _, *others = policy.target.settings(target.weight or 0).items()
    if not others:
        return
    if target.weight is None:
        detail = f"the settings contradict each other: {target.variables}"
        yield fail(BOOLEAN, detail, SET_ONE_WEIGHT)
    else:
        found = " and ".join(f"{name}={value}" for name, value in others)
        _, *full = policy.target.settings(100).values()
        when = f"below 100% ({' and '.join(full)} only at 100%)"
        if target.weight == 100:
            when = "at 100%"
        yield ok(BOOLEAN, f"{found}, as it should be {when}")


# --- The leak check after a rollback --------------------------------------------------------------


def leak_checks(rollout: Rollout | None, now: datetime) -> Iterator[Check]:
    """Yield the check that no canary requests arrive after a rollback."""
    if rollout is None or rollout.phase is not Phase.ROLLED_BACK or not rollout.from_weight:
        return
    leak_check = rollout.leak_check
    if leak_check is None:
        yield _unknown_leak_check(rollout, now)
        return
    detail = sentence_of(leak_check).removeprefix(f"{_LEAK_CHECK} ").rstrip(".")
    match leak_check.verdict:
        case Verdict.PASS:
            yield ok(_LEAK_CHECK, detail)
        case Verdict.FAIL:
            yield fail(_LEAK_CHECK, detail, "find the callers that still reach the canary")
        case Verdict.INCONCLUSIVE:
            yield warn(_LEAK_CHECK, detail, "see the shares below")


def _unknown_leak_check(rollout: Rollout, now: datetime) -> Check:
    until = rollout.watch_until
    if until is not None and now < until:
        detail = f"no result yet; ticks watch until {clock_text(until)}"
        return warn(_LEAK_CHECK, detail, "wait for the next tick")
    detail = (
        "not made: no tick ran in the 15 minutes after the rollback (the last change in the "
        f"store is from {clock_text(rollout.updated)}), and later ticks do not make it"
    )
    remedy = (
        "`share (metrics)` below says whether requests of users still reach the canary; check the "
        f"schedule; to write 0% and watch again: rolloutctl rollback {rollout.id} --reason TEXT"
    )
    return warn(_LEAK_CHECK, detail, remedy)


# --- Verifier -------------------------------------------------------------------------------------


class Verifier(Immutable):
    """The checks of one policy, and the sources that they read.

    tail: of the log of the application; None: it has no log group. log_group_warning: why that may
    be the wrong one; empty: no doubt.
    """

    policy: Policy
    target: InspectableTarget
    metrics: MetricSource
    tail: Tail | None
    log_group_warning: str = ""

    def owner(self, store: Store, reading: TargetReading | UnreadableTarget) -> Rollout | None:
        """Return the rollout that owns the target, else the newest of the policy; None: neither.

        Raises StoreError.
        """
        ids: list[str | None] = []
        if isinstance(reading, TargetReading):
            ids += map(store.owner, self.policy.target.locks(reading.identity))
        ids += store.of_name(self.policy.name)[-1:]
        rollout_id = next(filter(None, ids), None)
        return None if rollout_id is None else store.load(rollout_id)

    def checks(
        self,
        reading: TargetReading | UnreadableTarget,
        rollout: Rollout | StoreError | None,
        minutes: int,
        now: datetime,
        *,
        from_file: bool,
    ) -> Iterator[Check]:
        """Yield every check.

        rollout: the rollout that owns the target; None: there is none; or why the store was not
        read. minutes: how many settled minutes the shares cover.
        """
        if isinstance(rollout, StoreError):
            remedy = "so the live weight is compared with no rollout; name the store: --store"
            missing = isinstance(rollout, NoStoreError)
            yield (warn if missing else unread)("rollout", str(rollout), remedy)
            rollout = None
        else:
            yield rollout_check(self.policy, rollout, from_file=from_file)
        yield from target_checks(self.policy, rollout, reading, now)
        yield from reach_checks(self.target.obstacles(), unread)
        yield from leak_checks(rollout, now)
        if isinstance(reading, TargetReading) and reading.weight is not None:
            yield from self._shares(settled_window(self.policy, rollout, reading, minutes, now))

    def _shares(self, window: SettledWindow) -> Iterator[Check]:
        counts = path_metrics(self.policy)
        share = metric_share_check(counts, self._read_metrics(counts, window), window)
        yield share
        if self.tail is not None:
            if self.log_group_warning:
                yield warn("log group", self.log_group_warning, f"{self.tail.group} is read")
            spare = share.level is CheckLevel.OK and not self._judges_logs
            yield from _events(self.tail, window, _SPARE_LOG if spare else "")

    @property
    def _judges_logs(self) -> bool:
        """Tell whether a gate or the leak check of the policy searches a log."""
        judges = judges_of(self.policy, self.policy.criteria, {})
        by_gate = any(any(judge.log_queries(0, Span(0, MINUTE_S))) for judge in judges)
        return by_gate or self.policy.verify_rollback is not None

    def _read_metrics(
        self, counts: PathMetrics | None, window: SettledWindow
    ) -> Mapping[MetricQuery, Series] | str:
        if counts is None or window.empty:
            return {}
        queries = counts.queries.values()
        try:
            return self.metrics.read(queries, aligned_span(queries, window.begin, window.end))
        except MetricsError as error:
            return str(error)


def _events(tail: Tail, window: SettledWindow, missing_remedy: str) -> Iterator[Check]:
    """Yield the checks of the log events. missing_remedy: what follows without a log group."""
    events, truncation = list[LogEvent](), ""
    try:
        if not window.empty:
            read = tail.read(from_unix(window.begin), from_unix(window.end))
            events, truncation = list(read.events), read.truncation
    except LogsError as error:
        if isinstance(error, NoLogGroupError):
            yield warn(EVENTS, str(error), missing_remedy)
        else:
            yield unread(EVENTS, str(error))
        return
    yield from event_share_checks(events, tail.group, window, truncation)
