"""Calls to AWS: each ends within one limit, and is repeated after an invalid answer."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from freezegun import freeze_time

from controller.adapters.aws import clients as aws
from controller.adapters.aws import limited_client
from controller.adapters.aws.clients import Clients, StrangeAnswerError
from controller.adapters.aws.limited_client import CallLimits, CallTimeoutError, run_within
from controller.process import workers
from controller.process.signals import StoppedError
from controller.process.workers import Workers
from tests.support import aws_stub
from tests.support.aws_stub import GARBAGE, SECRET, Endpoint, Responder, responds
from tests.support.deep_rows import pairs

SHORT = CallLimits(attempts=3, connect_s=1, read_s=5, total_s=0.4)
LONG = CallLimits(attempts=3, connect_s=1, read_s=5, total_s=30)
UNHURRIED_S = 300  # no limit is reached, however busy the machine is
UNHURRIED = CallLimits(3, UNHURRIED_S, UNHURRIED_S, UNHURRIED_S)
SERVICES = (
    *("cloudwatch", "dynamodb", "events", "iam", "lambda", "logs", "secretsmanager", "sns", "ssm"),
)


def clients(limits: CallLimits, floor_s: float = 0.2) -> Clients:
    """Return clients that hold every service to `limits`."""
    every = dict.fromkeys((*SERVICES, "sts"), limits)
    return Clients(every, floor_s=floor_s, pause_s=0.001)


def read_function(made: Clients) -> Any:
    return made.get("lambda", lowers=True).get_function_configuration(FunctionName="handler")


def write_function(made: Clients) -> Any:
    return made.get("lambda", lowers=True).update_function_configuration(
        FunctionName="handler", Environment={"Variables": {"TOKEN": SECRET}}
    )


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Return the threads of the calls of this test, and of no other one."""
    own = Workers()
    monkeypatch.setattr(workers, "run", own.run)
    return own


def wait_until_idle(threads: Workers) -> None:
    end = limited_client.monotonic_s() + 30
    while threads.busy() and limited_client.monotonic_s() < end:
        threading.Event().wait(0.01)
    assert threads.busy() == 0


# --- one limit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(aws_stub.hangs, id="nothing comes"),
        pytest.param(aws_stub.hangs_after_the_head, id="no body comes"),
        pytest.param(aws_stub.drips(aws_stub.head(100), 0.05), id="the head drips"),
        pytest.param(aws_stub.drips_its_body(0.05), id="the body drips"),
    ],
)
def test_a_call_ends_within_its_limit_and_is_not_sent_again(
    endpoint: Endpoint, answer: Responder
) -> None:
    endpoint.answers = [answer]
    made = clients(SHORT)
    with pytest.raises(CallTimeoutError) as caught:
        read_function(made)
    assert (len(endpoint.requests), made.calls) == (1, {"lambda": 1})
    assert isinstance(caught.value, aws.AWS_ERRORS)
    assert aws.is_transient(caught.value)
    assert aws.error_text("read", caught.value).endswith("run again")


def test_an_abandoned_call_sends_nothing_when_its_connection_breaks(
    endpoint: Endpoint, threads: Workers
) -> None:
    """botocore would repeat it then, even minutes later."""
    free, gone = threading.Event(), threading.Event()

    def breaks_off(_endpoint: Endpoint, connection: Any) -> None:
        free.wait(30)
        connection.shutdown(2)
        gone.set()

    endpoint.answers = [breaks_off]
    made = clients(SHORT)
    with pytest.raises(CallTimeoutError):
        write_function(made)
    assert threads.busy() == 1
    free.set()
    assert gone.wait(30)
    wait_until_idle(threads)
    assert (len(endpoint.requests), made.calls) == (1, {"lambda": 1})


def test_a_body_without_an_end_is_not_stored(endpoint: Endpoint) -> None:
    endpoint.answers = [aws_stub.floods]
    with pytest.raises(StrangeAnswerError, match="longer than 16,777,216 bytes"):
        read_function(clients(LONG))
    assert len(endpoint.requests) == LONG.attempts


