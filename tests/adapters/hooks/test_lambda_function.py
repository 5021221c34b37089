"""Lambda hooks: real code on ministack, and odd answers from a fake."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody

from controller.adapters.hooks import MOST_ANSWER, LambdaHooks
from controller.core.policy import LambdaHook
from controller.errors import DeliveryError, UsageError
from controller.ports.notify import HookCall
from tests.docs.tables.hook_answers import BODIES, Body
from tests.support.core import Consent, HookAnswer
from tests.support.emulator import WAITER_CONFIG, Emulator

CALL = HookCall("before_advance", "checkout#1:1:before_advance[0]:now", '{"to_weight_percent": 50}')
HOOK = LambdaHook(kind="lambda", function="gate")
TEN = timedelta(seconds=10)

CODE = """
def handler(event, context):
    if event["to_weight_percent"] < 50:
        return {"allow": True}
    if event["to_weight_percent"] == 100:
        raise ValueError("hunter2")
    return {"allow": False, "reason": "not above 10% today"}
"""


def test_a_function_allows_refuses_or_fails(ministack: Emulator, account: str) -> None:
    client = ministack.client("lambda", account)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as files:
        files.writestr("app.py", CODE)
    client.create_function(
        FunctionName="gate",
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/any",
        Handler="app.handler",
        Code={"ZipFile": package.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="gate", WaiterConfig=WAITER_CONFIG)

    def ask(weight: int) -> HookAnswer:
        body = json.dumps({"to_weight_percent": weight})
        call = HookCall("before_advance", "delivery", body)
        return LambdaHooks(lambda _seconds: client).ask(HOOK, call, within=TEN)

    assert ask(10) == HookAnswer(Consent.GIVEN)
    assert ask(50) == HookAnswer(Consent.REFUSED, "not above 10% today")
    assert ask(100) == HookAnswer(Consent.FAILED, "it ended in an error; see its log")


class Functions:
    """A Lambda client with a fixed answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> Any:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"ResponseMetadata": {"RequestId": "1"}, **self.answer}


def denied() -> ClientError:
    refusal: Any = {
        "Error": {"Code": "AccessDeniedException", "Message": "not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    return ClientError(refusal, "Invoke")


def ask(answer: Any) -> HookAnswer:
    return LambdaHooks(lambda _seconds: Functions(answer)).ask(HOOK, CALL, within=TEN)


def test_a_denied_invocation_names_the_action_and_is_no_consent() -> None:
    assert ask(denied()) == HookAnswer(
        Consent.FAILED,
        "lambda gate was not invoked (lambda:InvokeFunction): AccessDeniedException: not "
        "authorized; grant the action to this role",
    )


def test_without_a_client_there_is_no_consent() -> None:
    def none(_seconds: float) -> Any:
        raise UsageError("no AWS region is named")

    answer = LambdaHooks(none).ask(HOOK, CALL, within=TEN)
    assert answer == HookAnswer(Consent.FAILED, "no AWS region is named")


@pytest.mark.parametrize("row", BODIES, ids=lambda row: row.shown)
def test_what_a_function_returns_is_consent_a_refusal_or_no_answer(row: Body) -> None:
    expected = row.of_function or (row.consent, row.said)
    assert ask({"StatusCode": 200, "Payload": io.BytesIO(row.body)}) == HookAnswer(*expected)


def test_a_function_that_gives_no_payload_gives_no_consent() -> None:
    assert ask({"StatusCode": 200}).consent is Consent.FAILED


def test_an_answer_that_ends_too_early_is_no_consent() -> None:
    answer = ask({"Payload": Broken()})
    assert answer.consent is Consent.FAILED
    assert answer.message.startswith("lambda gate broke off: ReadTimeoutError: ")


def test_a_payload_that_is_shorter_than_announced_is_no_consent() -> None:
    payload = b'{"allow": true}'
    answer = ask({"Payload": StreamingBody(io.BytesIO(payload), len(payload) + 1)})
    assert answer.consent is Consent.FAILED
    assert answer.message.startswith("lambda gate broke off: IncompleteReadError: ")


def test_a_payload_that_comes_in_pieces_is_read_to_its_end() -> None:
    pieces = Pieces([b'{"allow": ', b"true", b"}"])
    assert ask({"Payload": pieces}) == HookAnswer(Consent.GIVEN)


def test_a_payload_that_is_too_long_is_no_consent() -> None:
    answer = ask({"Payload": io.BytesIO(b'{"allow": true}' + b" " * MOST_ANSWER)})
    assert answer == HookAnswer(Consent.FAILED, "its answer is longer than 16 KiB")


class Pieces:
    """A payload in several reads."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def read(self, _amount: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


class Broken:
    """A payload whose connection breaks."""

    def read(self, _amount: int) -> bytes:
        raise ReadTimeoutError(endpoint_url="https://lambda.example")


def test_the_time_that_is_left_is_what_the_client_waits() -> None:
    waits: list[float] = []

    def client(seconds: float) -> Any:
        waits.append(seconds)
        return Functions({"Payload": io.BytesIO(b"")})

    LambdaHooks(client).ask(HOOK, CALL, within=timedelta(seconds=7))
    assert waits == [7.0]


def test_a_notification_is_queued_and_not_waited_for() -> None:
    functions = Functions({"StatusCode": 202})
    LambdaHooks(lambda _seconds: functions).tell(HOOK, CALL, within=TEN)
    (request,) = functions.requests
    assert (request["InvocationType"], request["FunctionName"]) == ("Event", "gate")
    assert request["Payload"] == CALL.body.encode()
    functions.answer = denied()
    with pytest.raises(DeliveryError):
        LambdaHooks(lambda _seconds: functions).tell(HOOK, CALL, within=TEN)
