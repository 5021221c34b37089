"""The tables of exit statuses, and of those that each command may end with."""

from controller.engine.exit_status import MEANING, SIGNAL_STATUSES, VERBS


def statuses() -> list[list[str]]:
    """Return a row for each exit status."""
    rows = [[str(int(status)), meaning] for status, meaning in sorted(MEANING.items())]
    return [["exit status", "meaning"], *rows, ["130, 143", SIGNAL_STATUSES]]


def commands() -> list[list[str]]:
    """Return a row for each command, with its possible exit statuses."""
    rows = [
        [f"`{verb}`", ", ".join(str(int(end)) for end in sorted(ends))]
        for verb, ends in VERBS.items()
    ]
    return [["command", "ends with"], *rows]
