"""Lambda hooks: functions that are invoked with the call, under the role of this process.

IAM: lambda:InvokeFunction on the functions that a policy names as hooks.
"""

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.hooks.answer import consent_of, printable_line
from controller.adapters.iam.permission import HOOK, TRAFFIC_JOBS, Permission
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import LambdaHook
from controller.errors import DeliveryError, UsageError
from controller.ports.account import Account
from controller.ports.notify import HookCall

IAM: Final = (Permission("lambda:InvokeFunction", HOOK, TRAFFIC_JOBS),)

MOST_ANSWER: Final = 16_384


def open_caller(account: Account) -> "LambdaHooks":
    """Return the caller of the functions of `account`."""
    return LambdaHooks(partial(account.single_try, "lambda"))


class LambdaHooks:
    """`HookCaller` of Lambda hooks, which have no private hosts.

    open_client: returns a client that waits so many seconds.
    """

    def __init__(self, open_client: Callable[[float], Any]) -> None:
        self._open_client = open_client

    def ask(
        self, hook: LambdaHook, call: HookCall, *, within: timedelta, private: Collection[str] = ()
    ) -> HookAnswer:
        try:
            answer = self._invoke(hook, call, within, "RequestResponse")
            if answer.get("FunctionError"):  # its payload may hold anything
                return HookAnswer(Consent.FAILED, "it ended in an error; see its log")
            body = _payload(answer)
        except DeliveryError as error:
            return HookAnswer(Consent.FAILED, printable_line(str(error)))
        except AWS_ERRORS as error:
            return HookAnswer(
                Consent.FAILED, printable_line(error_text(f"{hook.display_name} broke off", error))
            )
        if len(body) > MOST_ANSWER:
            return HookAnswer(
                Consent.FAILED, f"its answer is longer than {MOST_ANSWER // 1024} KiB"
            )
        return consent_of(body)

    def tell(
        self, hook: LambdaHook, call: HookCall, *, within: timedelta, private: Collection[str] = ()
    ) -> None:
        """Queue `call` at Lambda, which retries on its own. Raises DeliveryError."""
        self._invoke(hook, call, within, "Event")

    def _invoke(self, hook: LambdaHook, call: HookCall, within: timedelta, invocation: str) -> Any:
        try:
            answer = self._open_client(within.total_seconds()).invoke(
                FunctionName=hook.function, InvocationType=invocation, Payload=call.body.encode()
            )
        except UsageError as error:
            raise DeliveryError(str(error)) from error
        except AWS_ERRORS as error:
            what = f"{hook.display_name} was not invoked (lambda:InvokeFunction)"
            raise DeliveryError(error_text(what, error)) from error
        return answer


def _payload(answer: Any) -> bytes:
    """Return the payload of the function, at most MOST_ANSWER + 1 bytes of it.

    One read may end before the payload does. botocore compares the length with the announced one
    in the last read, which returns nothing.
    """
    body = b""
    while "Payload" in answer and len(body) <= MOST_ANSWER:
        part: bytes = answer["Payload"].read(MOST_ANSWER + 1 - len(body))
        if not part:
            break
        body += part
    return body
