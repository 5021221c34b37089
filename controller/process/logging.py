"""Logs on stderr, as JSON or as lines of a terminal, and the catalogue of event names.

Each tick logs exactly one `tick_completed` per rollout with its result, and one `tick_ended` when
all rollouts are done. Every line of one run has the same `run`, as its history entries have.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TextIO, cast

from controller.safe_text import printable, printable_block

EVENTS: Final = {
    "tick_completed": "a tick visited one rollout: its phase, reason and next action",
    "rollout_saved": "a rollout was saved: its version, entries, and the hash of the last entry",
    "fix_not_allowed": "nothing in the store allows a rollout as a fix; all its criteria gate",
    "recipients_set": "the list of recipients was replaced: what it allows; null: it was removed",
    "rules_set": "the rules of the store were replaced: their text; null: they were removed",
    "store_format_set": "new rollouts of the store are stored in this format from now on",
    "tick_ended": "a tick visited all its rollouts: the results, and how long it took",
    "map_ended": "a map of batches has ended: how many rollouts were visited, late or failed",
    "map_failed": "a map of batches has ended, and no rollout was visited",
    "invocation_failed": "an invocation of the Lambda function did not do what its event names",
    "status_page_failed": "the status page of ROLLOUTCTL_STATUS_PAGE was not written",
    "tick_failed": "the active rollouts could not be listed; none was visited",
    "weight_shifted": "a step's weight was written: more traffic goes to the canary, or less",
    "weight_lowered": "all traffic goes to stable",
    "raise_held_back": "a freeze began after a raise was decided; the raise follows the freeze",
    "shift_refused": "the weight was not written; the next tick reads it again",
    "lower_delayed": "0% was not applied at once; the tick tries again after the other rollouts",
    "lower_failed": "0% could not be written; the next tick tries again",
    "target_unreadable": "the target did not answer; nothing is raised",
    "metrics_unavailable": "measurements could not be read; the gate is inconclusive",
    "alarms_unavailable": "alarms could not be read; their criteria are inconclusive",
    "logs_unavailable": "log events could not be counted; their criteria are inconclusive",
    "cloudwatch_warned": "CloudWatch answered with a warning about the whole call",
    "notice_sent": "a notice was written to the log or sent to a channel",
    "notify_failed": "a notice could not be sent; the tick goes on",
    "message_sent": "a message was delivered to a channel of the policy",
    "message_failed": "a message was not delivered to a channel; the next tick tries again",
    "message_given_up": "a message was not delivered to every channel in time; it is dropped",
    "hooks_unreachable": "the settings of hooks and webhooks are wrong; everything else goes on",
    "setting_ignored": "an optional setting is wrong and was left out; everything else goes on",
    "hook_answered": "a hook was called for a start or a step: its answer",
    "hooks_not_called": "the hooks of a rollout got no time; the next tick calls them first",
    "outbox_kept": "a sent message could not be marked as sent; it is sent again with the same key",
    "rollout_started": "a rollout was created and its first weight decided",
    "call_retried": "a call that lowers the weight is tried again",
    "tick_lost": "lock held or write conflict; nothing was changed, safe to retry",
    "lease_kept": "a lease could not be released; other runs wait until it expires",
    "caller_unknown": "the AWS caller is unknown; the history records it as unverified",
    "lease_failed": "the store accepts no writes; the rollout can only be lowered",
    "load_failed": "a stored rollout could not be read; it is skipped, the others go on",
    "owners_unread": "who owns the targets could not be read; rollouts can only be lowered",
    "state_changed": "the stored state is not that of the history; no tick raises the weight",
    "saved_in_future": "a rollout was last saved in the future; no tick raises it until then",
    "snapshot_changed": "the stored policy was changed after the start; no tick raises the weight",
    "save_failed": "a decision could not be saved; the other rollouts are still visited",
    "unexpected_error": "a fault of rolloutctl stopped one rollout; the others are still visited",
    "not_reached": "the tick ran out of time before this rollout; the next one begins with it",
    "targets_file_failed": "the targets file was not written; a rollback by id needs it",
}

_RUN_BYTES: Final = 6


class BestEffortStream:
    """A text stream that drops text it cannot write: a lost log line must not stop a rollback.

    stream: None where the process has none. problem: the first error; all later text is dropped.
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
        """Flush the stream, if that is possible."""
        with self._ignore_errors():
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
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
            # Discards buffered text: Python would write it again, and fail, when the process ends.
            with suppress(OSError, ValueError, AttributeError):
                descriptor = self.fileno()
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, descriptor)
                os.close(devnull)


