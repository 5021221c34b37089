"""What AWS takes of a printed policy and of the parameters of the stack, counted beforehand."""

import json
from collections.abc import Mapping
from typing import Any, Final

from controller.errors import UsageError

INLINE_CHARACTERS: Final = 10_240  # of all inline policies of a role
MANAGED_CHARACTERS: Final = 6_144  # of one managed policy
PARAMETER_BYTES: Final = 4_096  # of the value of one parameter of a stack

_SPLIT_STACK: Final = (
    "deploy a stack for some of these policies, and others for the rest: "
    "iam --parameters --bound A.yaml B.yaml, with CreateTable=no but for the first"
)


def document_characters(document: Mapping[str, Any]) -> int:
    """Return the characters of a policy as IAM counts them: without white space."""
    return len("".join(json.dumps(document).split()))


def document_note(document: Mapping[str, Any]) -> str:
    """Return where a printed document fits; empty: anywhere. Raises UsageError: nowhere."""
    size = document_characters(document)
    if size > INLINE_CHARACTERS:
        raise UsageError(
            f"the document has {size:,} characters, and AWS takes {INLINE_CHARACTERS:,} in the "
            "inline policies of a role: print it for some of these policies at a time, and attach "
            f"each as a managed policy ({MANAGED_CHARACTERS:,} characters at most)"
        )
    if size > MANAGED_CHARACTERS:
        return (
            f"note: the document has {size:,} characters, and a managed policy "
            f"{MANAGED_CHARACTERS:,} at most: make it an inline policy of the role, the only one"
        )
    return ""


def check_stack(parameters: Mapping[str, str], tick: Mapping[str, Any]) -> None:
    """Raise UsageError when CloudFormation or IAM does not take what the stack is made of.

    tick: the policy that the role of a tick has with these parameters; the longest of the stack.
    """
    for name, value in parameters.items():
        if (size := len(value.encode())) > PARAMETER_BYTES:
            raise UsageError(
                f"the parameter {name} has {size:,} bytes, and CloudFormation takes "
                f"{PARAMETER_BYTES:,}: {_SPLIT_STACK}"
            )
    if (size := document_characters(tick)) > INLINE_CHARACTERS:
        raise UsageError(
            f"the role of the tick would have a policy of {size:,} characters, and AWS takes "
            f"{INLINE_CHARACTERS:,}: {_SPLIT_STACK}"
        )
