"""The metrics of API Gateway in CloudWatch, which REST and HTTP APIs name in two ways."""

from collections.abc import Collection
from typing import Final

NAMESPACE: Final = "AWS/ApiGateway"

REQUESTS: Final = "Count"
LATENCY: Final = "Latency"
INTEGRATION_LATENCY: Final = "IntegrationLatency"
# Of a REST API, and of an HTTP API.
CLIENT_ERRORS: Final = ("4XXError", "4xx")
SERVER_ERRORS: Final = ("5XXError", "5xx")

# The percentiles of a latency that people look at.
PERCENTILES: Final = ("p50", "p95", "p99")


def error_metrics(dimensions: Collection[str]) -> tuple[str, str]:
    """Return the metrics of client errors and of server errors of an API with these dimensions.

    Only HTTP APIs have the dimension ApiId.
    """
    is_http = "ApiId" in dimensions
    return CLIENT_ERRORS[is_http], SERVER_ERRORS[is_http]
