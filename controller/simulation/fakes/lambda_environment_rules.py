"""Lambda's rules for the environment variables of a function."""

import re
from collections.abc import Mapping

from controller.simulation.fakes.errors import client_error

MAX_BYTES = 4_096

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RESERVED = re.compile(r"_HANDLER|TZ|AWS_(?!LAMBDA_EXEC_WRAPPER$).*|LAMBDA_.*")
_CODE = "InvalidParameterValueException"
_UNABLE = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def check_environment(operation: str, variables: Mapping[str, str]) -> None:
    """Raise the ClientError of `operation` for variables that Lambda does not accept."""
    for name in variables:
        if _RESERVED.fullmatch(name):
            message = (
                f"{_UNABLE}contains reserved keys that are currently not supported for "
                f"modification. Reserved keys used in this request: {name}"
            )
            raise client_error(operation, _CODE, message)
        if not _NAME.fullmatch(name):
            raise client_error(operation, _CODE, f"environment variable name {name!r} is not valid")
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size > MAX_BYTES:
        raise client_error(operation, _CODE, f"{_UNABLE}exceeded the 4KB limit.")
