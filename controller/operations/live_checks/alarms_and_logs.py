"""Checks of the CloudWatch alarms and log events that the criteria of a policy read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, assert_never

from controller.core.observation import (
    AlarmReading,
    AlarmState,
    LogQuery,
    QueryStatus,
    Series,
    Span,
)
from controller.core.policy import Alarm, LogEvents, Policy, alarm_name
from controller.core.units import clock_text, from_unix
from controller.operations.checks import Check, fail, ok, warn

_LOOKBACK: Final = timedelta(hours=1)
_SEARCH_REMEDY: Final = "check that the group exists"
_MISSING_REMEDY: Final = "create it, or correct the policy"


def alarms_of(policy: Policy) -> dict[str, Alarm]:
    """Return the criteria of `policy` that read a CloudWatch alarm, by name."""
    return {
        name: criterion
        for name, criterion in policy.criteria.items()
        if isinstance(criterion, Alarm)
    }


def alarm_check(
    name: str,
    criterion: Alarm,
    reading: AlarmReading,
    *,
    starting: bool = False,
    fix: bool = False,
) -> Check:
    """Return the check of the alarm that a criterion reads.

    An alarm that is in ALARM already would be blamed on the rollout, and a missing one never
    reports. For a criterion that only reports, both are warnings: it blocks no start.
    starting: a rollout starts now, so an alarm in ALARM fails. fix: it starts as a fix, for which
    that is a warning, too.
    """
    what, alarm = f"alarm of {name}", alarm_name(criterion.alarm)
    level_of = fail if criterion.gating else warn
    match reading.state:
        case AlarmState.OK:
            return ok(what, f"{alarm} is OK")
        case AlarmState.ALARM:
            since = f" since {clock_text(from_unix(reading.since))}" if reading.since else ""
            reason = f" ({reading.reason})" if reading.reason else ""
            remedy = "the criterion only reports"
            if criterion.gating:
                remedy = "start is refused until it is OK, but for start --fix"
            if criterion.gating and fix:
                remedy = "it does not gate until it has been OK once"
            level = level_of if starting and not fix else warn
            return level(what, f"{alarm} is in ALARM{since}{reason}", remedy)
        case AlarmState.INSUFFICIENT_DATA:
            return warn(what, f"{alarm} has no data", "check which metric it uses")
        case AlarmState.MISSING:
            return level_of(
                what, f"there is no alarm {alarm} in this account and region", _MISSING_REMEDY
            )
        case AlarmState.UNREAD:
            remedy = "its gate cannot pass" if criterion.gating else "the criterion only reports"
            return level_of(what, f"{alarm} cannot be read: {reading.reason}", remedy)
        case unreachable:
            assert_never(unreachable)


def log_queries(policy: Policy, now: datetime) -> dict[str, tuple[LogQuery, ...]]:
    """Return the log queries of `policy`, by the name of their check; one event of each is enough.

    `verify_rollback` has two patterns, and the live weight decides which one is logged now: an
    event of either passes.
    """
    end = int(now.timestamp())
    span = Span(end - int(_LOOKBACK.total_seconds()), end)
    queries: dict[str, tuple[LogQuery, ...]] = {}
    if (verify := policy.verify_rollback) is not None:
        group = policy.log_group_of(verify)
        queries["log of verify_rollback"] = tuple(
            LogQuery(group, pattern, span, 1) for pattern in (verify.present, verify.absent)
        )
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, LogEvents):
            query = LogQuery(policy.log_group_of(criterion), criterion.control, span, 1)
            queries[f"log of {name}"] = (query,)
    return queries


def log_check(what: str, queries: tuple[LogQuery, ...], counts: Mapping[LogQuery, Series]) -> Check:
    """Return the check that an event of one of `queries` was logged in the last hour."""
    group = queries[0].group
    series = [counts[query] for query in queries]
    statuses = {one.status for one in series}
    if QueryStatus.FORBIDDEN in statuses:
        return warn(what, f"not checked: grant logs:FilterLogEvents on {group}")
    for one in series:
        if one.status is QueryStatus.ERROR:
            return fail(what, one.message or f"{group} cannot be searched", _SEARCH_REMEDY)
    if any(one.points for one in series):
        return ok(what, f"{group} has a matching event in the last hour")
    patterns = " nor ".join(query.pattern for query in queries)
    negation = "neither " if len(queries) > 1 else "no "
    return warn(
        what,
        f"{group} has {negation}{patterns} in the last hour",
        "fine where there were no requests; else see what the application logs: rolloutctl logs "
        "POLICY",
    )
