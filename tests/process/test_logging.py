"""The log: the catalogue has every event, and each line is JSON, or text on a terminal."""

import ast
import errno
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.process import logging
from tests.support.cases import cases

PACKAGE = Path(logging.__file__).parents[1]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def logged_events(tree: ast.AST) -> Iterator[str]:
    """Yield the first argument of each call of a log level, on any object: `log.info("...")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(value=str(name)), *_]):
                if attr in LEVELS:
                    yield name
            case ast.Call(func=ast.Name(id="write"), args=[ast.Constant(value=str(name)), *_]):
                yield name  # a notifier picks the level first
            case _:
                pass


def test_the_catalogue_and_the_code_name_the_same_events() -> None:
    used = {
        name
        for file in PACKAGE.rglob("*.py")
        for name in logged_events(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert used == set(logging.EVENTS)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_collector_gets_one_json_object_per_line() -> None:
    stream = io.StringIO()
    logging.configure(stream)
    logging.logger().warning("tick_lost", rollout="orders#1")
    ((line),) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "tick_lost", "level": "warning", "rollout": "orders#1"}


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    logging.configure(stream)
    logging.logger().warning("tick_lost", rollout="orders#1", _aws={"Timestamp": 1})
    assert "[warning  ] tick_lost" in stream.getvalue()
    assert "rollout=orders#1" in stream.getvalue()
    assert "_aws" not in stream.getvalue()


@cases("stream, verbose, events", {
    "a terminal: warnings and errors": (Terminal(), False, ["tick_lost"]),
    "a terminal with -v": (Terminal(), True, ["tick_ended", "tick_lost"]),
    "a collector": (io.StringIO(), False, ["tick_ended", "tick_lost"]),
})  # fmt: skip
def test_a_terminal_is_quiet_unless_it_asks(
    stream: io.StringIO, verbose: bool, events: list[str]
) -> None:
    logging.configure(stream, verbose=verbose)
    logging.logger().info("tick_ended")
    logging.logger().warning("tick_lost")
    shown = [name for name in ("tick_ended", "tick_lost") if name in stream.getvalue()]
    assert shown == events


def test_fields_of_the_process_are_in_every_line_and_do_not_outlive_it() -> None:
    dry, wet = io.StringIO(), io.StringIO()
    logging.configure(dry, dry_run=True)
    logging.logger().info("tick_lost")
    logging.configure(wet)
    logging.logger().info("tick_lost")
    assert [line.get("dry_run") for line in (*lines(dry), *lines(wet))] == [True, None]


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@cases("stderr", {
    "the process has none": None,
    "it is closed_stream": closed_stream(),
    "it is full": Full(),
})  # fmt: skip
def test_a_log_that_cannot_be_written_stops_nothing(
    stderr: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stderr)
    logging.configure()
    logging.logger().critical("lower_failed")
    with logging.warnings_only(sys.stderr):
        logging.logger().warning("tick_lost")
    logging.logger().info("weight_lowered")


def test_during_a_live_view_only_warnings_are_logged_and_all_again_afterwards() -> None:
    collector, view = io.StringIO(), io.StringIO()
    logging.configure(collector, dry_run=False)
    with logging.warnings_only(view):
        logging.logger().info("tick_completed")
        logging.logger().warning("tick_lost")
    logging.logger().info("tick_completed")
    warnings = [(line["event"], line["dry_run"]) for line in lines(view)]
    assert warnings == [("tick_lost", False)]
    assert [line["event"] for line in lines(collector)] == ["tick_completed"]
