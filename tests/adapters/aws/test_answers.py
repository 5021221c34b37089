"""What each adapter makes of answers that are none: the error of its port, or a finding."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from controller.adapters.aws.call_limits import Limits
from controller.adapters.aws.clients import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.cloudformation.stack import Stack
from controller.adapters.hooks.lambda_function import LambdaHooks
from controller.adapters.iam import caller, simulator
from controller.adapters.iam.simulator import NotSimulatedError
from controller.adapters.metrics import log_events
from controller.adapters.metrics.alarms import CloudWatchAlarms
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.metrics.log_counts import CloudWatchLogCounts
from controller.adapters.metrics.log_events import CloudWatchLogEvents
from controller.adapters.metrics.metric_list import MetricList
from controller.adapters.notifiers.eventbridge import EventBridgeNotifier
from controller.adapters.notifiers.sns import SnsNotifier
from controller.adapters.notifiers.subscribers import Subscribers
from controller.adapters.secrets import SecretReader
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import create_table
from controller.adapters.targets import lambda_function
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.hook_call import HookCall
from controller.core.observation import (
    AlarmState,
    Consent,
    LogQuery,
    MetricQuery,
    QueryStatus,
    Span,
)
from controller.core.policy import (
    EventBridgeChannel,
    LambdaHook,
    Metric,
    SecretReference,
    SnsChannel,
)
from controller.errors import (
    DeliveryError,
    LogsError,
    MetricsError,
    MonitoringError,
    StoreError,
    TargetError,
    WriteUncertainError,
)
from tests.adapters.contracts.store import LATER, LOCK
from tests.adapters.contracts.target import HANDLER
from tests.adapters.notifiers.channels import TOPIC, a_message, told
from tests.support import aws_stub
from tests.support.aws_stub import GARBAGE, SECRET, Endpoint, responds
from tests.support.rollouts import NOON, a_rollout

LIMITS = Limits(attempts=2, connect_s=1, read_s=10, total_s=60)
SERVICES = (
    "cloudformation", "cloudwatch", "dynamodb", "events", "iam", "lambda", "logs",
    "secretsmanager", "sns",
)  # fmt: skip
ERRORS = MetricQuery("AWS/Lambda", "Errors", "Sum", 60)
EVENTS = LogQuery("/aws/lambda/handler", "ERROR", Span(0, 60), limit=3)
CALL = HookCall("before_advance", "checkout#1:1:before_advance[0]:now", "{}")
HOOK = LambdaHook(kind="lambda", function="gate")
TEN = timedelta(seconds=10)
METRIC = Metric(namespace="Shop", name="Latency", statistic="p95", dimensions={"Path": "canary"})
SOUND = (
    b'{"FunctionArn": "arn:aws:lambda:eu-central-1:1:function:handler", "RevisionId": "r1",'
    b' "Environment": {"Variables": {"TOKEN": "t", "PERCENTAGE": "%s", "ENABLED": "false"}}}'
)


@pytest.fixture
def made(endpoint: Endpoint) -> Clients:
    """Clients that ask twice, and do not pause."""
    return Clients(dict.fromkeys((*SERVICES, "sts"), LIMITS), pause_s=0.001)


def target(made: Clients) -> LambdaEnvTarget:
    return LambdaEnvTarget(made.get("lambda"), HANDLER, SystemClock())


def store(made: Clients) -> DynamoDbStore:
    return DynamoDbStore(made.get("dynamodb"), "rollouts")


def stack(made: Clients) -> Stack:
    return Stack(made.get("cloudformation"), SystemClock(), "checkout")


# --- errors -------------------------------------------------------------------------------------

RAISES: Mapping[str, tuple[type[Exception], Callable[[Clients], Any]]] = {
    "a look at the function": (TargetError, lambda made: target(made).read()),
    "the names in the function": (TargetError, lambda made: target(made).foreign_values()),
    "a raise": (TargetError, lambda made: target(made).shift_to(10, "r1")),
    "lowering": (TargetError, lambda made: target(made).lower_to_zero(timedelta(0))),
    "what IAM calls the function": (
        TargetError,
        lambda made: lambda_function.identity(made.get("lambda"), "handler"),
    ),
    "where the function logs": (
        LogsError,
        lambda made: log_events.group_of(made.get("lambda"), "handler"),
    ),
    "log events": (
        LogsError,
        lambda made: list(
            CloudWatchLogEvents(partial(made.get, "logs")).pages("group", "", NOON, LATER)
        ),
    ),
    "metrics": (
        MetricsError,
        lambda made: CloudWatchMetrics(made.get("cloudwatch")).read([ERRORS], Span(0, 60)),
    ),
    "a rollout": (StoreError, lambda made: store(made).load("checkout#1")),
    "a history": (StoreError, lambda made: store(made).history("checkout#1")),
    "what is active": (StoreError, lambda made: store(made).active(NOON)),
    "all rollouts": (StoreError, lambda made: store(made).all()),
    "an owner": (StoreError, lambda made: store(made).owner(LOCK)),
    "a lease": (StoreError, lambda made: store(made).acquire("checkout#1", NOON, LATER)),
    "a save": (StoreError, lambda made: store(made).save(a_rollout(), [])),
    "a start": (StoreError, lambda made: store(made).create(a_rollout(), [], [])),
    "a new table": (
        StoreError,
        lambda made: create_table(made.get("dynamodb"), "rollouts", SystemClock()),
    ),
    "a message by SNS": (
        DeliveryError,
        lambda made: SnsNotifier(partial(made.get, "sns")).deliver(
            SnsChannel(kind="sns", topic=TOPIC), told(), a_message()
        ),
    ),
    "a message by EventBridge": (
        DeliveryError,
        lambda made: EventBridgeNotifier(partial(made.get, "events")).deliver(
            EventBridgeChannel(kind="eventbridge"), told(), a_message()
        ),
    ),
    "a secret": (
        DeliveryError,
        lambda made: SecretReader(partial(made.get, "secretsmanager"), {}).read(
            SecretReference(secret="a")
        ),
    ),
    "a role": (
        NotSimulatedError,
        lambda made: simulator.decisions(
            made.get("iam"),
            "arn:aws:iam::123456789012:role/tick",
            [{"Action": ["a:B"], "Resource": ["arn:aws:s3:::a"]}],
        ),
    ),
    "who hears a topic": (
        MonitoringError,
        lambda made: list(Subscribers(made.get("sns")).of(TOPIC)),
    ),
    "a stack": (MonitoringError, lambda made: stack(made).find()),
    "a change set": (MonitoringError, lambda made: stack(made).change(None, {}, execute=False)),
}


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("what", RAISES)
def test_an_answer_that_is_none_is_the_error_of_the_port(
    endpoint: Endpoint, made: Clients, what: str, content: str
) -> None:
    kind, call = RAISES[what]
    endpoint.answers = [GARBAGE[content]]
    with pytest.raises(kind) as caught:
        call(made)
    assert SECRET not in str(caught.value)


# --- findings -----------------------------------------------------------------------------------


def counted(made: Clients) -> bool:
    logs = CloudWatchLogCounts(partial(made.get, "logs"), SystemClock())
    return logs.count([EVENTS])[EVENTS].answer is QueryStatus.ERROR


def alarmed(made: Clients) -> bool:
    alarms = CloudWatchAlarms(partial(made.get, "cloudwatch"))
    return alarms.states(["a"])["a"].state is AlarmState.UNREAD


def reached(made: Clients) -> bool:
    obstacles = target(made).obstacles()
    return len(obstacles) == 3 and not any(one.fatal for one in obstacles)


FINDS: Mapping[str, Callable[[Clients], bool]] = {
    "counted log events are unread": counted,
    "an alarm is unread": alarmed,
    "what keeps a change from callers is unknown": reached,
    "the caller is unknown": lambda made: bool(caller.caller_identity(made).problem),
    "metrics are not listed": lambda made: bool(
        MetricList(made.get("cloudwatch")).similar(METRIC).problem
    ),
}


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("what", FINDS)
def test_an_answer_that_is_none_is_a_finding(
    endpoint: Endpoint, made: Clients, what: str, content: str
) -> None:
    endpoint.answers = [GARBAGE[content]]
    assert FINDS[what](made)


def test_a_page_instead_of_a_function_is_no_consent_and_asked_for_once(
    endpoint: Endpoint, made: Clients
) -> None:
    endpoint.answers = [aws_stub.captive_portal]
    hooks = LambdaHooks(partial(made.single_try, "lambda"))
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
    endpoint: Endpoint, made: Clients, answer: aws_stub.Responder, consent: Consent
) -> None:
    endpoint.answers = [answer]
    hooks = LambdaHooks(partial(made.single_try, "lambda"))
    assert hooks.ask(HOOK, CALL, within=timedelta(seconds=1)).consent is consent


# --- sound by the model, and none all the same --------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "value", "problem"),
    [
        pytest.param("60", "1" + "0" * 400, "some of its values are no numbers", id="too large"),
        pytest.param("60", "NaN", "some of its values are no numbers", id="no number"),
        pytest.param("6000000", "1", "some of its stamps lie outside", id="another time"),
        pytest.param("61", "1", "its stamps do not fit the period", id="between two minutes"),
    ],
)
def test_a_series_with_points_that_cannot_be_is_a_failed_one(
    endpoint: Endpoint, made: Clients, stamp: str, value: str, problem: str
) -> None:
    result = (
        f'{{"Id": "q0", "StatusCode": "Complete", "Timestamps": [{stamp}], "Values": [{value}]}}'
    )
    endpoint.answers = [responds(f'{{"MetricDataResults": [{result}]}}'.encode())]
    found = CloudWatchMetrics(made.get("cloudwatch")).read([ERRORS], Span(0, 120))[ERRORS]
    assert (found.points, found.answer) == ({}, QueryStatus.ERROR)
    assert problem in found.message


def test_a_page_of_log_events_that_leads_to_itself_is_not_read_for_ever(
    endpoint: Endpoint, made: Clients
) -> None:
    endpoint.answers = [responds(b'{"events": [], "nextToken": "t"}')]
    with pytest.raises(LogsError):
        list(CloudWatchLogEvents(partial(made.get, "logs")).pages("group", "", NOON, LATER))
    assert len(endpoint.requests) == 2


def test_a_table_that_is_described_in_part_is_not_taken_for_the_table_of_a_store(
    endpoint: Endpoint, made: Clients
) -> None:
    endpoint.answers = [responds(b'{"Table": {"TableStatus": "ACTIVE"}}')]
    with pytest.raises(StoreError):
        create_table(made.get("dynamodb"), "rollouts", SystemClock())


@pytest.mark.parametrize(
    "date", ["Mon, 02 Jun 2025 12:00:00 -0000", "soon", "", "1 1 1 1:1:1 +99999"]
)
def test_the_date_of_an_answer_is_a_moment_with_its_zone_or_none(date: str) -> None:
    class Sts(Clients):
        def get(self, _service: str) -> Any:
            return self

        def get_caller_identity(self) -> Any:
            return {"Arn": "arn", "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    found = caller.caller_identity(Sts()).at
    assert found is None or found.utcoffset() == timedelta(0)


def test_the_page_of_a_gateway_is_told_in_part(endpoint: Endpoint, made: Clients) -> None:
    endpoint.answers = [responds(b"<html>" + b"x" * 1_000_000, status=502, kind="text/html")]
    with pytest.raises(TargetError) as caught:
        target(made).read()
    assert len(str(caught.value)) < 2_000


# --- writes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("stands", [b"10", b"0"])
def test_a_raise_whose_answer_is_none_is_known_by_what_stands_there_afterwards(
    endpoint: Endpoint, made: Clients, content: str, stands: bytes
) -> None:
    before, after = responds(SOUND % b"0"), responds(SOUND % stands)
    endpoint.answers = [before, GARBAGE[content], GARBAGE[content], after]
    if stands == b"10":
        target(made).shift_to(10, "r1")
        return
    with pytest.raises(WriteUncertainError):
        target(made).shift_to(10, "r1")


@pytest.mark.parametrize("content", GARBAGE)
def test_lowering_goes_on_after_an_answer_that_is_none(
    endpoint: Endpoint, made: Clients, content: str
) -> None:
    strange = GARBAGE[content]
    endpoint.answers = [responds(SOUND % b"10"), strange, strange, responds(SOUND % b"0")]
    target(made).lower_to_zero(timedelta(seconds=30))
    assert len(endpoint.requests) == 4
