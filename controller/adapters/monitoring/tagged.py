"""Whose a resource of CloudWatch is, by its tags. IAM: none of its own; see who asks for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.adapters.aws import AWS_ERRORS, code_of
from controller.adapters.monitoring.refusals import failed, is_absent
from controller.core.monitoring import TAG

# What a CloudWatch says that knows no tags on resources of this kind.
_TAGLESS: Final = ("InvalidParameterValue", "InvalidParameterValueException", "ValidationError")
_STACK: Final = "aws:cloudformation:stack-name"


@dataclass(frozen=True, slots=True)
class Marked:
    """The policy that a resource was made for, and the stack that made it; empty: none."""

    policy: str = ""
    stack: str = ""


def read_tags(client: Any, arn: str, what: str) -> Marked:
    """Return whose the CloudWatch resource `arn` is; what cannot be tagged is nobody's.

    Raises MonitoringError.
    """
    try:
        return marked(client.list_tags_for_resource(ResourceARN=arn).get("Tags", ()))
    except AWS_ERRORS as error:
        if is_absent(error) or code_of(error) in _TAGLESS:
            return Marked()
        raise failed(
            f"the tags of {what} could not be read", "ListTagsForResource", error
        ) from error


def marked(found: Iterable[Mapping[str, str]]) -> Marked:
    """Return what these tags say."""
    known = {one["Key"]: one["Value"] for one in found}
    return Marked(known.get(TAG, ""), known.get(_STACK, ""))
