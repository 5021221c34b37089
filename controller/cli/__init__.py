"""The command line. Commands are imported when they are called: a tick loads no other verb.

Results go to stdout, logs and errors to stderr, and the exit status says how it ended (errors.py).
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from controller.errors import Exit, RolloutError

# Verb -> module and attribute; the order of `--help`.
_VERBS: Final = {
    "validate": "controller.cli.policy:validate",
    "schema": "controller.cli.policy:schema",
    "plan": "controller.cli.plan:plan",
    "rehearse": "controller.cli.rehearse:rehearse",
    "start": "controller.cli.rollout:start",
    "tick": "controller.cli.rollout:tick",
    "run": "controller.cli.rollout:run",
    "status": "controller.cli.look:status",
    "history": "controller.cli.look:history",
    "rollback": "controller.cli.rollback:rollback",
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
    """Run one command and return its exit status."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = rolloutctl.main(args, prog_name="rolloutctl", standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return Exit.USAGE
    except click.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except RolloutError as error:
        click.echo(f"rolloutctl: {error}", err=True)
        return error.exit_status
    return int(status or 0)