def test_what_a_function_answers_is_read_within_the_limit_and_in_part(endpoint: Endpoint) -> None:
    endpoint.answers = [responds(b"x" * 1_000_000), aws_stub.drips_its_body(0.05)]
    made = clients(SHORT)
    patient = made.single_try("lambda", 5)
    answer = patient.invoke(FunctionName="gate", InvocationType="RequestResponse")
    assert answer["Payload"].read() == b"x" * limited_client.MOST_STREAM_BYTES
    with pytest.raises(CallTimeoutError):
        made.single_try("lambda", 0.3).invoke(FunctionName="gate")


def test_a_signal_ends_the_wait_at_once_and_the_call_with_it(
    endpoint: Endpoint, threads: Workers
) -> None:
    """It rings until it is heard: just before a thread begins to wait, Python misses a signal."""
    heard, quiet, free, gone = (threading.Event() for _ in range(4))
    main = threading.get_ident()

    def rings_and_breaks_off(_endpoint: Endpoint, connection: Any) -> None:
        while not heard.is_set():
            signal.pthread_kill(main, signal.SIGALRM)  # the system delivers signals to it
            heard.wait(0.05)
        quiet.set()
        free.wait(UNHURRIED_S)
        connection.shutdown(2)
        gone.set()

    def stop(*_: object) -> None:
        if not heard.is_set():
            heard.set()
            raise StoppedError

    endpoint.answers = [rings_and_breaks_off]
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(StoppedError):
            read_function(clients(UNHURRIED))
        assert quiet.wait(UNHURRIED_S)
    finally:
        heard.set()
        signal.signal(signal.SIGALRM, before)
    assert threads.busy() == 1
    free.set()
    assert gone.wait(UNHURRIED_S)
    wait_until_idle(threads)
    assert len(endpoint.requests) == 1


