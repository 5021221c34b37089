"""Exit statuses, and which of them each command may end with: from the mapping in the code."""

from controller.engine.exit_status import MEANING, SIGNAL_STATUSES, VERBS


def statuses() -> list[list[str]]:
    """Return a row for each exit status."""
    rows = [[str(int(status)), meaning] for status, meaning in MEANING.items()]
    return [["exit status", "meaning"], *rows, ["130, 143", SIGNAL_STATUSES]]


def commands() -> list[list[str]]:
    """Return a row for each command, with what it may end with."""
    rows = [
        [f"`{verb}`", ", ".join(str(int(one)) for one in sorted(ends))]
        for verb, ends in VERBS.items()
    ]
    return [["command", "ends with"], *rows]
