"""Queries of Prometheus' HTTP API, each of them limited in time and size.

IAM: none here; `source` has it.
"""

import zlib
from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from time import monotonic
from typing import Final
from urllib.parse import urlencode

from controller.adapters.http.request import HttpsError, post
from controller.adapters.metrics.prometheus.samples import Answer, RawSeries, read_answer
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.errors import DeliveryError, MetricsError
from controller.immutable import Immutable
from controller.ports.account import Account
from controller.safe_text import printable

QUERY_S: Final = 10.0
# Of an answer as it is sent, and unpacked.
MOST_SENT: Final = 4 * 2**20
MOST_BYTES: Final = 16 * 2**20
_PATH: Final = "/api/v1/query"
_MOST_REASON: Final = 200  # characters of an error of the server


class TooLongError(Exception):
    """The answer is too long; one for a shorter time may not be."""


class Result(Immutable):
    """The series of one answer. warnings: why some may be missing."""

    series: tuple[RawSeries, ...]
    warnings: tuple[str, ...]


class PrometheusClient:
    """Sends the queries of one read, which has until `deadline` of the monotonic clock.

    Raises MetricsError where the token cannot be read.
    """

    def __init__(self, source: PrometheusSource, account: Account, within_s: float) -> None:
        self._source, self._account = source, account
        self._deadline = monotonic() + within_s
        self._authorization = self._read_token()
        self._url = source.prometheus.rstrip("/") + _PATH

    def query(self, query: str, at: float) -> Result:
        """Return the answer to `query` at second `at`.

        Raises TooLongError, and MetricsError for every other answer than a result.
        """
        left = min(QUERY_S, self._deadline - monotonic())
        if left <= 0:
            raise MetricsError("no time was left for all of its queries")
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
        if len(answer.body) >= MOST_SENT:
            raise TooLongError("its answer is too long")
        if answer.flaw:
            raise MetricsError(f"{self._source.host} {answer.flaw}")
        return _result(answer.status, answer.body)

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


def _result(status: int, body: bytes) -> Result:
    if status in (401, 403):
        error = MetricsError(f"it refuses the credentials of its queries: the answer was {status}")
        error.denied = True
        raise error
    if 300 <= status < 400:
        raise MetricsError(f"the answer was {status}; redirects are not followed")
    if status not in (200, 400, 422, 503):  # the others are from something in front of it
        raise MetricsError(f"the answer was {status}")
    answer = read_answer(_unpacked(body))
    if status != 200 or answer.status != "success":
        raise MetricsError(_refusal(status, answer))
    data = answer.data
    if data is None or data.result_type not in ("matrix", "vector"):
        raise MetricsError("its result is no series")
    return Result(tuple(data.result), tuple(answer.warnings))


def _refusal(status: int, answer: Answer) -> str:
    reason = printable(" ".join(answer.error.split()))[:_MOST_REASON]
    return f"it answered {status}, {printable(answer.error_type)[:30]}: {reason}"


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
