"""Log events that tell whether requests reach the canary after a rollback."""

from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from controller.core.policy.field_types import Form, Model
from controller.core.units import quote_value

LogGroup: TypeAlias = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_./#-]{1,512}$"),
    Form("the name of a log group (letters, digits, _ - / . #; at most 512)"),
]


def _event_pattern(written: str) -> str:
    """Return the pattern `written` when it matches one event alone; raise ValueError otherwise."""
    text = written.strip()
    ends = (text[:1], text[-1:])
    inside = text[1:-1].strip()
    fits = ends == ("{", "}") and inside.startswith(("$.", "("))
    fits = fits or (ends == ('"', '"') and inside != "" and '"' not in inside.replace('\\"', ""))
    if not (fits or (text.isascii() and text.replace("_", "").isalnum())):
        raise ValueError(
            'expected { $.event = "name" }, "words in quotes" or one word of letters, digits and '
            f"_, not {quote_value(written)}"
        )
    return text


EventPattern: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=1_024), AfterValidator(_event_pattern)
]


def lambda_log_group(function: str) -> str:
    """Return the default log group of the function of this name or ARN."""
    return f"/aws/lambda/{function.rpartition(':')[2]}"


class VerifyRollback(Model):
    """Two events in the log of the function: of the canary alone, and of the stable path alone."""

    example: ClassVar[str] = (
        """{absent: '{ $.Path = "canary" }', present: '{ $.Path = "stable" }'}"""
    )

    log_group: LogGroup | None = Field(
        default=None,
        examples=["/aws/lambda/checkout"],
        description="CloudWatch log group. /aws/lambda/ and the function's name if left out.",
    )
    absent: EventPattern = Field(
        description="Filter pattern of an event that only the canary logs, once a request: none "
        "may come after a rollback."
    )
    present: EventPattern = Field(
        description="Filter pattern of an event that only the stable path logs, once a request: "
        "without it, a missing event confirms nothing."
    )
