"""An answer of AWS that was changed on its way is read, or is the error of the port."""

import json
from contextlib import suppress
from functools import partial
from math import isfinite

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.adapters.aws.clients import Clients
from controller.adapters.aws.limited_client import CallLimits
from controller.adapters.clock import SystemClock
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.observation import MetricQuery, Span
from controller.errors import MetricsError, TargetError
from tests.adapters.contracts.target import HANDLER
from tests.support.aws_stub import Endpoint, responds
from tests.support.changed_json import changed, spliced

LIMITS = CallLimits(attempts=1, connect_s=1, read_s=10, total_s=10)
MINUTE = MetricQuery("AWS/Lambda", "Errors", "Sum", 60)
FUNCTION = {
    "FunctionArn": "arn:aws:lambda:eu-central-1:1:function:handler",
    "FunctionName": "handler",
    "RevisionId": "r1",
    "CodeSha256": "abc",
    "LastUpdateStatus": "Successful",
    "State": "Active",
    "Environment": {"Variables": {"PERCENTAGE": "10", "ENABLED": "false"}},
}
DATA = {
    "MetricDataResults": [{"Id": "q0", "Timestamps": [0], "Values": [3], "StatusCode": "Complete"}]
}


# One endpoint serves all examples: each sets its answer anew.
one_endpoint = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def clients(endpoint: Endpoint, text: str) -> Clients:
    """Return clients whose calls are all answered by `text`."""
    endpoint.answers = [responds(text.encode("utf-8", "surrogatepass"))]
    return Clients(dict.fromkeys(("lambda", "cloudwatch", "sts"), LIMITS), pause_s=0.001)


@one_endpoint
@given(text=st.one_of(changed(FUNCTION), spliced(json.dumps(FUNCTION))))
def test_any_answer_about_a_function_is_its_state_or_an_error(
    endpoint: Endpoint, text: str
) -> None:
    client = clients(endpoint, text).get("lambda")
    with suppress(TargetError):
        reading = LambdaEnvTarget(client, HANDLER, SystemClock()).read()
        assert reading.weight in (None, *range(101))


@one_endpoint
@given(text=st.one_of(changed(DATA), spliced(json.dumps(DATA))))
def test_any_answer_of_metrics_is_finite_counts_or_no_data(endpoint: Endpoint, text: str) -> None:
    metrics = CloudWatchMetrics(partial(clients(endpoint, text).get, "cloudwatch"))
    with suppress(MetricsError):
        series = metrics.read([MINUTE], Span(0, 60))[MINUTE]
        assert series.points.keys() <= {0}
        assert all(isfinite(value) for value in series.points.values())
