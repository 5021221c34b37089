"""Policies as other people write them, in the accounts that they are written for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from controller.core.observation import (
    AlarmReading,
    AlarmState,
    LogQuery,
    MetricQuery,
    Series,
    Span,
    TargetReading,
    UpdateStatus,
)
from controller.core.policy import Metric, Policy
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.operations.checks import Check, CheckLevel
from controller.operations.live_checks import LiveChecks
from controller.ports.metrics import MetricListing
from controller.ports.target import NameWarning, Obstacle
from tests.support.parsed import PolicyProblems, parse
from tests.support.rollouts import NOON
from tests.tables.strangers import ACCOUNTS, RIGHT, WRONG, document, row_id

AT_ZERO = TargetReading("target", 0, "", "", UpdateStatus.SUCCESSFUL)


class Account:
    """CloudWatch in the account of a row: every series had the same traffic all day."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._series: Sequence[Mapping[str, Any]] = [
            *ACCOUNTS[row["base"]]["series"], *row.get("account", ()),
        ]  # fmt: skip

    def read(self, queries: Iterable[MetricQuery], span: Span) -> dict[MetricQuery, Series]:
        """Return a datapoint in each period of the series that has any request."""
        return {query: Series(self._points(query, span)) for query in queries}

    def _points(self, query: MetricQuery, span: Span) -> dict[int, float]:
        for one in self._series:
            name = one["namespace"], one["name"], tuple(sorted(one["dimensions"].items()))
            if name != (query.namespace, query.name, query.dimensions):
                continue
            requests = one.get("sum", one.get("requests", 0))
            value = requests * query.period_s / 86_400
            if query.statistic not in ("Sum", "SampleCount"):
                value = one.get(query.statistic, one.get("p95", 1.0))
            starts = range(span.start, span.end, query.period_s)
            return dict.fromkeys(starts, value) if requests else {}
        return {}

    def similar(self, metric: Metric) -> MetricListing:
        """Return what CloudWatch lists."""
        inside = [one for one in self._series if one["namespace"] == metric.namespace]
        named = [one["dimensions"] for one in inside if one["name"] == metric.name]
        return MetricListing(named, () if named else sorted({one["name"] for one in inside}))

    def states(self, alarms: Iterable[str]) -> dict[str, AlarmReading]:
        """Return that every alarm is OK."""
        return dict.fromkeys(alarms, AlarmReading(AlarmState.OK))

    def count(self, queries: Iterable[LogQuery]) -> dict[LogQuery, Series]:
        """Return one event for each pattern."""
        return {query: Series({query.span.start: 1.0}) for query in queries}

    def exposures(self, _identity: str, _locks: Iterable[str]) -> tuple[()]:
        """Return no rollout: the weight was 0 all day."""
        return ()


class Target:
    """A target at 0% that nothing is wrong with."""

    def name_warnings(self) -> Sequence[NameWarning]:
        """Return none."""
        return ()

    def obstacles(self) -> Sequence[Obstacle]:
        """Return none."""
        return ()


def resolved(row: Mapping[str, Any]) -> Policy:
    """Return the policy of `row` with what a start would find. Raises PolicyProblems."""
    policy = parse(document(row))
    target, versions = policy.target, ACCOUNTS[row["base"]].get("versions", {})
    if isinstance(target, LambdaAlias):
        target = target.with_versions(
            target.canary or versions["canary"], target.stable or versions["stable"]
        )
    return policy.resolved(target)


def checks(row: Mapping[str, Any]) -> Iterator[Check]:
    """Yield what `start` finds in the account of `row`."""
    account: Any = Account(row)
    target: Any = Target()
    live = LiveChecks(
        policy=resolved(row), target=target, metrics=account, exposures=account,
        catalogue=account, alarms=account, logs=account, starting=True,
    )  # fmt: skip
    yield from live.checks(AT_ZERO, NOON)


# Nothing measures the other path by a metric of the policy, so a bound is compared with nothing.
_NOT_FOUND = {
    "bound-in-seconds-for-own-milliseconds",
    "bound-in-microseconds-for-own-milliseconds",
    "fixed-baseline-in-seconds",
}
# A new application that has published nothing yet: `--despite` is for it.
_PUBLISHED_NOTHING = "own-metrics-without-dimensions"


@pytest.mark.parametrize("row", [one for one in WRONG if one["found"] == "account"], ids=row_id)
def test_a_wrong_policy_is_refused_or_warned_about_where_the_account_is_read(
    row: Mapping[str, Any],
) -> None:
    if row["id"] in _NOT_FOUND:
        pytest.xfail("no metric of the policy measures the stable path")
    section, name, *_ = row["place"].split(".")
    lines = [
        check.text for check in checks(row) if check.level in (CheckLevel.FAIL, CheckLevel.WARN)
    ]
    assert any(name in line for line in lines), (section, lines)


@pytest.mark.parametrize("row", RIGHT, ids=row_id)
def test_no_right_policy_is_refused(row: Mapping[str, Any]) -> None:
    try:
        found = list(checks(row))
    except PolicyProblems:
        pytest.skip("refused by the file, for another reason")
    failed = [one.text for one in found if one.level is CheckLevel.FAIL]
    if row["id"] == _PUBLISHED_NOTHING:
        assert all("publish it once" in one for one in failed)
    else:
        assert failed == []
