"""A list of recipients as the YAML that `store recipients --set` reads."""

import json
from collections.abc import Iterator

from controller.core.recipients import RecipientList
from controller.policy_file.recipients import RESOURCE


def recipient_lines(recipients: RecipientList) -> Iterator[str]:
    """Yield the lines of the file."""
    if not recipients.allowed:
        yield "{}"
    for name, resources in recipients.allowed.items():
        key = name if name.replace("-", "").isalnum() else json.dumps(name)
        yield f"{key}:" if resources else f"{key}: []"
        for one in resources:
            yield f"  - {one if RESOURCE.fullmatch(one) else json.dumps(one)}"
