"""The verb `schema`: prints the JSON Schema of policies, and of what verbs print as JSON."""

import json
from typing import Final

import click

from controller.errors import Exit
from controller.policy_file.schema import policy_schema
from controller.render.outputs.schema import OUTPUTS, output_schema

_POLICY: Final = "policy"


@click.command()
@click.argument(
    "name", type=click.Choice([_POLICY, *OUTPUTS]), default=_POLICY, metavar="[policy|VERB]"
)
def schema(name: str) -> int:
    """Print the JSON Schema of a policy, or of the JSON of a verb.

    Without a name, or with `policy`, that of a policy file, for editors. With the name of a verb,
    that of the document that it prints with --json: its field `schema` is that name and /1.
    """
    document = policy_schema() if name == _POLICY else output_schema(name)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    return Exit.DONE
