"""The command line. Commands are imported when they are called: a tick loads no other verb.

Results go to stdout, logs and errors to stderr, and the exit status says how it ended (errors.py).
"""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Final

import click

from controller.cli import streams
from controller.errors import Exit, RolloutError

# Verb -> module and attribute; the order of `--help`.
_VERBS: Final = {
    "validate": "controller.cli.policy:validate",
    "schema": "controller.cli.policy:schema",
    "plan": "controller.cli.plan:plan",
    "rehearse": "controller.cli.rehearse:rehearse",
    "start": "controller.cli.rollout:start",
    "tick": "controller.cli.rollout:tick",
    "run": "controller.cli.run:run",
    "status": "controller.cli.look:status",
    "history": "controller.cli.look:history",
    "replay": "controller.cli.replay:replay",
    "pause": "controller.cli.steer:pause",
    "resume": "controller.cli.steer:resume",
    "promote": "controller.cli.steer:promote",
    "approve": "controller.cli.steer:approve",
    "retry": "controller.cli.steer:retry",
    "rollback": "controller.cli.rollback:rollback",
    "store": "controller.cli.store:store",
    "completion": "controller.cli.completion:completion",
}


class _Verbs(click.Group):
    """Finds commands by name and imports only the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _VERBS.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rolloutctl")
def rolloutctl() -> None:
    """Move traffic to a new path in steps, and back by itself when a gate fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    SIGTERM ends it wherever it is, as Ctrl-C does: what was saved and not done, or done and not
    saved, is put right by the next tick. A result that cannot be written stops nothing, and ends
    with 1.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    with streams.unfailing() as results:
        return streams.status_with(results, _run(args))


def _run(args: list[str]) -> int:
    try:
        with _terminable():
            status = rolloutctl.main(args, prog_name="rolloutctl", standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except _Terminated:
        return 128 + signal.SIGTERM
    except RolloutError as error:
        click.echo(f"rolloutctl: {error}", err=True)
        return error.exit_status
    return int(status or 0)


class _Terminated(BaseException):
    """SIGTERM came: whoever runs containers wants this process to end."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the command; the first process of a container would not hear of it."""

    def terminate(_number: int, _frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # a test runner's thread may handle no signals
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
