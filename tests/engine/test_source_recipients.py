"""The token of a source of metrics goes only where the list of recipients allows."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from controller.core.judge.queries import QueryPlan
from controller.core.message import RecipientList, resources_of
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.engine.observe import Observer, PartialObservation
from controller.errors import StoreError
from controller.immutable import Immutable, field
from controller.tools.simulation.clock import VirtualClock
from tests.support.core import UnreadableTarget
from tests.support.other_sources import OTHERS
from tests.support.rollouts import NOON, a_rollout

SOURCE = PrometheusSource.model_validate(
    {"prometheus": "https://metrics.example.com:9090", "token": {"secret": "prom"}}
)
OPEN = PrometheusSource(prometheus="https://open.example.com")
SPAN = Span(0, 600)
USED = ("secretsmanager:secret:prom", "prometheus:metrics.example.com")


class Reads(Immutable):
    """A source that answers all, and remembers what."""

    seen: list[MetricQuery] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        queries = list(queries)
        self.seen.extend(queries)
        return dict.fromkeys(queries, Series({0: 1.0}))


class Listed:
    """A store with this list of recipients."""

    def __init__(self, listed: Mapping[str, tuple[str, ...]] | StoreError | None) -> None:
        self._listed = listed

    def recipients(self) -> RecipientList | None:
        if isinstance(self._listed, StoreError):
            raise self._listed
        return None if self._listed is None else RecipientList(self._listed)


def read(
    store: Listed, *pairs: tuple[str, PrometheusSource]
) -> tuple[dict[str, Series], list[MetricQuery]]:
    """Return the series that rollouts with these sources get, by host, and what was read."""
    partials = []
    for rollout_id, source in pairs:
        query = MetricQuery("", "requests_total", "Sum", 60, (), source)
        partials.append(
            PartialObservation(
                a_rollout(rollout_id),
                NOON,
                UnreadableTarget(""),
                True,
                QueryPlan({"q": query}, SPAN),
            )
        )
    reads = Reads()
    observer: Any = Observer(store, None, reads, VirtualClock(NOON), OTHERS, OTHERS, OTHERS)  # type: ignore[arg-type]
    measured = observer.measure(partials)
    series = {query.source.host: one for query, one in measured.series.items()}
    return series, reads.seen


def test_a_source_uses_its_secret_and_the_host_that_gets_it() -> None:
    assert resources_of(SOURCE) == USED
    assert resources_of(OPEN) == ()


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(None, id="there is no list"),
        pytest.param({"checkout": USED}, id="it gives the policy both"),
        pytest.param({"*": USED}, id="it gives every policy both"),
    ],
)
def test_a_source_that_a_policy_may_use_is_read(
    listed: Mapping[str, tuple[str, ...]] | None,
) -> None:
    series, _ = read(Listed(listed), ("checkout#1", SOURCE))
    assert series["metrics.example.com"].points


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        pytest.param({"orders": USED}, "does not give checkout the use of", id="of another policy"),
        pytest.param({"checkout": USED[:1]}, USED[1], id="the secret, and another host"),
        pytest.param(StoreError("it is locked"), "it is locked", id="the list cannot be read"),
    ],
)
def test_no_token_is_sent_where_the_list_does_not_allow_it(
    listed: Mapping[str, tuple[str, ...]] | StoreError, message: str
) -> None:
    series, seen = read(Listed(listed), ("checkout#1", SOURCE), ("checkout#2", OPEN))
    assert series["metrics.example.com"].status is QueryStatus.ERROR
    assert message in series["metrics.example.com"].message
    assert series["open.example.com"].points
    assert [one.source for one in seen] == [OPEN]
