"""Calls to AWS and their answers, as a proxy sees them."""

from collections.abc import Callable, Mapping
from email.message import Message
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from controller.immutable import Immutable

_LAMBDA: Final = {"GET": "GetFunctionConfiguration", "PUT": "UpdateFunctionConfiguration"}


class Call(Immutable):
    """One call to AWS, or one more try of it: all tries have the same `invocation`."""

    operation: str
    invocation: str
    body: bytes


class Reply(Immutable):
    """What answers a call: HTTP status, headers and content."""

    status: int
    headers: Mapping[str, str]
    content: bytes


Wanted: TypeAlias = Callable[[Call], bool]


def named(operation: str) -> Wanted:
    """Return a predicate: whether a call is of `operation`."""
    return lambda call: call.operation == operation


def call_of(command: str, path: str, headers: Message, body: bytes) -> Call:
    """Parse an HTTP request as a call to AWS."""
    return Call(_operation(command, path, headers), headers.get("amz-sdk-invocation-id", ""), body)


def _operation(command: str, path: str, headers: Message) -> str:
    if target := headers.get("X-Amz-Target", ""):
        return target.partition(".")[2]
    last = urlsplit(path).path.rpartition("/")[2]
    return _LAMBDA.get(command, command) if last == "configuration" else f"{command} {last}"
