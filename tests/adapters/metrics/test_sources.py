"""Several sources of metrics as one: whose queries a failure affects, and how old the data are."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest

from controller.adapters.metrics.sources import MetricSources
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy.sources import SourceSpec
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.units import from_unix
from controller.errors import MetricsError
from controller.immutable import Immutable, field
from controller.tools.simulation.clock import VirtualClock
from tests.support.rollouts import NOON as AT_NOON

NOON = int(AT_NOON.timestamp())
HOUR = Span(NOON, NOON + 3_600)
SERVER = PrometheusSource(prometheus="https://prometheus.example.com")
COUNT = MetricQuery("AWS/ApiGateway", "Count", "Sum", 60, (("ApiName", "orders"),))
OWN = MetricQuery("", "http_requests_total", "Sum", 60, (), SERVER)
SUM = MetricQuery("", "jobs_total", "Sum", 60, (), SERVER)


class Answers(Immutable):
    """A source with the points of some queries, by minutes after noon; or an error."""

    points: Mapping[MetricQuery, Iterable[int]] = field(default_factory=dict)
    error: Exception | None = None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        if self.error is not None:
            raise self.error
        return {
            query: Series({NOON + 60 * minute: 1.0 for minute in self.points[query]})
            for query in queries
            if query in self.points
        }


def sources(cloudwatch: Answers, other: Answers) -> MetricSources:
    """Return the sources at ten minutes past noon."""

    def open_source(source: SourceSpec) -> Answers:
        assert source == SERVER
        return other

    return MetricSources(cloudwatch, open_source, VirtualClock(from_unix(NOON + 600)))


def test_each_query_is_answered_by_the_source_that_it_names() -> None:
    both = sources(Answers({COUNT: [1]}), Answers({OWN: [2], SUM: [3]}))
    series = both.read([OWN, COUNT, SUM, OWN], HOUR)
    assert {query: list(one.points) for query, one in series.items()} == {
        COUNT: [NOON + 60], OWN: [NOON + 120], SUM: [NOON + 180],
    }  # fmt: skip


def test_cloudwatch_is_not_called_for_the_metrics_of_another_source() -> None:
    both = sources(Answers(error=AssertionError()), Answers({OWN: [2]}))
    assert both.read([OWN], HOUR)[OWN].points


def test_a_failing_cloudwatch_leaves_the_answers_of_another_source() -> None:
    both = sources(Answers(error=MetricsError("throttled")), Answers({OWN: [2]}))
    series = both.read([COUNT, OWN], HOUR)
    assert series[OWN].points
    assert (series[COUNT].status, series[COUNT].message) == (QueryStatus.ERROR, "throttled")
    with pytest.raises(MetricsError):  # the tick then names it once
        both.read([COUNT], HOUR)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            MetricsError("it could not be reached"),
            QueryStatus.ERROR,
            "prometheus prometheus.example.com: it could not be reached",
        ),
        (
            KeyError("x"),
            QueryStatus.ERROR,
            "prometheus prometheus.example.com failed with KeyError",
        ),
    ],
)
def test_a_source_that_fails_affects_its_own_queries_alone(
    error: Exception, status: QueryStatus, message: str
) -> None:
    series = sources(Answers({COUNT: [1]}), Answers(error=error)).read([OWN, COUNT], HOUR)
    assert series[COUNT].status is QueryStatus.COMPLETE
    assert series[OWN] == Series(status=status, message=message)


def test_a_refusal_of_credentials_is_told_from_a_failure() -> None:
    error = MetricsError("it refused the credentials")
    error.denied = True
    series = sources(Answers(), Answers(error=error)).read([OWN], HOUR)
    assert series[OWN].status is QueryStatus.FORBIDDEN


def test_a_query_that_its_source_leaves_out_is_no_empty_series() -> None:
    series = sources(Answers(), Answers({OWN: [2]})).read([OWN, SUM], HOUR)
    assert series[SUM].status is QueryStatus.ERROR


def test_the_lag_of_data_is_counted_from_the_end_of_the_newest_datapoint() -> None:
    """Of several reads the newest datapoint counts, whichever ends last."""
    metrics = sources(Answers({COUNT: [3, 8]}), Answers({OWN: [5]}))
    assert metrics.lag is None
    metrics.read([COUNT, OWN], HOUR)
    metrics.read([OWN], HOUR)
    assert metrics.lag == timedelta(minutes=1)


def test_a_tick_of_policies_on_cloudwatch_loads_nothing_of_prometheus() -> None:
    code = (
        "import sys, controller.cli.tick, controller.bootstrap.app; from pathlib import Path; "
        "from controller.policy_file.loader import load; load(Path('policies/checkout.yaml')); "
        "print([one for one in sys.modules if 'prometheus' in one])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
