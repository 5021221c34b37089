"""The JSON of an error, and of verbs that print a document of another kind."""

from typing import Any

from controller.ports.json_types import Count, Document


class ErrorData(Document):
    """A command that failed before it had a result."""

    error: str
    """What is wrong, in one line."""
    details: list[str]
    """Further lines: each mistake of a policy file, or where to read on."""
    status: Count
    """The exit status of the command."""


class IamData(Document):
    """The least-privilege IAM policy of a role."""

    document: dict[str, Any] | None
    """The IAM policy; null with --parameters."""
    parameters: dict[str, str] | None
    """The parameters of the stack by name, each a list of ARNs with commas; null without it."""


class CompletionData(Document):
    """The completion script of a shell."""

    shell: str
    """Name of the shell."""
    script: str
    """What the shell evaluates."""


class FieldData(Document):
    """A field of a policy, or a kind of what one holds."""

    path: str
    """Where it is: criteria.success_rate.min."""
    text: str
    """What it is."""
    form: str
    """What a value is, in a few words."""
    required: bool
    """Whether a policy needs it."""
    default: str | None
    """Its default as a policy writes it; null: none."""
    example: str
    """An example as a policy writes it."""
    fields: list[str]
    """Names of the fields or kinds that it holds."""


class ExplainData(Document):
    """Fields of a policy."""

    fields: list[FieldData]
    """Each field that was named."""
