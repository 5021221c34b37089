"""Building blocks of a policy: the base model, names, counts, windows, and where resources are."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from controller.core.units import DurationRange, written_text
from controller.immutable import Immutable


class Model(BaseModel):
    """Base of everything in a policy file: frozen, and unknown keys are mistakes.

    example: one as a policy writes it, in a line; empty: messages and `explain` show none.
    """

    example: ClassVar[str] = ""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Form(Immutable):
    """Says what a text with a pattern is, for the message about a text that does not match it."""

    words: str


Name: TypeAlias = Annotated[
    str,
    Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$"),
    Form("a name (a letter, then letters, digits, _ . -; at most 63)"),
]

# Strict: neither "3" nor true is a number of requests.
Count: TypeAlias = Annotated[int, Field(ge=1, strict=True)]


def at_least_one(
    item: str, hint: str = "; leave the key out where there is none"
) -> AfterValidator:
    """Return the validator that refuses a list without an `item`. hint: what to do about it.

    It is no `min_length`: pydantic counts only valid items, and reports 0 of them where the list
    has one that is invalid.
    """

    def check(items: tuple[Any, ...]) -> tuple[Any, ...]:
        if not items:
            raise ValueError(f"needs at least one {item}{hint}")
        return items

    return AfterValidator(check)


class _WindowRange(DurationRange):
    """A length whose windows divide a day."""

    def read(self, value: object) -> timedelta:
        length = super().read(value)
        seconds = int(length.total_seconds())
        if seconds % 60 or 86_400 % seconds:
            raise ValueError(
                "must be whole minutes that divide a day, like 1m, 5m or 1h, "
                f"not {written_text(value)}"
            )
        return length


WindowLength: TypeAlias = Annotated[timedelta, _WindowRange("1m", "1d")]


def one_of_problem(first: str, second: str, *, given: bool) -> str:
    """Return that one of two fields is needed; given: both are there, so that one is too many."""
    if given:
        return f"has both `{first}` and `{second}`: leave one of them out"
    return f"needs `{first}` or `{second}`"


class AwsLocation(Immutable):
    """Account, region and partition of a role; CloudFormation's `Fn::Sub` fills unknown ones in."""

    account: str = "${AWS::AccountId}"
    region: str = "${AWS::Region}"
    partition: str = "${AWS::Partition}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` of `service` in this location."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """Return the ARN of a `resource` of `service` that belongs to no region."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    def full_arn(self, name: str, service: str, resource: str) -> str:
        """Return `name` if it is an ARN, else that of `resource`, in which `{}` is the name."""
        return name if name.startswith("arn:") else self.arn(service, resource.format(name))
