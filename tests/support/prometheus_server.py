"""A real Prometheus server on loopback, with TLS, whose samples a test writes or lets it scrape.

Debian's package `prometheus` has it. Samples are written by remote write (protocol 1.0: protobuf in
a block of snappy), so that they may be of any time, and of native histograms.
"""

import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.https_stub import certificate

needs_server = pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="no Prometheus server is installed: apt-get install prometheus",
)

_STARTS_WITHIN_S = 30
_CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
storage: {tsdb: {out_of_order_time_window: 2h}}
scrape_configs:
"""
_JOB = """\
- job_name: shop
  static_configs: [{targets: [%s]}]
"""

Labels = Mapping[str, str]


@dataclass
class NativeHistogram:
    """A native histogram since its process started. schema: buckets grow by 2^(2^-schema)."""

    schema: int
    buckets: Mapping[int, int]
    total: float


Samples: TypeAlias = Sequence[tuple[float, float | NativeHistogram]]


@dataclass
class PrometheusServer:
    """A running server. process: its own; a test may stop it and let it go on."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    trusted: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def write(
        self, *series: tuple[Labels, Sequence[tuple[float, float | NativeHistogram]]]
    ) -> None:
        """Store samples, each with its second. A label `__name__` is the name."""
        body = b"".join(_field(1, _series(labels, samples)) for labels, samples in series)
        self._post("/api/v1/write", _snappy(body), "application/x-protobuf")

    def scrape(self, *ports: int) -> None:
        """Scrape these ports from now on: reload the configuration."""
        targets = _JOB % ", ".join(f'"localhost:{port}"' for port in ports)
        (self.folder / "prometheus.yml").write_text(_CONFIG + targets)
        self._post("/-/reload", b"", "text/plain")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the server answer nothing for a while."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @property
    def certificate(self) -> Path:
        """The certificate of the server and its key."""
        return self.folder / "localhost.pem"

    def is_ready(self) -> bool:
        try:
            self._post("/-/ready", b"", "text/plain", "GET")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _post(self, path: str, body: bytes, kind: str, method: str = "POST") -> None:
        headers = {
            "Content-Type": kind,
            "Content-Encoding": "snappy" if body else "identity",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310 - https
        with urllib.request.urlopen(request, context=self.trusted, timeout=10):  # noqa: S310
            pass


@contextmanager
def prometheus_server(folder: Path) -> Iterator[PrometheusServer]:
    """Yield a server that stores in `folder`; its certificate is `folder`/localhost.pem."""
    signed = certificate(folder)
    (folder / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {signed}, key_file: {signed}}}\n"
    )
    (folder / "prometheus.yml").write_text(_CONFIG + "  []\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--web.config.file={folder / 'web.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=30d",
        "--web.enable-remote-write-receiver",
        "--web.enable-lifecycle",
        "--enable-feature=native-histograms",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = PrometheusServer(port, folder, process, ssl.create_default_context(cafile=str(signed)))
    try:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no server: {(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()


# --- Remote write ---------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _series(labels: Labels, samples: Samples) -> bytes:
    out = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(labels.items())
    )
    for at, value in samples:
        stamp = round(at * 1_000)
        if isinstance(value, NativeHistogram):
            out += _field(4, _histogram(value, stamp))
        else:
            out += _field(2, _double(1, value) + _integer(2, stamp))
    return out


def _histogram(histogram: NativeHistogram, stamp: int) -> bytes:
    """Return a histogram of positive buckets, each of them a span by itself."""
    spans, deltas, expected, before = b"", b"", 0, 0
    for index, count in sorted(histogram.buckets.items()):
        spans += _field(11, _integer(1, _zigzag(index - expected)) + _integer(2, 1))
        deltas += _varint(_zigzag(count - before))
        expected, before = index + 1, count
    return (
        _integer(1, sum(histogram.buckets.values()))
        + _double(3, histogram.total)
        + _integer(4, _zigzag(histogram.schema))
        + _double(5, 1e-128)
        + _integer(6, 0)
        + spans
        + _field(12, deltas)
        + _integer(15, stamp)
    )


def _snappy(body: bytes) -> bytes:
    """Return `body` as a block of snappy that compresses nothing."""
    out = _varint(len(body))
    for begin in range(0, len(body), 65_536):
        part = body[begin : begin + 65_536]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return out
