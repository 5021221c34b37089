"""The file of a list of recipients, loaded and printed: what each policy name may use."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.core.recipients import ANY_POLICY, RecipientList
from controller.errors import PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.mistake import PolicyMistake

# An ARN, or the service and the resource; a name without a service is that of many resources.
_RESOURCE: Final = re.compile(r"[a-z][a-z0-9-]*:[!-~]{0,2000}[!-9;-~]")
_FORM: Final = (
    "expected an ARN, or how doctor and the error name it: lambda:function:NAME, "
    "events:event-bus/NAME, secretsmanager:secret:NAME, ssm:parameter/NAME, "
    "environment:NAME, kind:NAME"
)


def load_recipients(path: Path) -> RecipientList:
    """Return the list in the file at `path`.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    source = yaml_file.read(path)
    data = source.data
    if flaws := source.flaws(_problems(data)):
        raise PolicyError.of(*flaws)
    assert isinstance(data, dict)  # noqa: S101 - else it has a problem
    return RecipientList({name: tuple(resources) for name, resources in data.items()})


def _problems(data: object) -> Iterator[PolicyMistake]:
    if not isinstance(data, dict):
        text = "expected policy names with lists of resources; {} gives no policy anything"
        yield PolicyMistake((), text)
        return
    for name, resources in data.items():
        if name != ANY_POLICY and not re.fullmatch(POLICY_NAME_PATTERN, str(name)):
            yield PolicyMistake(
                (name,), 'expected the name of a policy, or "*" for all', at_key=True
            )
        if not isinstance(resources, list):
            yield PolicyMistake((name,), "expected a list of resources; [] gives it none")
            continue
        for index, resource in enumerate(resources):
            if not isinstance(resource, str) or _RESOURCE.fullmatch(resource) is None:
                yield PolicyMistake((name, index), _FORM)


def recipient_lines(recipients: RecipientList) -> Iterator[str]:
    """Yield the lines of the file."""
    if not recipients.allowed:
        yield "{}"
    for name, resources in recipients.allowed.items():
        key = name if name.replace("-", "").isalnum() else json.dumps(name)
        yield f"{key}:" if resources else f"{key}: []"
        for resource in resources:
            yield f"  - {resource if _RESOURCE.fullmatch(resource) else json.dumps(resource)}"
