"""Invalid answers of AWS: each adapter raises the error of its port, or reports a finding."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from controller.adapters import iam
from controller.adapters.aws.clients import Clients
from controller.adapters.aws.limited_client import CallLimits
from controller.adapters.clock import SystemClock
from controller.adapters.cloudformation import Stack
from controller.adapters.hooks import LambdaHooks
from controller.adapters.iam import NotSimulatedError
from controller.adapters.metrics.cloudwatch import CloudWatchAlarms, CloudWatchMetrics, MetricList
from controller.adapters.metrics.logs import CloudWatchLogCounts, CloudWatchLogEvents
from controller.adapters.notifiers.eventbridge import EventBridgeChannel
from controller.adapters.notifiers.sns import SnsChannel, Subscribers
from controller.adapters.secrets import SecretReader
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import create_table
from controller.adapters.targets.alb_weights import AlbWeightsTarget
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.observation import LogQuery, MetricQuery, Span
from controller.core.policy import LambdaHook, Metric, SecretReference
from controller.core.policy.targets.alb_weights import AlbWeights
from controller.errors import (
    DeliveryError,
    LogsError,
    MetricsError,
    MonitoringError,
    StoreError,
    TargetError,
    WriteUncertainError,
)
from controller.ports.notify import HookCall
from tests.adapters.contracts.store import LATER
from tests.adapters.contracts.target import HANDLER
from tests.adapters.notifiers.channels import TOPIC, a_message, rolled_back_rollout
from tests.support import aws_stub
from tests.support.accounts import OneClientAccount
from tests.support.aws_stub import GARBAGE, SECRET, Endpoint, Responder, responds
from tests.support.core import AlarmState, Consent, QueryStatus
from tests.support.deep_rows import pairs
from tests.support.rollouts import NOON, a_rollout

LIMITS = CallLimits(attempts=2, connect_s=1, read_s=10, total_s=60)
SERVICES = (
    "cloudformation", "cloudwatch", "dynamodb", "elbv2", "events", "iam", "lambda", "logs",
    "secretsmanager", "sns", "ssm",
)  # fmt: skip
ERRORS = MetricQuery("AWS/Lambda", "Errors", "Sum", 60)
EVENTS = LogQuery("/aws/lambda/handler", "ERROR", Span(0, 60), limit=3)
CALL = HookCall("before_advance", "checkout#1:1:before_advance[0]:now", "{}")
HOOK = LambdaHook(kind="lambda", function="gate")
_ELB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
RULE = AlbWeights(
    kind="alb-weights",
    rule=f"{_ELB}:listener-rule/app/shop/1/2/3",
    stable=f"{_ELB}:targetgroup/blue/4",
    canary=f"{_ELB}:targetgroup/green/5",
)
TEN = timedelta(seconds=10)
METRIC = Metric(namespace="Shop", name="Latency", statistic="p95", dimensions={"Path": "canary"})
SOUND = (
    b'{"FunctionArn": "arn:aws:lambda:eu-central-1:1:function:handler", "RevisionId": "r1",'
    b' "Environment": {"Variables": {"TOKEN": "t", "PERCENTAGE": "%s", "ENABLED": "false"}}}'
)


@pytest.fixture
def clients(endpoint: Endpoint) -> Clients:
    """Clients that make two attempts, without a pause."""
    return Clients(dict.fromkeys((*SERVICES, "sts"), LIMITS), pause_s=0.001)


def target(clients: Clients) -> LambdaEnvTarget:
    return LambdaEnvTarget(clients.get("lambda"), HANDLER, SystemClock())


def rule(clients: Clients) -> AlbWeightsTarget:
    account = OneClientAccount(partial(clients.get, "elbv2"))
    return AlbWeightsTarget(RULE, account)


def metrics(clients: Clients) -> CloudWatchMetrics:
    return CloudWatchMetrics(partial(clients.get, "cloudwatch"))


def store(clients: Clients) -> DynamoDbStore:
    return DynamoDbStore(clients.get("dynamodb"), "rollouts")


def stack(clients: Clients) -> Stack:
    return Stack(clients.get("cloudformation"), SystemClock(), "checkout")


# --- errors -------------------------------------------------------------------------------------

RAISES: Mapping[str, tuple[type[Exception], Callable[[Clients], Any]]] = {
    "a look at the function": (TargetError, lambda clients: target(clients).read()),
    "a raise": (TargetError, lambda clients: target(clients).shift_to(10, "r1")),
    "lowering": (TargetError, lambda clients: target(clients).lower_to_zero(timedelta(0))),
    "where the function logs": (
        LogsError,
        lambda clients: target(clients).log_group(),
    ),
    "a rule of a load balancer": (TargetError, lambda clients: rule(clients).read()),
    "0% in a rule": (TargetError, lambda clients: rule(clients).lower_to_zero(timedelta(0))),
    "log events": (
        LogsError,
        lambda clients: list(
            CloudWatchLogEvents(partial(clients.get, "logs")).pages("group", "", NOON, LATER)
        ),
    ),
    "metrics": (
        MetricsError,
        lambda clients: metrics(clients).read([ERRORS], Span(0, 60)),
    ),
    "a rollout": (StoreError, lambda clients: store(clients).load("checkout#1")),
    "what is active": (StoreError, lambda clients: store(clients).active(NOON)),
    "a lease": (StoreError, lambda clients: store(clients).acquire("checkout#1", NOON, LATER)),
    "a save": (StoreError, lambda clients: store(clients).save(a_rollout(), [])),
    "a start": (StoreError, lambda clients: store(clients).create(a_rollout(), [], [])),
    "a new table": (
        StoreError,
        lambda clients: create_table(clients.get("dynamodb"), "rollouts", SystemClock()),
    ),
    "a message by SNS": (
        DeliveryError,
        lambda clients: SnsChannel(kind="sns", topic=TOPIC).deliver(
            OneClientAccount(partial(clients.get, "sns")), rolled_back_rollout(), a_message()
        ),
    ),
    "a message by EventBridge": (
        DeliveryError,
        lambda clients: EventBridgeChannel(kind="eventbridge").deliver(
            OneClientAccount(partial(clients.get, "events")), rolled_back_rollout(), a_message()
        ),
    ),
    "a secret": (
        DeliveryError,
        lambda clients: SecretReader(clients.get, {}).read(SecretReference(secret="a")),
    ),
    "a parameter": (
        DeliveryError,
        lambda clients: SecretReader(clients.get, {}).read(SecretReference(parameter="/a")),
    ),
    "a role": (
        NotSimulatedError,
        lambda clients: iam.decisions(
            clients.get("iam"),
            "arn:aws:iam::123456789012:role/tick",
            [{"Action": ["a:B"], "Resource": ["arn:aws:s3:::a"]}],
        ),
    ),
    "the subscriptions of a topic": (
        MonitoringError,
        lambda clients: list(Subscribers(clients.get("sns")).of(TOPIC)),
    ),
    "a stack": (MonitoringError, lambda clients: stack(clients).find()),
}


@pytest.mark.parametrize(("raises", "content"), pairs(RAISES, GARBAGE))
def test_an_invalid_answer_is_the_error_of_the_port(
    endpoint: Endpoint,
    clients: Clients,
    raises: tuple[type[Exception], Callable[[Clients], Any]],
    content: Responder,
) -> None:
    kind, call = raises
    endpoint.answers = [content]
    with pytest.raises(kind) as caught:
        call(clients)
    assert SECRET not in str(caught.value)


# --- findings -----------------------------------------------------------------------------------


def count_failed(clients: Clients) -> bool:
    logs = CloudWatchLogCounts(partial(clients.get, "logs"), SystemClock())
    return logs.count([EVENTS])[EVENTS].status is QueryStatus.ERROR


def alarm_is_unread(clients: Clients) -> bool:
    alarms = CloudWatchAlarms(partial(clients.get, "cloudwatch"))
    return alarms.states(["a"])["a"].state is AlarmState.UNREAD


def reachability_is_unknown(clients: Clients) -> bool:
    obstacles = target(clients).obstacles()
    return len(obstacles) == 3 and not any(obstacle.fatal for obstacle in obstacles)


FINDS: Mapping[str, Callable[[Clients], bool]] = {
    "counted log events are unread": count_failed,
    "an alarm is unread": alarm_is_unread,
    "what keeps a change from callers is unknown": reachability_is_unknown,
    "the caller is unknown": lambda clients: bool(iam.caller_identity(clients).problem),
    "metrics are not listed": lambda clients: bool(
        MetricList(lambda: clients.get("cloudwatch")).similar(METRIC).problem
    ),
}


@pytest.mark.parametrize(("content", "finds"), pairs(GARBAGE, FINDS))
def test_an_invalid_answer_is_a_finding(
    endpoint: Endpoint, clients: Clients, content: Responder, finds: Callable[[Clients], bool]
) -> None:
    endpoint.answers = [content]
    assert finds(clients)


def test_a_page_instead_of_a_function_is_no_consent_and_requested_once(
    endpoint: Endpoint, clients: Clients
) -> None:
    endpoint.answers = [aws_stub.captive_portal]
    hooks = LambdaHooks(partial(clients.single_try, "lambda"))
    assert hooks.ask(HOOK, CALL, within=TEN).consent is Consent.FAILED
    with pytest.raises(DeliveryError):
        hooks.tell(HOOK, CALL, within=TEN)
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("answer", "consent"),
    [
        pytest.param(responds(b'{"allow": true}'), Consent.GIVEN, id="whole"),
        pytest.param(responds(b'{"allow": false}'), Consent.REFUSED, id="a refusal"),
        pytest.param(aws_stub.breaks_off(b'{"allow": true}'), Consent.FAILED, id="that breaks off"),
        pytest.param(aws_stub.drips_its_body(0.05), Consent.FAILED, id="that drips"),
        pytest.param(aws_stub.hangs, Consent.FAILED, id="that does not come"),
    ],
)
def test_no_more_than_a_whole_answer_of_a_function_is_a_consent(
    endpoint: Endpoint, clients: Clients, answer: Responder, consent: Consent
) -> None:
    endpoint.answers = [answer]
    hooks = LambdaHooks(partial(clients.single_try, "lambda"))
    assert hooks.ask(HOOK, CALL, within=timedelta(seconds=1)).consent is consent


# --- valid by the model, and impossible ---------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "value", "problem"),
    [
        pytest.param("60", "1" + "0" * 400, "some of its values are no numbers", id="too large"),
        pytest.param("60", "NaN", "some of its values are no numbers", id="no number"),
        pytest.param("6000000", "1", "some of its timestamps are outside", id="another time"),
        pytest.param("61", "1", "its stamps do not fit the period", id="between two minutes"),
    ],
)
def test_a_series_with_points_that_cannot_be_is_a_failed_one(
    endpoint: Endpoint, clients: Clients, stamp: str, value: str, problem: str
) -> None:
    result = (
        f'{{"Id": "q0", "StatusCode": "Complete", "Timestamps": [{stamp}], "Values": [{value}]}}'
    )
    endpoint.answers = [responds(f'{{"MetricDataResults": [{result}]}}'.encode())]
    series = metrics(clients).read([ERRORS], Span(0, 120))[ERRORS]
    assert (series.points, series.status) == ({}, QueryStatus.ERROR)
    assert problem in series.message


def test_a_page_of_log_events_that_leads_to_itself_is_not_read_for_ever(
    endpoint: Endpoint, clients: Clients
) -> None:
    endpoint.answers = [responds(b'{"events": [], "nextToken": "t"}')]
    with pytest.raises(LogsError):
        list(CloudWatchLogEvents(partial(clients.get, "logs")).pages("group", "", NOON, LATER))
    assert len(endpoint.requests) == 2


def test_a_partial_description_of_a_table_does_not_pass_for_the_table_of_a_store(
    endpoint: Endpoint, clients: Clients
) -> None:
    endpoint.answers = [responds(b'{"Table": {"TableStatus": "ACTIVE"}}')]
    with pytest.raises(StoreError):
        create_table(clients.get("dynamodb"), "rollouts", SystemClock())


def test_the_page_of_a_gateway_is_quoted_in_part(endpoint: Endpoint, clients: Clients) -> None:
    endpoint.answers = [responds(b"<html>" + b"x" * 1_000_000, status=502, kind="text/html")]
    with pytest.raises(TargetError) as caught:
        target(clients).read()
    assert len(str(caught.value)) < 2_000


# --- writes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("weight", [b"10", b"0"])
def test_a_raise_without_a_valid_answer_is_confirmed_by_reading_the_weight_back(
    endpoint: Endpoint, clients: Clients, content: str, weight: bytes
) -> None:
    before, after = responds(SOUND % b"0"), responds(SOUND % weight)
    endpoint.answers = [before, GARBAGE[content], GARBAGE[content], after]
    if weight == b"10":
        target(clients).shift_to(10, "r1")
        return
    with pytest.raises(WriteUncertainError):
        target(clients).shift_to(10, "r1")


@pytest.mark.parametrize("content", GARBAGE)
def test_lowering_goes_on_after_an_invalid_answer(
    endpoint: Endpoint, clients: Clients, content: str
) -> None:
    strange = GARBAGE[content]
    endpoint.answers = [responds(SOUND % b"10"), strange, strange, responds(SOUND % b"0")]
    target(clients).lower_to_zero(timedelta(seconds=30))
    assert len(endpoint.requests) == 4
