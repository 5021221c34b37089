"""The command line of rolloutctl. Each verb is imported when it is called: a tick loads no other.

Results go to stdout, logs and errors to stderr; errors.py lists the exit statuses.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

import click

from controller.cli import streams
from controller.errors import Exit, RolloutError
from controller.process import signals

# Verb -> module and attribute, which is the command or a table of commands; the order of `--help`.
VERBS: Final = {
    "validate": "controller.cli.validate:validate",
    "schema": "controller.cli.validate:schema",
    "plan": "controller.cli.plan:plan",
    "rehearse": "controller.cli.rehearse:rehearse",
    "start": "controller.cli.start:start",
    "tick": "controller.cli.tick:tick",
    "run": "controller.cli.run:run",
    "status": "controller.cli.status:status",
    "history": "controller.cli.history:history",
    "replay": "controller.cli.replay:replay",
    "pause": "controller.cli.operator_verbs:COMMANDS",
    "resume": "controller.cli.operator_verbs:COMMANDS",
    "promote": "controller.cli.operator_verbs:COMMANDS",
    "ack": "controller.cli.operator_verbs:COMMANDS",
    "approve": "controller.cli.operator_verbs:COMMANDS",
    "attest": "controller.cli.operator_verbs:COMMANDS",
    "retry": "controller.cli.start:retry",
    "rollback": "controller.cli.rollback:rollback",
    "set-weight": "controller.cli.set_weight:set_weight",
    "metrics": "controller.cli.metrics:metrics",
    "logs": "controller.cli.logs:logs",
    "verify": "controller.cli.verify:verify",
    "doctor": "controller.cli.doctor:doctor",
    "monitoring": "controller.cli.monitoring:monitoring",
    "permanent": "controller.cli.permanent:permanent",
    "store": "controller.cli.store:store",
    "iam": "controller.cli.iam:iam",
    "completion": "controller.cli.completion:completion",
}


class _LazyGroup(click.Group):
    """A Click group that imports only the module of the verb that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        import_path = VERBS.get(cmd_name)
        if import_path is None:
            return None
        module, attribute = import_path.split(":")
        found: click.Command | Mapping[str, click.Command]
        found = getattr(import_module(module), attribute)
        return found[cmd_name] if isinstance(found, Mapping) else found


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rolloutctl")
def rolloutctl() -> None:
    """Move traffic to a new path in steps, and back by itself when a gate fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    SIGTERM ends it at a safe point (process/signals.py), as Ctrl-C does. A result that cannot be
    written to stdout does not stop the command; it then ends with 1.
    """
    # The search for plugins takes 10 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    args = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded_output() as results:
        return streams.final_status(results, _run(args))


def _run(args: list[str]) -> int:
    status: int = Exit.DONE
    with signals.handle_signals() as received, suppress(signals.StoppedError):
        status = _invoke(args)
    if not received.first_signal or status == Exit.UNCONFIRMED:
        return status
    if received.deferred:
        where = "in the middle of a call" if received.interrupted else "at a safe point"
        name = signal.Signals(received.first_signal).name
        click.echo(
            f"rolloutctl: ended by {name} {where}; the next tick, or the same command, goes on",
            err=True,
        )
    return 128 + received.first_signal


def _invoke(args: list[str]) -> int:
    try:
        status = rolloutctl.main(args, prog_name="rolloutctl", standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except RolloutError as error:
        click.echo(f"rolloutctl: {error}", err=True)
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - an operator gets a sentence, no traceback
        from controller.engine.isolation import places_of

        click.echo(
            f"rolloutctl: unexpected {type(error).__name__} at {' > '.join(places_of(error))}: a "
            "fault of rolloutctl; report it. To set 0 % at once without a store: rolloutctl "
            "rollback --function F --percentage K [--boolean B]",
            err=True,
        )
        return Exit.INTERNAL
    return int(status or 0)
