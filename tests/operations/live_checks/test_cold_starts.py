"""What a start says about cold starts and the cost of reads, by kind of target."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from controller.core.observation import MetricQuery, Span
from controller.immutable import Immutable
from controller.operations.checks import CheckLevel
from controller.operations.live_checks.target import cold_start_checks, paid_reads_checks
from controller.policy_file.loader import load
from tests.support.core import Series

NOW: Final = datetime(2026, 1, 6, 9, tzinfo=UTC)


class Concurrency(Immutable):
    """A metric source in which so many environments of each function were busy at once."""

    most: float | None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        points = {} if self.most is None else {span.start: 1.0, span.start + 300: self.most}
        return {query: Series(points) for query in queries}


@pytest.mark.parametrize(
    ("most", "number"), [(12.0, "up to 12 each time"), (None, "no metric counts")]
)
def test_a_variable_makes_both_paths_cold_at_each_change(most: float | None, number: str) -> None:
    policy = load(Path("policies/execution-api.yaml"))
    (check,) = cold_start_checks(Concurrency(most), policy, NOW)
    assert check.level is CheckLevel.WARN
    assert "on both paths: 3 changes in this rollout, one more for a rollback" in check.detail
    assert number in check.detail


def test_an_alias_keeps_the_stable_version_warm_and_a_load_balancer_everything() -> None:
    (check,) = cold_start_checks(Concurrency(12.0), load(Path("policies/lambda-alias.yaml")), NOW)
    assert (check.level, "stable version keeps" in check.detail) == (CheckLevel.OK, True)
    balanced = load(Path("policies/alb-weights.yaml"))
    assert not list(cold_start_checks(Concurrency(12.0), balanced, NOW))


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (90.0, "up to 90 environments of the application: every 45s, 2 a second, $0.035 a day"),
        (
            None,
            "for each environment of the application: every 45s, 0.022 a second, $0.00038 a day",
        ),
    ],
)
def test_appconfig_makes_nothing_cold_and_its_reads_have_a_price(
    most: float | None, words: str
) -> None:
    policy = load(Path("policies/appconfig.yaml"))
    assert not list(cold_start_checks(Concurrency(most), policy, NOW))
    (check,) = paid_reads_checks(Concurrency(most), policy, NOW)
    assert check.level is CheckLevel.OK
    assert words in check.detail
    assert not list(paid_reads_checks(Concurrency(most), load(Path("policies/checkout.yaml")), NOW))
