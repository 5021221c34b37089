"""The verb `completion`: shell completion of rolloutctl."""

import click
from click.shell_completion import get_completion_class

from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.immutable import Immutable

_SHELLS = ("bash", "zsh", "fish")


class CompletionData(Immutable):
    """The completion script of a shell."""

    shell: str
    """Name of the shell."""
    script: str
    """What the shell evaluates."""


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), metavar="bash|zsh|fish")
@options.call_options("json")
def completion(_call: CommandContext, shell: str) -> Result:
    """Print the shell completion script.

    For bash, this line in ~/.bashrc does it: eval "$(rolloutctl completion bash)"
    """
    root = click.get_current_context().find_root()
    shell_class = get_completion_class(shell)
    if shell_class is None:  # Click has all three
        raise click.BadParameter(f"Click completes nothing in {shell}")
    name = root.info_name or ""
    script = shell_class(root.command, {}, name, f"_{name.upper()}_COMPLETE").source()
    return Result("completion", lambda: CompletionData(shell, script), text=lambda: script)
