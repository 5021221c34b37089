"""Logs: structlog on stderr, JSON unless a person is looking, and the catalogue of event names.

Exactly one `tick_completed` per rollout and tick carries the story, and one `tick_ended` per tick
says that it came to its end. Every line of one run has the same `run`, as its history has.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TextIO, cast

from controller.text import printable, printable_block

EVENTS: Final = {
    "tick_completed": "one rollout was visited: where it stands, why, what comes next",
    "rollout_saved": "a rollout was saved: its version, entries, and the hash of the last entry",
    "tick_ended": "all rollouts of a tick were visited: what was seen, and what that took",
    "tick_failed": "the active rollouts could not be listed; none was visited",
    "weight_shifted": "a step's weight was written: more traffic goes to the canary, or less",
    "weight_lowered": "all traffic goes to stable",
    "raise_held_back": "a freeze has begun since a raise was decided; it comes after that",
    "shift_refused": "the weight was not written; the next tick looks again",
    "lower_delayed": "0 % was not taken at once; it is insisted on after the other rollouts",
    "lower_failed": "0 % could not be written; the next tick tries again",
    "target_unreadable": "the target did not answer; nothing is raised",
    "metrics_unavailable": "measurements could not be read; the gate is inconclusive",
    "alarms_unavailable": "alarms could not be read; what they gate is inconclusive",
    "logs_unavailable": "log events could not be counted; they tell nothing",
    "cloudwatch_warned": "CloudWatch answered with a warning about the whole call",
    "notice_sent": "people were told something",
    "notify_failed": "people could not be told; the tick goes on",
    "message_sent": "a message arrived at a channel of the policy",
    "message_failed": "a message did not arrive at a channel; the next tick tries again",
    "message_given_up": "a message did not arrive everywhere in its time, and is not tried again",
    "hooks_unreachable": "the settings of hooks and webhooks are wrong; everything else goes on",
    "hook_answered": "a hook was asked whether it allows a start or a step, and what it said",
    "outbox_kept": "what was sent could not be crossed off; it is sent again under the same key",
    "rollout_started": "a rollout was created and its first weight decided",
    "call_retried": "a call that lowers the weight is tried again",
    "tick_lost": "another run holds the rollout or saved first; this one changed nothing",
    "lease_kept": "a lease could not be given back; other runs wait until it is over",
    "caller_unknown": "AWS did not say whose credentials these are; the history says unverified",
    "lease_failed": "the store takes no writes; the rollout may be lowered, and nothing else",
    "load_failed": "a stored rollout could not be read; it is left alone, the others go on",
    "snapshot_changed": "the stored policy is not the one of the start; the rollout only lowers",
    "save_failed": "a decision could not be saved; the other rollouts are still visited",
    "unexpected_error": "one rollout met a fault of this program; the others are still visited",
    "not_reached": "the time of the tick was over before this rollout; the next one begins with it",
    "targets_file_failed": "the file beside the store was not written; a rollback by id needs it",
}

_RUN_BYTES: Final = 6


class BestEffortStream:
    """A text stream that drops what nobody takes: no word that is lost may stop a rollback.

    stream: None where a process has none. problem: what went wrong first; everything goes nowhere
    from then on.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.problem: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write `text` if that is possible, and return its length."""
        if not isinstance(text, str):  # Click asks in this way whether a stream is binary
            raise TypeError("text is written here")
        with self._ignore_errors():
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written, if that is possible."""
        with self._ignore_errors():
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether a person is looking."""
        with self._ignore_errors():
            return self._stream is not None and self._stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _ignore_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # full, without a reader; closed
            self.problem = self.problem or error
            self._redirect_to_devnull()

    def _redirect_to_devnull(self) -> None:
        """Let nothing come of what is buffered: Python writes that once more when it ends."""
        with suppress(OSError, ValueError, AttributeError):
            place = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, place)
            os.close(nowhere)


class _RichBlocker:
    """Hides rich from structlog, which imports fifty of its modules only because it is there.

    A finder of modules; importlib.abc, which has a base for them, takes long to import itself.
    """

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname == "rich" or fullname.startswith("rich."):
            raise ModuleNotFoundError(fullname, name=fullname)


class _LazyModule(ModuleType):
    """Stands for a module that is imported by the first look into it.

    structlog imports asyncio for loggers of coroutines, of which there are none here.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def configure(stream: TextIO | None = None, **facts: object) -> None:
    """Send the logs of this process to `stream`, stderr by default; `facts` stand in every line.

    A stream that is closed, full or without a reader loses them, and stops nothing.
    """
    structlog = _import_structlog()
    stream = _best_effort(stream or sys.stderr)
    rendered: list[Any] = [structlog.processors.JSONRenderer()]
    if stream.isatty():
        rendered = [_console_fields, structlog.dev.ConsoleRenderer(colors=False)]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**facts)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


class _PrintableRepr:
    """Shows a value as Python writes it, in one printable line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return printable(repr(self._value))


def _console_fields(_: object, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only tells CloudWatch which fields are metrics; the rest is printable."""
    line.pop("_aws", None)
    trace = line.pop("exception", None)
    shown = {
        name: printable(one) if isinstance(one, str) else _PrintableRepr(one)
        for name, one in line.items()
    }
    return shown if trace is None else {**shown, "exception": printable_block(trace.split("\n"))}


def new_run_id() -> str:
    """Return a name for this run of the program, which no other run has."""
    return os.urandom(_RUN_BYTES).hex()


def run_id() -> str:
    """Return the name of the run that `configure` was told; empty where it was told none."""
    found = _import_structlog().contextvars.get_contextvars().get("run", "")
    return str(found)


def disable() -> None:
    """Log nothing in this process: for a rehearsal, whose timeline tells the same story."""
    structlog = _import_structlog()
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[_drop],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )


@contextmanager
def warnings_only(stream: TextIO) -> Iterator[None]:
    """Send warnings and worse to `stream`, and nothing else: for a view that tells the rest."""
    structlog = _import_structlog()
    before = structlog.get_config()
    structlog.configure(
        **{
            **before,
            "wrapper_class": structlog.make_filtering_bound_logger(logging.WARNING),
            "logger_factory": structlog.PrintLoggerFactory(_best_effort(stream)),
        }
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _best_effort(stream: Any) -> TextIO:
    return cast(
        "TextIO", stream if isinstance(stream, BestEffortStream) else BestEffortStream(stream)
    )


def _drop(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    raise _import_structlog().DropEvent


def logger() -> Any:
    """Return the logger that every module shares; it is configured by `configure`."""
    return _import_structlog().get_logger()


def _import_structlog() -> Any:
    if "structlog" in sys.modules or "rich" in sys.modules:
        import structlog

        return structlog
    blocker: Any = _RichBlocker()
    sys.meta_path.insert(0, blocker)
    late = sys.modules.setdefault("asyncio", _LazyModule("asyncio"))
    try:
        import structlog
    finally:
        sys.meta_path.remove(blocker)
        if isinstance(late, _LazyModule):
            del sys.modules["asyncio"]
    return structlog
