"""The verb that makes shells complete the others, and what they complete beyond Click's own."""

from importlib.resources import files

import click
from click.shell_completion import CompletionItem, get_completion_class

from controller.errors import Exit

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), metavar="bash|zsh|fish")
def completion(shell: str) -> int:
    """Print a script that makes a shell complete rolloutctl.

    For bash, this line in ~/.bashrc does it: eval "$(rolloutctl completion bash)"
    """
    root = click.get_current_context().find_root()
    known = get_completion_class(shell)
    if known is None:  # Click has all three
        raise click.BadParameter(f"Click completes nothing in {shell}")
    name = root.info_name or ""
    click.echo(known(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
    return Exit.DONE


def complete_scenarios(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped scenarios that begin like `incomplete`, and leave files to the shell.

    Only their file names are looked at: a key press has no time to load a simulation.
    """
    shipped = files("controller.simulation") / "scenarios"
    names = sorted(one.name.removesuffix(".yaml") for one in shipped.iterdir())
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    # First, for Click's script for bash forgets what came before a file.
    return [CompletionItem(incomplete, type="file"), *found]
