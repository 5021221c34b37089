"""The verb `completion`: shell completion of rolloutctl, with the names of shipped scenarios."""

from importlib.resources import files

import click
from click.shell_completion import CompletionItem, get_completion_class

from controller.cli import options
from controller.cli.call import CommandContext
from controller.cli.result import Result
from controller.immutable import Immutable
from controller.policy_file.shipped import shipped_names

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


def complete_scenarios(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped scenarios that begin like `incomplete`, and leave files to the shell.

    Only file names are read: to import the simulation would delay every key press.
    """
    shipped = files("controller.simulation") / "scenarios"
    names = sorted(one.name.removesuffix(".yaml") for one in shipped.iterdir())
    matches = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    # The file item comes first: Click's bash script drops the items before it.
    return [CompletionItem(incomplete, type="file"), *matches]


def complete_shipped(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped policies that begin like `incomplete`."""
    return [CompletionItem(name) for name in shipped_names() if name.startswith(incomplete)]
