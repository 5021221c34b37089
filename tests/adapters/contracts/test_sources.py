"""The contract of metric sources, on the simulated CloudWatch and on a real Prometheus server."""

import time
from collections.abc import Iterator

import pytest

from tests.adapters.contracts.source_benches import CloudWatchBench, PrometheusBench
from tests.adapters.contracts.sources import SourceBench, SourceContract
from tests.support.https_stub import host
from tests.support.prometheus_server import PrometheusServer, needs_server, prometheus_server


class TestCloudWatch(SourceContract):
    @pytest.fixture
    def bench(self) -> SourceBench:
        return CloudWatchBench()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real server, for all tests of this file."""
    with prometheus_server(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture
def real_bench(
    server: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrometheusBench]:
    """An application that the server scrapes, since an hour ago."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    start = int(time.time() - 3_000) // 300 * 300
    with host(server.certificate) as stub:
        yield PrometheusBench(server, start, stub)


@needs_server
class TestPrometheus(SourceContract):
    @pytest.fixture
    def bench(self, real_bench: PrometheusBench) -> SourceBench:
        return real_bench


@needs_server
class TestPrometheusWithNativeHistograms(SourceContract):
    @pytest.fixture
    def bench(self, real_bench: PrometheusBench) -> SourceBench:
        real_bench.native = True
        return real_bench
