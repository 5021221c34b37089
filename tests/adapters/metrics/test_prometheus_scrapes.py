"""A real Prometheus server that scrapes an application: it dies, and its server is reloaded."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controller.adapters.metrics.prometheus.source import PrometheusMetrics
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.ports.account import Egress
from tests.support.accounts import OneClientAccount
from tests.support.core import QueryStatus
from tests.support.prometheus_server import PrometheusServer, needs_server, prometheus_server

pytestmark = [needs_server, pytest.mark.slow]

# A period, so that a test takes seconds; a scrape is every second.
PERIOD_S = 5
PER_SCRAPE = 10


@contextmanager
def application() -> Iterator[int]:
    """Yield the port of an application that serves 10 requests from one scrape to the next."""
    scrapes = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scrapes[0] += 1
            body = f"http_requests_total {PER_SCRAPE * scrapes[0]}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrometheusServer]:
    with prometheus_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running


def read(server: PrometheusServer) -> Series:
    """Return the requests of the last minute."""
    source = PrometheusSource(prometheus=server.url)
    account = OneClientAccount(egress=Egress(private_names=frozenset({"localhost"})))
    query = MetricQuery("", "http_requests_total", "Sum", PERIOD_S, (), source)
    end = int(time.time()) // PERIOD_S * PERIOD_S
    return PrometheusMetrics(source, account).read([query], Span(end - 60, end))[query]


def read_until(server: PrometheusServer, condition: Callable[[Series], bool]) -> Series:
    """Return the first read for which `condition` holds."""
    deadline = time.monotonic() + 40
    while not condition(series := read(server)):
        assert time.monotonic() < deadline, series
        time.sleep(0.5)
    return series


def test_scraped_requests_are_counted_and_a_dead_application_has_no_data(
    server: PrometheusServer,
) -> None:
    with application() as port:
        server.scrape(port)
        series = read_until(server, lambda one: len(one.points) >= 3)
        whole = list(series.points.values())[1:]
        assert all(abs(count - PERIOD_S * PER_SCRAPE) <= 2 * PER_SCRAPE for count in whole)
    newest = max(read(server).points)
    time.sleep(2 * PERIOD_S + 3)
    later = read(server)
    assert later.status is QueryStatus.COMPLETE
    assert max(later.points) <= newest + PERIOD_S, "minutes without a scrape have no data"


def test_a_reload_with_another_target_counts_no_request_that_was_served_before(
    server: PrometheusServer,
) -> None:
    with application() as first, application() as second:
        server.scrape(first)
        read_until(server, lambda one: len(one.points) >= 1)
        server.scrape(first, second)
        series = read_until(
            server, lambda one: max(one.points.values()) > 1.5 * PERIOD_S * PER_SCRAPE
        )
        assert max(series.points.values()) <= 2 * (PERIOD_S + 1) * PER_SCRAPE


def test_a_server_that_is_killed_is_an_error(server: PrometheusServer) -> None:
    server.process.kill()
    server.process.wait()
    series = read(server)
    assert series.status is QueryStatus.ERROR
    assert "localhost could not be reached" in series.message
