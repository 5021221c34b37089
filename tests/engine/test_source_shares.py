"""Which rollouts of a tick share a read of metrics."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from controller.core.judge.queries import QueryPlan
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.engine.lease import LeasedRollout
from controller.engine.observe import Observer, PartialObservation
from controller.engine.visitor import Looked, batches
from controller.immutable import Immutable, field
from controller.tools.simulation.clock import VirtualClock
from tests.support.core import UnreadableTarget
from tests.support.other_sources import OTHERS
from tests.support.rollouts import NOON, a_rollout


class Reads(Immutable):
    """A source that answers all, and remembers each read."""

    of: list[set[str]] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        queries = list(queries)
        self.of.append({query.name for query in queries})
        return dict.fromkeys(queries, Series({0: 1.0}))


class NoList:
    """A store without a list of recipients."""

    def recipients(self) -> None:
        return None


def looked(name: str, *queries: MetricQuery) -> Looked:
    """Return a rollout whose target was read, and which needs these queries."""
    rollout = a_rollout(f"{name}#1")
    plan = QueryPlan({query.name: query for query in queries}, Span(0, 600))
    observed = PartialObservation(rollout, NOON, UnreadableTarget(""), True, plan)
    return Looked(LeasedRollout(rollout), observed)


def test_a_rollout_with_another_source_than_cloudwatch_shares_no_read() -> None:
    plain = partial(MetricQuery, "", statistic="Sum", period_s=60, dimensions=())
    scraped = partial(plain, source=PrometheusSource(prometheus="https://metrics.example.com"))
    rollouts = [
        looked("a", plain(name="a")),
        looked("b", scraped(name="b")),
        looked("c", plain(name="c")),
        looked("d", scraped(name="d"), plain(name="also of d")),
    ]
    reads = Reads()
    store: Any = NoList()
    targets: Any = None
    observer = Observer(store, targets, reads, VirtualClock(NOON), OTHERS, OTHERS, OTHERS)
    for batch in batches(rollouts):
        observer.measure([one.partial for one in batch])
    assert reads.of == [{"a", "c"}, {"b"}, {"d", "also of d"}]
