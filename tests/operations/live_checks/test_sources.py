"""What a start finds out about metrics that are not of CloudWatch."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.immutable import Immutable, field
from controller.operations.live_checks.sources import (
    frequency_checks,
    limit_checks,
    missing_check,
)
from tests.support.prometheus_policies import prometheus_policy

NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)


class Buckets(Immutable):
    """A source that counts above some limits only, and is scraped so often."""

    limits: tuple[str, ...] = ()
    every_s: int = 60
    seen: list[str] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        series: dict[MetricQuery, Series] = {}
        for query in queries:
            self.seen.append(query.statistic)
            limit = query.statistic.removeprefix("TC(").removesuffix(":)")
            if limit != query.statistic and limit not in self.limits:
                series[query] = Series(status=QueryStatus.ERROR, message=f"no bucket {limit}")
            else:
                stamps = range(span.start, span.end, self.every_s)
                series[query] = Series(dict.fromkeys(stamps, 1.0))
        return series


def policy(**changes: Mapping[str, Any]) -> Policy:
    return Policy.model_validate(prometheus_policy(**changes))


def limits(source: Buckets, of: Policy, **baselines: float) -> list[str]:
    """Return the texts of the failed checks of limits."""
    measured = {
        name: BaselineMeasurement(value, 1_000, 0, 3_600) for name, value in baselines.items()
    }
    return [check.text for check in limit_checks(source, of, measured, NOW)]


FROZEN = {"baseline": {"frozen": "usual", "window": "24h"}}


def test_a_limit_without_a_bucket_fails_the_check_of_its_criterion() -> None:
    assert limits(Buckets(("0.4",)), policy()) == ["criterion fast: no bucket 0.5; then start"]
    assert limits(Buckets(("0.5",)), policy()) == []


def test_the_limits_of_a_baseline_are_known_once_it_was_read() -> None:
    criteria = policy(no_slower=FROZEN)
    assert limits(Buckets(("0.5",)), criteria) == []
    assert limits(Buckets(("0.5",)), criteria, no_slower=0.1) == [
        "criterion no_slower: no bucket 0.2; then start",
        "criterion no_slower: no bucket 0.21; then start",
        "criterion no_slower: no bucket 0.42; then start",
    ]


def test_windows_that_are_compared_take_a_bucket_at_their_bound_too() -> None:
    windows = policy(fast={"judge": "threshold"})
    assert limits(Buckets(), windows) == ["criterion fast: no bucket 0.5; then start"]


def test_a_metric_that_is_scraped_every_other_minute_has_no_data_in_the_others() -> None:
    rare = [check.text for check in frequency_checks(Buckets(every_s=120), policy(), NOW)]
    assert rare[0] == (
        "metric requests: it has a sample every 2m: a minute without one has no data; scrape it "
        "once a minute or more often"
    )
    assert not list(frequency_checks(Buckets(every_s=60), policy(), NOW))


def test_nothing_is_read_where_all_metrics_are_of_cloudwatch() -> None:
    from tests.support.stage import short_policy

    source = Buckets()
    assert not list(limit_checks(source, short_policy(), {}, NOW))
    assert not list(frequency_checks(source, short_policy(), NOW))
    assert not source.seen


def test_a_metric_without_data_is_named_by_its_server_and_labels() -> None:
    check = missing_check("failures", policy().metrics["failures"], idle=False, proven=True)
    assert check.text == (
        "metric failures: prometheus prometheus.example.com had no http_requests_total with "
        "{code: ~5.., job: checkout, path: canary} in the last 24h; fine before there is something "
        "to count, else check the name and the labels"
    )
