"""An application whose requests are counted, for the contract of metric sources."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import ceil, inf, log2
from typing import Any, Final
from unittest.mock import patch

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.metrics.prometheus import client
from controller.adapters.metrics.prometheus.source import PrometheusMetrics
from controller.core.observation import MetricQuery
from controller.core.policy import SecretReference
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.units import from_unix
from controller.ports.account import Egress
from controller.ports.metrics import MetricSource
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import client_error
from tests.adapters.contracts.benches import MetricsBench, simulated_metrics
from tests.support.accounts import OneClientAccount
from tests.support.https_stub import Host, responds
from tests.support.prometheus_server import Labels, NativeHistogram, PrometheusServer

_NEVER: Final = 10**9

# --- CloudWatch -----------------------------------------------------------------------------------


@dataclass
class CloudWatchBench:
    """The simulated CloudWatch; an application puts a value for each request."""

    service: MetricsBench = field(default_factory=simulated_metrics)
    _waiting: list[tuple[int, Any]] = field(default_factory=list)
    _late_from: int = _NEVER
    _failing: str = ""

    @property
    def start(self) -> int:
        return self.service.start

    def serve(
        self, minute: int, times: Sequence[float], *, failed: int = 0, path: str = "canary"
    ) -> None:
        second = self.start + 60 * minute + 30
        values = {"requests": [1.0] * len(times), "failures": [1.0] * failed, "latency": times}
        for name, own in values.items():
            if own:
                self._waiting.append((minute, (name, (("Path", path),), second, own)))

    def restart(self, minute: int) -> None:
        """Change nothing: a process that puts values has nothing to reset."""

    def unseen(self, minute: int) -> None:
        """Change nothing: a minute without values has no datapoint."""

    def delay(self, minute: int) -> None:
        self._late_from = minute

    def query(
        self, what: str, statistic: str = "Sum", period_s: int = 60, path: str = "canary"
    ) -> MetricQuery:
        return MetricQuery("Shop", what, statistic, period_s, (("Path", path),))

    def source(self) -> MetricSource:
        for minute, values in self._waiting:
            if minute < self._late_from:
                self.service.put("Shop", *values)
        self._waiting = [one for one in self._waiting if one[0] >= self._late_from]
        self._late_from = _NEVER
        return CloudWatchMetrics(lambda: self if self._failing else self.service.client)

    def get_metric_data(self, **_request: Any) -> Any:
        raise client_error("GetMetricData", self._failing, "no")

    @contextmanager
    def silenced(self) -> Iterator[None]:
        self._failing = "InternalServiceFault"
        yield

    @contextmanager
    def refused(self) -> Iterator[None]:
        self._failing = "AccessDenied"
        yield


# --- Prometheus -----------------------------------------------------------------------------------

SCRAPE_S: Final = 15
_BOUNDS: Final = (0.05, 0.25, 0.5, 1.0, 5.0, inf)
_REQUESTS, _FAILURES = "http_requests_total", "http_failures_total"
_LATENCY = "http_request_duration_seconds"
_NAMES: Final = {"requests": _REQUESTS, "failures": _FAILURES, "latency": _LATENCY}
_LOCAL: Final = Egress(private_names=frozenset({"localhost"}))
_numbers = count()


@dataclass
class PrometheusBench:
    """A real server, whose samples are those of scrapes every 15 s; a job for each bench.

    native: the histograms are native ones. stub: takes the place of the server that refuses.
    """

    server: PrometheusServer
    start: int
    stub: Host
    native: bool = False
    _job: str = field(default_factory=lambda: f"shop-{next(_numbers)}")
    _served: list[tuple[int, str, Sequence[float], int]] = field(default_factory=list)
    _restarts: list[int] = field(default_factory=list)
    _unseen: set[int] = field(default_factory=set)
    _late_from: int = _NEVER
    _written: float = -inf
    _url: str = ""

    def serve(
        self, minute: int, times: Sequence[float], *, failed: int = 0, path: str = "canary"
    ) -> None:
        self._served.append((minute, path, times, failed))

    def restart(self, minute: int) -> None:
        self._restarts.append(minute)

    def unseen(self, minute: int) -> None:
        self._unseen.add(minute)

    def delay(self, minute: int) -> None:
        self._late_from = minute

    def query(
        self, what: str, statistic: str = "Sum", period_s: int = 60, path: str = "canary"
    ) -> MetricQuery:
        labels = (("job", self._job), ("path", path))
        source = PrometheusSource(
            prometheus=self._url or self.server.url,
            token=SecretReference(environment="TOKEN"),
        )
        return MetricQuery("", _NAMES[what], statistic, period_s, labels, source)

    def source(self) -> MetricSource:
        self._scrape()
        account = OneClientAccount(
            secret=lambda _: "token",
            egress=_LOCAL,
            clock=VirtualClock(from_unix(self.start + 30 * 60)),
        )
        source = self.query("requests").source
        assert isinstance(source, PrometheusSource)
        return PrometheusMetrics(source, account)

    @contextmanager
    def silenced(self) -> Iterator[None]:
        self._scrape()
        with patch.object(client, "QUERY_S", 0.3), self.server.stopped():
            yield

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Prometheus knows no rights: a proxy in front of it refuses."""
        self._url, self.stub.answer = self.stub.url(""), responds(403, b"no")
        yield

    def _scrape(self) -> None:
        """Write the samples of each scrape that is not written yet, and not late."""
        end = self.start + 60 * min(self._late_from, 30)
        stamps = [
            at + 0.123
            for at in range(self.start - 300, end, SCRAPE_S)
            if at > self._written and (at - self.start) // 60 not in self._unseen
        ]
        self._written, self._late_from = end - SCRAPE_S, _NEVER
        if not stamps or not self._served:
            return
        series: dict[tuple[tuple[str, str], ...], list[tuple[float, Any]]] = {}
        for at in stamps:
            for path in dict.fromkeys(path for _, path, _, _ in self._served):
                for labels, value in self._exposed(path, (at - self.start) / 60):
                    series.setdefault(tuple(labels.items()), []).append((at, value))
        self.server.write(*((dict(labels), samples) for labels, samples in series.items()))

    def _exposed(self, path: str, now: float) -> Iterator[tuple[Labels, float | NativeHistogram]]:
        """Yield what the process of a path exposes: what it served since it began."""
        began = max((minute for minute in self._restarts if minute <= now), default=-10)
        served = [one for one in self._served if one[1] == path and began <= one[0] + 0.5 <= now]
        times = [second for one in served for second in one[2]]
        failed = sum(one[3] for one in served)
        target = {"job": self._job, "instance": f"{path}:80"}
        labels = {**target, "path": path}
        yield {"__name__": "up", **target}, 1.0
        yield {"__name__": _REQUESTS, **labels}, float(len(times))
        if failed:
            yield {"__name__": _FAILURES, **labels}, float(failed)
        if self.native:
            buckets: dict[int, int] = {}
            for second in times:
                index = ceil(8 * log2(second))
                buckets[index] = buckets.get(index, 0) + 1
            yield {"__name__": _LATENCY, **labels}, NativeHistogram(3, buckets, sum(times))
            return
        for bound in _BOUNDS:
            name = "+Inf" if bound == inf else f"{bound}"
            within = sum(second <= bound for second in times)
            yield {"__name__": f"{_LATENCY}_bucket", **labels, "le": name}, float(within)
