"""Faults of the network and of AWS, for the proxy to inject into calls."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from tests.e2e.calls import Call, Reply


class Exchange(Protocol):
    """One try of a call, as the proxy handles it."""

    call: Call

    def carry_out(self) -> Reply:
        """Forward the call to the emulator, and return its answer."""
        ...

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Send `reply` to the client, with this Content-Length."""
        ...

    def drip(self, reply: Reply, seconds: float) -> None:
        """Send `reply` a byte at a time, with `seconds` between two bytes."""
        ...

    def hold(self) -> None:
        """Send nothing until the client has closed the connection, or the proxy stops."""
        ...

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection, or reset it."""
        ...


Fault: TypeAlias = Callable[[Exchange], None]


def never_made(exchange: Exchange) -> None:
    """The call never arrives, and its connection is closed."""
    exchange.cut()


def reset(exchange: Exchange) -> None:
    """The call never arrives: the connection is reset."""
    exchange.cut(reset=True)


def answer_lost(exchange: Exchange) -> None:
    """The call is executed, and its connection is closed before the answer."""
    exchange.carry_out()
    exchange.cut()


def answer_reset(exchange: Exchange) -> None:
    """The call is executed, and its connection is reset before the answer."""
    exchange.carry_out()
    exchange.cut(reset=True)


def killed_before(exchange: Exchange) -> None:
    """The process that makes the call is killed, and the call never arrives."""
    os.kill(exchange.call.process, signal.SIGKILL)
    exchange.cut()


def killed_after(exchange: Exchange) -> None:
    """The call is executed, and the process that made it is killed before the answer."""
    exchange.carry_out()
    killed_before(exchange)


def slow(seconds: float) -> Fault:
    """The call is executed, and its answer comes after `seconds`."""

    def late(exchange: Exchange) -> None:
        reply = exchange.carry_out()
        time.sleep(seconds)
        exchange.answer(reply)

    return late


def drip(seconds_between_bytes: float) -> Fault:
    """The call is executed, and its answer comes a byte at a time, headers and body."""

    def drop_by_drop(exchange: Exchange) -> None:
        exchange.drip(exchange.carry_out(), seconds_between_bytes)

    return drop_by_drop


def hang(exchange: Exchange) -> None:
    """The call arrives and is not executed, and no answer comes."""
    exchange.hold()


def refused(status: int, code: str, words: str = "Rate exceeded") -> Fault:
    """The call is refused as AWS does, in any protocol of its services."""

    def refuse(exchange: Exchange) -> None:
        exchange.answer(_refusal(status, code, words))

    return refuse


def page(status: int = 200) -> Fault:
    """The answer does not come from AWS, but from a web proxy or a captive portal."""

    def show(exchange: Exchange) -> None:
        html = b"<html><body>Please log in</body></html>"
        exchange.answer(Reply(status, {"Content-Type": "text/html"}, html))

    return show


def body(
    content: bytes, status: int = 200, content_type: str = "application/x-amz-json-1.1"
) -> Fault:
    """The call is not executed; the answer is `content`, with a request id as AWS gives one."""
    headers = {"Content-Type": content_type, "x-amzn-RequestId": "made-by-the-proxy"}

    def say(exchange: Exchange) -> None:
        exchange.answer(Reply(status, headers, content))

    return say


def half(exchange: Exchange) -> None:
    """The call is executed, and its connection is closed in the middle of the answer."""
    reply = exchange.carry_out()
    exchange.answer(_half_of(reply), length=len(reply.content))
    exchange.cut()


def garbled(exchange: Exchange) -> None:
    """The call is executed, and its answer arrives corrupted: half of it, as if it were all."""
    exchange.answer(_half_of(exchange.carry_out()))


def _half_of(reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.content[: len(reply.content) // 2])


def _refusal(status: int, code: str, words: str) -> Reply:
    """Return the error as all JSON protocols of AWS understand it: a header, or `__type`."""
    headers: Mapping[str, str] = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-ErrorType": code,
        "x-amzn-RequestId": "refused-by-the-proxy",
    }
    return Reply(status, headers, json.dumps({"__type": code, "message": words}).encode())
