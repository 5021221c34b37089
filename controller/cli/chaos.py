"""A rehearsal of everything at once: a policy, a world and its faults, all drawn from a seed."""

import click

from controller.cli import options
from controller.errors import Exit, UsageError

NAME = "chaos"
# What chaos brings itself, or has no use for, by the names of `rehearse`'s parameters.
_BROUGHT = ("policy", "every", "expect", "adopt", "approve", "store_url", "markdown", "junit")


def rehearse_chaos(context: click.Context, seed: int, *, as_json: bool) -> Exit:
    """Play the chaos of `seed`; 7 when an invariant does not hold.

    Then the smallest story that shows it follows. Raises UsageError for what chaos brings itself.
    """
    _check_alone(context)
    from controller.bootstrap.chaos import chaos, draw, shrunk, story_data, story_text

    story = chaos(draw(seed))
    smallest = shrunk(story, chaos)
    if as_json:
        data = story_data(story)
        if smallest is not story:
            data["smallest"] = story_data(smallest)
        options.print_json("chaos", data)
    else:
        click.echo(story_text(story))
    if not story.violations:
        return Exit.DONE
    if smallest is not story and not as_json:
        click.echo(f"\nThe smallest story that shows it:\n\n{story_text(smallest)}")
    click.echo(f"rolloutctl: an invariant does not hold with seed {seed}", err=True)
    return Exit.CHECK_SAID_NO


def _check_alone(context: click.Context) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
        if given and parameter.name in _BROUGHT:
            name = "POLICY" if parameter.name == "policy" else parameter.opts[0]
            raise UsageError(
                f"{name} does not fit --scenario chaos, which brings its own policy, world and "
                "store: rolloutctl rehearse --scenario chaos --seed N"
            )
