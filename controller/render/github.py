"""What GitHub Actions shows at a line of a file: a workflow command on stdout."""

from typing import Final

from controller.errors import Flaw
from controller.text import printable

_TITLE: Final = "rolloutctl"


def annotation(flaw: Flaw) -> str:
    """Return the command that makes GitHub show `flaw` where it was written.

    GitHub finds the file when it is named from the root of the repository on, and shows ten
    errors of a step; all of them stand in its log.
    """
    place = {"file": flaw.file, "line": flaw.line, "col": flaw.column, "title": _TITLE}
    properties = ",".join(
        f"{name}={_escape_property(str(value))}" for name, value in place.items() if value
    )
    return f"::error {properties}::{_escape_data(flaw.text)}"


def _escape_data(text: str) -> str:
    return printable(text).replace("%", "%25")  # of `\r` and `\n`, none is left


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
