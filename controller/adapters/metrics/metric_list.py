"""The metrics that exist: for a new policy, and to explain why a metric of one has no data.

IAM: cloudwatch:ListMetrics (on every resource: it supports no narrower one).

CloudWatch lists the metrics that had data in the last two weeks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text, is_denied
from controller.adapters.iam.permission import ANY, Job, Permission
from controller.core.policy import Metric
from controller.ports.metrics import Dimensions, MetricListing

_ACTION: Final = "cloudwatch:ListMetrics"
IAM: Final = (Permission(_ACTION, ANY, {Job.START, Job.DOCTOR, Job.INIT}),)

PAGES: Final = 10  # of 500 metrics each


class MetricList:
    """`MetricCatalogue` and `MetricDirectory` on a boto3 CloudWatch client.

    open_client: returns the client; called only when metrics are listed.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def similar(self, metric: Metric) -> MetricListing:
        try:
            same = list(self._list(Namespace=metric.namespace, MetricName=metric.name))
            others = [] if same else list(self._list(Namespace=metric.namespace))
        except AWS_ERRORS as error:
            return _refused(error)
        return MetricListing(_dimensions(same), sorted({other["MetricName"] for other in others}))

    def named(self, namespace: str, name: str, dimensions: Dimensions) -> MetricListing:
        filters = [
            {"Name": key, **({"Value": value} if value else {})}
            for key, value in dimensions.items()
        ]
        try:
            listed = list(self._list(Namespace=namespace, MetricName=name, Dimensions=filters))
        except AWS_ERRORS as error:
            return _refused(error)
        return MetricListing(_dimensions(listed))

    def _list(self, **filters: Any) -> Iterator[Mapping[str, Any]]:
        request, client = dict(filters), self._open_client()
        for _ in range(PAGES):
            page = client.list_metrics(**request)
            yield from page.get("Metrics", ())
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def _dimensions(metrics: Iterable[Mapping[str, Any]]) -> list[Dimensions]:
    return [
        {pair.get("Name", ""): pair.get("Value", "") for pair in metric.get("Dimensions", ())}
        for metric in metrics
    ]


def _refused(error: Exception) -> MetricListing:
    problem = error_text(f"metrics could not be listed ({_ACTION})", error)
    return MetricListing(problem=problem, missing_right=_ACTION if is_denied(error) else "")
