"""GitHub Actions annotations: workflow commands on stdout that mark a line of a file."""

from typing import Final, Literal

from controller.errors import Flaw
from controller.safe_text import printable

_TITLE: Final = "rolloutctl"


def annotation(flaw: Flaw, level: Literal["error", "warning"] = "error") -> str:
    """Return the command that makes GitHub show `flaw` at its place in the file.

    GitHub finds the file when its path starts at the root of the repository. It shows ten errors of
    a step; the log has all of them.
    """
    location = {"file": flaw.file, "line": flaw.line, "col": flaw.column, "title": _TITLE}
    properties = ",".join(
        f"{name}={_escape_property(str(value))}" for name, value in location.items() if value
    )
    return f"::{level} {properties}::{_escape_data(flaw.text)}"


def _escape_data(text: str) -> str:
    return printable(text).replace("%", "%25")  # printable text has no `\r` and `\n` to escape


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
