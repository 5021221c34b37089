"""Calls to AWS and their answers, as a proxy sees them."""

import re
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from controller.immutable import Immutable

_LAMBDA: Final = {"GET": "GetFunctionConfiguration", "PUT": "UpdateFunctionConfiguration"}


class Call(Immutable):
    """One call to AWS, or one more try of it: all tries have the same `invocation`.

    process: the id of the process that made it, where its environment says so; 0: it does not.
    """

    operation: str
    invocation: str
    body: bytes
    path: str = ""
    process: int = 0


class Reply(Immutable):
    """What answers a call: HTTP status, headers and content."""

    status: int
    headers: Mapping[str, str]
    content: bytes


Wanted: TypeAlias = Callable[[Call], bool]


# What tells the proxy who calls: botocore sends this variable in each request.
NAME_PROCESS: Final = "os.environ['AWS_EXECUTION_ENV'] = f'process-{os.getpid()}'\n"
_PROCESS: Final = re.compile(r"exec-env/process-(\d+)")


def named(operation: str) -> Wanted:
    """Return a predicate: whether a call is of `operation`."""
    return lambda call: call.operation == operation


def call_of(command: str, path: str, headers: Message, body: bytes) -> Call:
    """Parse an HTTP request as a call to AWS."""
    named = _PROCESS.search(headers.get("User-Agent", ""))
    return Call(
        _operation(command, path, headers),
        headers.get("amz-sdk-invocation-id", ""),
        body,
        path,
        int(named[1]) if named else 0,
    )


def _operation(command: str, path: str, headers: Message) -> str:
    if target := headers.get("X-Amz-Target", ""):
        return target.partition(".")[2]
    last = urlsplit(path).path.rpartition("/")[2]
    return _LAMBDA.get(command, command) if last == "configuration" else f"{command} {last}"
