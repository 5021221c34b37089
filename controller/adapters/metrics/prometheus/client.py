"""Queries of Prometheus' HTTP API: each is limited in time and size, and so are all of one read.

IAM: none here; `source` has it.
"""

import threading
import zlib
from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from time import monotonic
from typing import Final
from urllib.parse import urlencode

from controller.adapters.http import HttpsError, post
from controller.adapters.metrics.prometheus.samples import RawSeries, read_answer
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.errors import DeliveryError, MetricsError
from controller.immutable import Immutable
from controller.ports.account import Account
from controller.safe_text import printable

QUERY_S: Final = 10.0
# Of an answer as it is sent, and unpacked.
MOST_SENT: Final = 4 * 2**20
MOST_BYTES: Final = 16 * 2**20
# Of all answers of a read, for each day that is read. A tick makes one read for a rollout.
MOST_SENT_A_DAY: Final = 8 * MOST_SENT
MOST_BYTES_A_DAY: Final = 8 * MOST_BYTES
_PATH: Final = "/api/v1/query"
_MOST_REASON: Final = 200  # characters of an error of the server


class TooLongError(Exception):
    """The answer is too long; one for a shorter time may not be."""


class Result(Immutable):
    """The series of one answer. warnings: why some may be missing."""

    series: tuple[RawSeries, ...]
    warnings: tuple[str, ...]


class Budget:
    """What the answers of one read may have together, over so many days. Threads share it."""

    def __init__(self, days: int) -> None:
        self._most_sent, self._most_bytes = days * MOST_SENT_A_DAY, days * MOST_BYTES_A_DAY
        self._sent = self._bytes = 0
        self._counting = threading.Lock()

    def check(self) -> None:
        """Raise MetricsError where it is used up."""
        if self._sent >= self._most_sent or self._bytes >= self._most_bytes:
            raise MetricsError(
                f"no data: its answers together are longer than {self._most_sent // 2**20} MiB, "
                f"or {self._most_bytes // 2**20} MiB unpacked, the most that is read for one "
                "rollout at once: name more labels of its metrics, or judge fewer"
            )

    def add(self, sent: int = 0, unpacked: int = 0) -> None:
        """Count what was received, and what it was unpacked."""
        with self._counting:
            self._sent += sent
            self._bytes += unpacked


class PrometheusClient:
    """Sends the queries of one read of so many days, which has `within_s` seconds.

    Raises MetricsError where the token cannot be read.
    """

    def __init__(
        self, source: PrometheusSource, account: Account, within_s: float, days: int
    ) -> None:
        self._source, self._account = source, account
        self._within_s, self._budget = within_s, Budget(days)
        self._deadline = monotonic() + within_s
        self._authorization = self._read_token()
        self._url = source.prometheus.rstrip("/") + _PATH

    def query(self, query: str, at: float) -> Result:
        """Return the answer to `query` at second `at`.

        Raises TooLongError, and MetricsError for every other answer than a result.
        """
        self._budget.check()
        left = min(QUERY_S, self._deadline - monotonic())
        if left <= 0:
            raise MetricsError(
                f"no data: the {self._within_s:g} s are over that one read of a rollout has, and "
                "no time was left for all of its queries"
            )
        body = urlencode(
            {"query": query, "time": f"{at:.3f}", "timeout": f"{ceil(left)}s"}
        ).encode()
        try:
            answer = post(
                self._url,
                body,
                self._headers(body),
                within_s=left,
                private={self._source.host},
                egress=self._account.egress,
                most_bytes=MOST_SENT,
            )
        except HttpsError as error:
            raise MetricsError(str(error)) from error
        self._budget.add(sent=len(answer.body))
        if len(answer.body) >= MOST_SENT:
            raise TooLongError("its answer is too long")
        if answer.flaw:
            raise MetricsError(f"{self._source.host} {answer.flaw}")
        _check_status(answer.status)
        text = _unpacked(answer.body)
        self._budget.add(unpacked=len(text))
        return _result(answer.status, text)

    def _headers(self, body: bytes) -> Mapping[str, str]:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept-Encoding": "gzip",
            **self._authorization,
        }
        if self._source.workspace is None:
            return headers
        region, _ = self._source.workspace
        return self._account.signed("aps", region, self._url, body, headers)

    def _read_token(self) -> dict[str, str]:
        if self._source.token is None:
            return {}
        try:
            token = self._account.read_secret(self._source.token)
        except DeliveryError as error:
            raise MetricsError(str(error)) from error
        if self._source.user is None:
            return {"Authorization": f"Bearer {token}"}
        pair = b64encode(f"{self._source.user}:{token}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


def _check_status(status: int) -> None:
    """Raise MetricsError where the answer is none of the API."""
    if status in (401, 403):
        error = MetricsError(f"it refuses the credentials of its queries: the answer was {status}")
        error.denied = True
        raise error
    if 300 <= status < 400:
        raise MetricsError(f"the answer was {status}; redirects are not followed")
    if status not in (200, 400, 422, 503):  # the others are from something in front of it
        raise MetricsError(f"the answer was {status}")


def _result(status: int, text: bytes) -> Result:
    answer = read_answer(text)
    if status != 200 or answer.status != "success":
        reason = printable(" ".join(answer.error.split()))[:_MOST_REASON]
        kind = printable(answer.error_type)[:30]
        raise MetricsError(f"it answered {status}, {kind}: {reason}")
    data = answer.data
    if data is None or data.result_type not in ("matrix", "vector"):
        raise MetricsError("its result is no series")
    return Result(tuple(data.result), tuple(answer.warnings))


def _unpacked(body: bytes) -> bytes:
    """Return the body without its compression. Raises TooLongError."""
    if not body.startswith(b"\x1f\x8b"):  # JSON begins otherwise
        return body
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise MetricsError("its answer cannot be unpacked") from error
    if unpacking.unconsumed_tail:
        raise TooLongError("its answer is too long")
    if not unpacking.eof:
        raise MetricsError("its answer broke off")
    return text