class _RichBlocker:
    """Hides rich from structlog, which would import fifty of its modules just because it exists.

    A module finder without the base class of importlib.abc, which is slow to import.
    """

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname == "rich" or fullname.startswith("rich."):
            raise ModuleNotFoundError(fullname, name=fullname)


class _LazyModule(ModuleType):
    """A placeholder for a module, which is imported at the first access to an attribute.

    structlog imports asyncio for asynchronous loggers, which rolloutctl does not use.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def configure(
    stream: TextIO | None = None,
    *,
    verbose: bool = False,
    quiet: bool = False,
    **facts: object,
) -> None:
    """Send the logs of this process to `stream`, stderr by default; `facts` are in every line.

    A terminal gets lines for people, and of these only warnings and errors unless `verbose`:
    results say the rest. Anything else gets every line, as JSON; unless it is `quiet`, and not
    `verbose`: then warnings and errors. A run with the fact `dry_run` logs no effect.
    A stream that is closed, full or without a reader loses log lines, and raises no error.
    """
    structlog = _import_structlog()
    stream = _best_effort(stream or sys.stderr)
    renderers: list[Any] = [structlog.processors.JSONRenderer()]
    level, dropped = logging.INFO, []
    if not verbose and (quiet or stream.isatty()):
        level, dropped = logging.WARNING, [_without_results]
    if stream.isatty():
        renderers = [_console_fields, structlog.dev.ConsoleRenderer(colors=False)]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**facts)
    structlog.configure(
        processors=[
            *dropped,
            structlog.contextvars.merge_contextvars,
            _without_dry_effects,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


# Warnings about what a verb did, which its result says, too.
_IN_RESULTS: Final = frozenset({"notice_sent", "weight_lowered"})


def _without_results(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
    """Drop a line that a quiet terminal does not need."""
    if line["event"] in _IN_RESULTS:
        raise _import_structlog().DropEvent
    return line


# What a run did. A dry run leaves it out, and its result lists it behind "would:".
_EFFECTS: Final = frozenset(
    {
        "hook_answered",
        "message_sent",
        "rollout_saved",
        "rollout_started",
        "weight_lowered",
        "weight_shifted",
    }
)


def _without_dry_effects(logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
    """Drop a line about an effect that a dry run did not have."""
    if line.get("dry_run") and line["event"] in _EFFECTS:
        raise _import_structlog().DropEvent
    return line


class _PrintableRepr:
    """The repr of a value as one printable line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return printable(repr(self._value))


def _console_fields(_: object, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """Return `line` as printable text, without the field that only describes CloudWatch metrics."""
    line.pop("_aws", None)
    trace = line.pop("exception", None)
    fields = {
        name: printable(value) if isinstance(value, str) else _PrintableRepr(value)
        for name, value in line.items()
    }
    return fields if trace is None else {**fields, "exception": printable_block(trace.split("\n"))}


def new_run_id() -> str:
    """Return a unique id for this run of the program."""
    return os.urandom(_RUN_BYTES).hex()


def run_id() -> str:
    """Return the run id that was passed to `configure`; empty where there was none."""
    identifier = _import_structlog().contextvars.get_contextvars().get("run", "")
    return str(identifier)


def disable() -> None:
    """Log nothing in this process: for a rehearsal, whose timeline shows the same events."""
    structlog = _import_structlog()
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[_drop],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )


@contextmanager
def warnings_only(stream: TextIO) -> Iterator[None]:
    """Send only warnings and errors to `stream`: for a live view that shows the rest."""
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
    """Return the logger that all modules share; `configure` sets it up."""
    return _import_structlog().get_logger()


def _import_structlog() -> Any:
    if "structlog" in sys.modules or "rich" in sys.modules:
        import structlog

        return structlog
    blocker: Any = _RichBlocker()
    sys.meta_path.insert(0, blocker)
    asyncio = sys.modules.setdefault("asyncio", _LazyModule("asyncio"))
    try:
        import structlog
    finally:
        sys.meta_path.remove(blocker)
        if isinstance(asyncio, _LazyModule):
            del sys.modules["asyncio"]
    return structlog