def test_a_process_ends_although_a_call_hangs(endpoint: Endpoint) -> None:
    endpoint.answers = [aws_stub.hangs]
    code = (
        "from controller.adapters.aws.clients import Clients\n"
        "from controller.adapters.aws.limited_client import CallLimits\n"
        "made = Clients({'lambda': CallLimits(1, 1, 600, 0.3)})\n"
        "try:\n"
        "    made.get('lambda').get_function_configuration(FunctionName='handler')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert (run.stdout.strip(), run.stderr) == ("CallTimeoutError", "")


# --- a limit for many calls ---------------------------------------------------------------------


def test_past_the_end_of_all_calls_each_has_its_least_time_and_lambda_all_of_its_own(
    endpoint: Endpoint,
) -> None:
    limits: list[tuple[str, float]] = []
    made = clients(LONG, floor_s=0.3)
    made.limit_calls(timedelta(0))
    endpoint.answers = [aws_stub.hangs]
    calls: list[Callable[[], Any]] = [
        lambda: made.get("dynamodb").get_item(TableName="t", Key={"pk": {"S": "a"}}),
        lambda: made.single_try("lambda", 20).invoke(FunctionName="gate"),
    ]
    for call in calls:
        with pytest.raises(CallTimeoutError) as caught:
            call()
        limits.append((caught.value.kwargs["what"], caught.value.kwargs["limit_s"]))
    assert limits == [("dynamodb", 0.3), ("lambda", 0.3)]

    endpoint.answers = [responds(FUNCTION)]
    assert read_function(made)["FunctionArn"]
    endpoint.answers = [aws_stub.drips(aws_stub.head(len(FUNCTION)) + FUNCTION, 0.004)]
    assert read_function(made)["FunctionArn"]  # takes longer than the least time


def test_each_attempt_that_a_rate_limit_refuses_is_counted(endpoint: Endpoint) -> None:
    made = clients(LONG)
    refused = b'{"__type": "TooManyRequestsException", "Message": "Rate exceeded"}'
    endpoint.answers = [responds(refused, 429), responds(refused, 429), responds(FUNCTION)]
    assert read_function(made)["FunctionArn"]
    assert (made.throttled, made.calls) == (2, {"lambda": 3})


def test_before_that_end_a_call_has_no_more_than_what_is_left(endpoint: Endpoint) -> None:
    made = clients(LONG, floor_s=0.01)
    made.limit_calls(timedelta(seconds=0.5))
    endpoint.answers = [aws_stub.hangs]
    with pytest.raises(CallTimeoutError) as caught:
        made.get("logs").filter_log_events(logGroupName="group")
    assert 0.01 <= caught.value.kwargs["limit_s"] <= 0.5


# --- the thread ---------------------------------------------------------------------------------


def test_a_clock_that_stands_still_or_jumps_does_not_touch_the_limits(endpoint: Endpoint) -> None:
    endpoint.answers = [aws_stub.hangs]
    with freeze_time("2025-06-02 12:00:00") as clock:
        made = clients(LONG, floor_s=0.2)
        made.limit_calls(timedelta(seconds=0.3))
        clock.move_to("2024-06-02 12:00:00")
        with pytest.raises(CallTimeoutError) as caught:
            made.get("logs").filter_log_events(logGroupName="group")
        assert caught.value.kwargs["limit_s"] <= 0.3


# --- invalid answers ----------------------------------------------------------------------------

FUNCTION = b'{"FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:handler"}'
QUERY = {
    "Id": "q0",
    "MetricStat": {
        "Metric": {"Namespace": "AWS/Lambda", "MetricName": "Errors"},
        "Period": 60,
        "Stat": "Sum",
    },
}
KEY = {"pk": {"S": "a"}}

CALLS: Mapping[str, Callable[[Clients], Any]] = {
    "lambda read": read_function,
    "lambda write": write_function,
    "lambda aliases": lambda made: made.get("lambda").list_aliases(FunctionName="handler"),
    "metrics": lambda made: made.get("cloudwatch").get_metric_data(
        MetricDataQueries=[QUERY], StartTime=0, EndTime=60
    ),
    "alarms": lambda made: made.get("cloudwatch").describe_alarms(AlarmNames=["a"]),
    "logs": lambda made: made.get("logs").filter_log_events(logGroupName="group"),
    "get item": lambda made: made.get("dynamodb").get_item(TableName="t", Key=KEY),
    "query": lambda made: made.get("dynamodb").query(TableName="t", KeyConditionExpression="a"),
    "update": lambda made: made.get("dynamodb").update_item(
        TableName="t", Key=KEY, ReturnValues="ALL_NEW"
    ),
    "transaction": lambda made: made.get("dynamodb").transact_write_items(
        TransactItems=[{"Delete": {"TableName": "t", "Key": KEY}}]
    ),
    "caller": lambda made: made.get("sts").get_caller_identity(),
    "topic": lambda made: made.get("sns").publish(TopicArn="arn", Message="text"),
    "bus": lambda made: made.get("events").put_events(Entries=[{"Source": "rolloutctl"}]),
    "secret": lambda made: made.get("secretsmanager").get_secret_value(SecretId="name"),
    "parameter": lambda made: made.get("ssm").get_parameter(Name="name"),
    "role": lambda made: made.get("iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::123456789012:role/tick", ActionNames=["a:B"]
    ),
}


@pytest.mark.parametrize(("call", "content"), pairs(CALLS, GARBAGE))
def test_after_an_invalid_answer_the_call_is_repeated_and_then_is_a_named_error(
    endpoint: Endpoint, call: Callable[[Clients], Any], content: Responder
) -> None:
    endpoint.answers = [content]
    made = clients(LONG)
    with pytest.raises(StrangeAnswerError) as caught:
        call(made)
    assert len(endpoint.requests) == made.calls.total() == LONG.attempts
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        chain = chain.__cause__ or chain.__context__


MISFITS = {
    "an environment of text": ("lambda read", b'{"FunctionArn": "a", "Environment": "x"}'),
    "a variable that is null": (
        "lambda read",
        b'{"FunctionArn": "a", "Environment": {"Variables": {"A": null}}}',
    ),
    "no name": ("lambda read", b"{}"),
    "an alias without a name": ("lambda aliases", b'{"Aliases": [{}]}'),
    "no results": ("metrics", b"{}"),
    "an Id that was not requested": ("metrics", b'{"MetricDataResults": [{"Id": "q7"}]}'),
    "a value that is text": ("metrics", b'{"MetricDataResults": [{"Id": "q0", "Values": ["1"]}]}'),
    "a stamp that is beyond all time": (
        "metrics",
        b'{"MetricDataResults": [{"Id": "q0", "Timestamps": [1e300], "Values": [1]}]}',
    ),
    "an alarm without a name": ("alarms", b'{"MetricAlarms": [{"StateValue": "OK"}]}'),
    "no events": ("logs", b"{}"),
    "an event without a time": ("logs", b'{"events": [{"message": "m"}]}'),
    "an event beyond all time": ("logs", b'{"events": [{"timestamp": 1%s}]}' % (b"0" * 20)),
    "an item with a bare value": ("get item", b'{"Item": {"pk": "a"}}'),
    "an item whose bytes are none": ("get item", b'{"Item": {"pk": {"B": "a"}}}'),
    "no items": ("query", b"{}"),
    "a last key that is text": ("query", b'{"Items": [], "LastEvaluatedKey": "x"}'),
    "no attributes": ("update", b"{}"),
    "no message id": ("topic", b"<PublishResponse><PublishResult/></PublishResponse>"),
    "no caller": ("caller", b"<GetCallerIdentityResponse/>"),
    "a count that is text": ("bus", b'{"FailedEntryCount": "0"}'),
    "a secret that is a number": ("secret", b'{"ARN": "a", "Name": "n", "SecretString": 5}'),
    "reasons that are null": (
        "transaction",
        b'{"__type": "TransactionCanceledException", "CancellationReasons": [null]}',
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_after_an_answer_against_the_model_the_call_is_repeated_and_then_is_a_named_error(
    endpoint: Endpoint, name: str
) -> None:
    call, content = MISFITS[name]
    status = 400 if b"__type" in content else 200
    endpoint.answers = [responds(content, status)]
    made = clients(LONG)
    with pytest.raises(StrangeAnswerError, match=r"^the answer is not one of AWS \(") as caught:
        CALLS[call](made)
    assert len(endpoint.requests) == LONG.attempts
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert aws.is_transient(caught.value)


SOUND = {
    "lambda read": FUNCTION,
    "lambda write": FUNCTION,
    "metrics": b'{"MetricDataResults": [{"Id": "q0", "Timestamps": [60], "Values": [1, 2.5]}]}',
    "logs": b'{"events": [{"timestamp": 1}], "unheard": [null]}',
    "get item": b"{}",
    "query": (
        b'{"Items": [{"pk": {"S": "a"}, "sk": {"S": "b"}, "b": {"B": "YQ=="}, '
        b'"n": {"NULL": true}}]}'
    ),
    "secret": b'{"ARN": "a", "Name": "n", "SecretString": "s"}',
}


@pytest.mark.parametrize("call", SOUND)
def test_a_valid_answer_after_two_invalid_ones_is_the_answer(endpoint: Endpoint, call: str) -> None:
    endpoint.answers = [responds(b"null"), aws_stub.captive_portal, responds(SOUND[call])]
    made = clients(LONG)
    assert CALLS[call](made)["ResponseMetadata"]["RequestId"]
    assert (len(endpoint.requests), made.calls.total()) == (3, 3)


def test_all_attempts_of_a_transaction_have_one_token(endpoint: Endpoint) -> None:
    endpoint.answers = [responds(b"null"), responds(b"{}")]
    CALLS["transaction"](clients(LONG))
    assert b'"ClientRequestToken"' in endpoint.requests[0]
    assert endpoint.requests == [endpoint.requests[0]] * 2


def test_a_refusal_after_an_invalid_answer_says_that_there_was_an_attempt_before(
    endpoint: Endpoint,
) -> None:
    """The first attempt may have written what makes the second one fail."""
    refusal = b'{"__type": "ConditionalCheckFailedException", "message": "no"}'
    endpoint.answers = [responds(b"null"), responds(refusal, 400)]
    with pytest.raises(ClientError) as caught:
        CALLS["update"](clients(LONG))
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 1


def test_no_signal_is_given_to_the_thread_of_a_call() -> None:
    """Only the main thread handles a signal, and a signal to another thread would not wake it."""
    blocked = run_within(5, "service", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert blocked >= {signal.SIGINT, signal.SIGTERM, signal.SIGALRM}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGALRM}
