"""Hooks of a policy: Lambda functions and HTTPS hosts, called before and after a transition."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from controller.core.policy.field_types import AwsLocation, Form, Model, at_least_one
from controller.core.policy.notify import Host, Recipient, SecretField, SecretReference
from controller.core.units import DurationRange

FUNCTION_PATTERN = (
    r"^(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?"
    r"[A-Za-z0-9_-]{1,140}(:[A-Za-z0-9_$-]{1,128})?$"
)
# Neither a user nor a fragment: the signature identifies the caller.
URL_PATTERN = r"^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?([/?][!-\"$-~]*)?$"

Timeout: TypeAlias = Annotated[timedelta, DurationRange("1s", "60s")]


class Hook(Recipient):
    """Base of every kind of hook.

    called_by: the path `module:function` of the function that returns the adapter of the kind, a
        `HookCaller` (ports/notify.py); it takes the `Account` (ports/account.py).
    """

    called_by: ClassVar[str] = ""

    timeout: Timeout = Field(
        default=timedelta(seconds=10),
        description="How long all tries of one call may take together.",
    )


class LambdaHook(Hook):
    """A Lambda function; IAM says who may invoke it."""

    example: ClassVar[str] = "{kind: lambda, function: change-calendar}"
    called_by: ClassVar[str] = "controller.adapters.hooks:open_lambda_caller"

    kind: Literal["lambda"] = Field(description="What is called.")
    function: Annotated[
        str, Field(pattern=FUNCTION_PATTERN), Form("the name or ARN of a function")
    ] = Field(description="Name or ARN of the function; with a version or an alias behind a colon.")

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {"hook": [where.full_arn(self.function, "lambda", "function:{}")]}

    @property
    def display_name(self) -> str:
        return f"lambda {self.function.partition(':function:')[2] or self.function}"


class HttpsHook(Hook):
    """A host that takes a signed POST."""

    example: ClassVar[str] = (
        '{kind: https, url: "https://ci.example.com/gate", secret: {secret: gate-key}}'
    )
    called_by: ClassVar[str] = "controller.adapters.hooks:open_https_caller"

    kind: Literal["https"] = Field(description="What is called.")
    url: Annotated[
        str,
        Field(max_length=2_000, pattern=URL_PATTERN),
        Form("a URL like https://host/path, without a user and a fragment"),
    ] = Field(description="Where to; it is in the history and the log, so it must hold no secret.")
    secret: SecretField = Field(
        description="Where the key of the signature is kept; a policy never contains it."
    )

    @property
    def secret_reference(self) -> SecretReference:
        """The key of the signature."""
        return self.secret

    @property
    def host(self) -> str:
        """The host of the URL, as it is written there."""
        return re.split("[/:?]", self.url.removeprefix("https://"))[0]

    @property
    def display_name(self) -> str:
        """The hook in a few words: its host alone."""
        return f"https {self.host}"


_AnyHook: TypeAlias = Annotated[LambdaHook | HttpsHook, Field(discriminator="kind")]


HookList: TypeAlias = Annotated[
    tuple[_AnyHook, ...],
    Field(max_length=5, json_schema_extra={"minItems": 1}),
    at_least_one("hook"),
]

BEFORE_START: Final = "before_start"
BEFORE_ADVANCE: Final = "before_advance"
# The hooks that are called after a history entry, by the kind of the entry.
AFTER_HOOKS: Final = {
    "started": "after_start",
    "advanced": "after_advance",
    "paused": "after_pause",
    "rolled_back": "after_rollback",
    "succeeded": "after_success",
}


class Hooks(Model):
    """Hooks that are called before a start or a step, and after it."""

    example: ClassVar[str] = "{before_advance: [{kind: lambda, function: change-calendar}]}"

    before_start: HookList | None = Field(
        default=None,
        description='Called before a start; unless all answer {"allow": true}, nothing is started.',
    )
    before_advance: HookList | None = Field(
        default=None,
        description='Called before each next weight; unless all answer {"allow": true}, the step '
        "waits.",
    )
    after_start: HookList | None = Field(default=None, description="Called after a start.")
    after_advance: HookList | None = Field(
        default=None, description="Called once a next weight is decided."
    )
    after_pause: HookList | None = Field(default=None, description="Called after a pause begins.")
    after_rollback: HookList | None = Field(
        default=None, description="Called once 0% was read back after a rollback."
    )
    after_success: HookList | None = Field(default=None, description="Called after the last step.")
    private_hosts: Annotated[tuple[Host, ...], Field(max_length=10)] | None = Field(
        default=None,
        examples=[["gate.example.internal"]],
        description="Hosts that may have an address which is not public, if "
        "ROLLOUTCTL_PRIVATE_HOSTS allows that as well.",
    )

    @model_validator(mode="after")
    def _at_least_one_hook(self) -> Self:
        if not any(True for _ in self.all()):
            raise ValueError("needs at least one hook; leave the key out where there is none")
        return self

    def at(self, trigger: str) -> dict[str, Hook]:
        """Return the hooks of `trigger`, like `before_start`, by their addresses."""
        hooks: tuple[Hook, ...] = getattr(self, trigger, None) or ()
        return {f"{trigger}[{index}]": hook for index, hook in enumerate(hooks)}

    def all(self) -> Iterator[tuple[str, Hook]]:
        """Yield every hook with its address."""
        for trigger in (BEFORE_START, BEFORE_ADVANCE, *AFTER_HOOKS.values()):
            yield from self.at(trigger).items()
