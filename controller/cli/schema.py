"""The verb `schema`: prints the JSON Schema of policies, and of what verbs print as JSON."""

import json
from typing import TYPE_CHECKING, Final

import click

from controller.cli import options
from controller.cli.call import Call
from controller.cli.result import Result
from controller.policy_file.schema import policy_schema
from controller.render.outputs.schema import OUTPUTS, output_schema

if TYPE_CHECKING:
    from controller.render.outputs.command_line import SchemaData

_POLICY: Final = "policy"


@click.command()
@click.argument(
    "name", type=click.Choice([_POLICY, *OUTPUTS]), default=_POLICY, metavar="[policy|VERB]"
)
@options.call_options("json")
def schema(_call: Call, name: str) -> Result:
    """Print the JSON Schema of a policy, or of the JSON of a verb.

    Without a name, or with `policy`, that of a policy file, for editors. With the name of a verb,
    that of the document that it prints with --json: its field `schema` is that name and /1. With
    --json, the schema is in such a document, too.
    """
    document = policy_schema() if name == _POLICY else output_schema(name)

    def data() -> "SchemaData":
        return {"name": name, "document": document}

    text = json.dumps(document, indent=2, ensure_ascii=False)
    return Result("schema", data, text=lambda: text)
