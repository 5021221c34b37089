"""The table of what each command does and takes, from the parser of the command line."""

from collections.abc import Iterator

import click

from controller.cli import VERBS, rolloutctl

# What every command takes.
EVERYWHERE = {"--json", "--verbose"}
_SILENT = {"--help", *EVERYWHERE}
_LONGEST = 200  # characters; no first sentence has more


def options() -> list[list[str]]:
    """Return a row for each command: what it does, its arguments and its options."""
    rows = [
        [
            f"`{' '.join([name, *_listed(click.Argument, one)])}`",
            _sentence(one),
            ", ".join(f"`{each}`" for each in _listed(click.Option, one)),
        ]
        for verb in VERBS
        for name, one in _commands(verb, _command(verb))
    ]
    return [["command", "does", "options"], *rows]


def takes_what_all_take() -> bool:
    """Tell whether every command has the options that the table leaves out."""
    commands = [one for verb in VERBS for _, one in _commands(verb, _command(verb))]
    return all(
        {option for each in one.params for option in each.opts} >= EVERYWHERE for one in commands
    )


def _command(verb: str) -> click.Command:
    _, found, _ = rolloutctl.resolve_command(click.Context(rolloutctl), [verb])
    assert found is not None
    return found


def _commands(name: str, one: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield a command by its name; of a group, each of its commands."""
    if not isinstance(one, click.Group):
        yield name, one
        return
    for part, inner in one.commands.items():
        yield from _commands(f"{name} {part}", inner)


def _sentence(one: click.Command) -> str:
    """Return the first sentence of the help, which `--help` shows beside the command."""
    return one.get_short_help_str(_LONGEST).removesuffix(".").replace("|", "\\|")


def _listed(kind: type[click.Parameter], one: click.Command) -> list[str]:
    # A command keeps the help option of its first context, so that has its names.
    context = click.Context(one, **rolloutctl.context_settings)
    shown = [each for each in one.get_params(context) if isinstance(each, kind)]
    shown = [each for each in shown if each.opts[-1] not in _SILENT]
    return [_text(each, context).replace("|", "\\|") for each in shown]


def _text(one: click.Parameter, context: click.Context) -> str:
    """Return an argument or an option as the help shows it: `POLICY...`, `--minutes NUMBER`."""
    if isinstance(one, click.Argument):
        return one.make_metavar(context)
    names = "/".join([*one.opts[-1:], *one.secondary_opts])
    is_flag = isinstance(one, click.Option) and (one.is_flag or one.count)
    return names if is_flag else f"{names} {one.make_metavar(context)}"
