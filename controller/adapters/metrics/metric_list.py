"""The metrics that exist, to explain why a metric of a policy has no data.

IAM: cloudwatch:ListMetrics (on every resource: it supports no narrower one).

CloudWatch lists the metrics that had data in the last two weeks.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import ANY, Job, Permission
from controller.core.policy import Metric
from controller.ports.metrics import MetricListing

IAM: Final = (Permission("cloudwatch:ListMetrics", ANY, {Job.DOCTOR}),)

PAGES: Final = 10  # of 500 metrics each


class MetricList:
    """Listing of metrics, on a boto3 CloudWatch client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def similar(self, metric: Metric) -> MetricListing:
        """Return the dimensions of metrics with this name, or other names of its namespace.

        When CloudWatch does not list them, the listing has the problem instead.
        """
        try:
            same = list(self._list(Namespace=metric.namespace, MetricName=metric.name))
            others = [] if same else list(self._list(Namespace=metric.namespace))
        except AWS_ERRORS as error:
            problem = error_text("metrics could not be listed (cloudwatch:ListMetrics)", error)
            return MetricListing(problem=problem)
        dimensions = [
            {pair.get("Name", ""): pair.get("Value", "") for pair in one.get("Dimensions", ())}
            for one in same
        ]
        return MetricListing(dimensions, sorted({one["MetricName"] for one in others}))

    def _list(self, **filters: str) -> Iterator[Mapping[str, Any]]:
        request = dict(filters)
        for _ in range(PAGES):
            page = self._client.list_metrics(**request)
            yield from page.get("Metrics", ())
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]
