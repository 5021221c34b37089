"""A source of metrics of another package: the timeseries of Datadog's API, a minute each.

IAM: none; the keys are a secret, which rolloutctl reads.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from controller.adapters.http import HttpsError, post
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy.notify import Host, SecretField
from controller.core.policy.sources import SourceSpec
from controller.errors import DeliveryError, MetricsError
from controller.ports.account import Account

_PATH: Final = "/api/v2/query/timeseries"
_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 2**20
# How Datadog aggregates what CloudWatch calls a statistic; a percentile is one by its name.
_COUNTS: Final = {"Sum": "sum:{}.as_count()", "SampleCount": "count:{}.as_count()"}
_LEVELS: Final = {"Average": "avg:{}", "Minimum": "min:{}", "Maximum": "max:{}"}


class DatadogSource(SourceSpec):
    """A site of Datadog."""

    example: ClassVar[str] = "{datadog: api.datadoghq.eu, keys: {secret: datadog}}"
    kind: ClassVar[str] = "datadog"
    opened_by: ClassVar[str] = "datadog_source:DatadogMetrics"
    counts_above: ClassVar[bool] = False

    datadog: Host = Field(description="The API of the site.")
    keys: SecretField = Field(description="Where the API key and the application key are kept.")

    @property
    def host(self) -> str:
        """The host that gets the keys."""
        return self.datadog

    @property
    def secret_reference(self) -> SecretField:
        """The keys: the role of a tick may read them."""
        return self.keys


class DatadogMetrics:
    """`MetricSource` of one site."""

    def __init__(self, source: DatadogSource, account: Account) -> None:
        self._source, self._account = source, account

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query. Raises MetricsError where the keys cannot be read."""
        try:
            keys = self._account.read_secret(self._source.keys).split()
        except DeliveryError as error:
            raise MetricsError(str(error)) from error
        if len(keys) != 2:
            raise MetricsError(f"{self._source.keys.display_name} has no two keys")
        return {query: self._read(query, span, *keys) for query in queries}

    def _read(self, query: MetricQuery, span: Span, api_key: str, app_key: str) -> Series:
        try:
            answer = post(
                f"https://{self._source.datadog}{_PATH}",
                json.dumps(_request(query, span)).encode(),
                {
                    "Content-Type": "application/json",
                    "DD-API-KEY": api_key,
                    "DD-APPLICATION-KEY": app_key,
                },
                within_s=_WITHIN_S,
                private={self._source.datadog},
                egress=self._account.egress,
                most_bytes=_MOST_BYTES,
            )
        except HttpsError as error:
            return Series(status=QueryStatus.ERROR, message=str(error))
        if answer.status in (401, 403):
            return Series(status=QueryStatus.FORBIDDEN, message="Datadog refuses the keys")
        if answer.status != 200 or answer.flaw:
            problem = answer.flaw or f"the answer was {answer.status}"
            return Series(status=QueryStatus.ERROR, message=f"{self._source.datadog} {problem}")
        return _series(answer.body, query.period_s, span)


def _request(query: MetricQuery, span: Span) -> Mapping[str, Any]:
    tags = ",".join(f"{name}:{value}" for name, value in query.dimensions) or "*"
    form = (_COUNTS | _LEVELS).get(query.statistic, f"{query.statistic}:{{}}")
    asked = {
        "data_source": "metrics", "name": "a", "query": form.format(f"{query.name}{{{tags}}}"),
    }  # fmt: skip
    attributes = {
        "from": span.start * 1_000, "to": span.end * 1_000, "interval": query.period_s * 1_000,
        "queries": [asked], "formulas": [{"formula": "a"}],
    }  # fmt: skip
    return {"data": {"type": "timeseries_request", "attributes": attributes}}


def _series(body: bytes, period_s: int, span: Span) -> Series:
    """Return the points of an answer; what is no whole number of periods is no answer."""
    try:
        attributes = json.loads(body)["data"]["attributes"]
        rows = attributes["values"] or [[]]
        pairs = zip(attributes["times"], rows[0], strict=True)
        points = {int(at) // 1_000: float(value) for at, value in pairs if value is not None}
    except (ValueError, KeyError, TypeError, IndexError):
        return Series(status=QueryStatus.ERROR, message="Datadog's answer cannot be read")
    if any(at % period_s for at in points):
        return Series(status=QueryStatus.ERROR, message="Datadog rolled minutes up")
    return Series({at: value for at, value in points.items() if span.start <= at < span.end})
