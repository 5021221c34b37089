"""The tables of exit statuses, and of those that each command may end with."""

from controller.engine.exit_status import MEANING, SIGNAL_STATUSES, VERBS


def statuses() -> list[list[str]]:
    """Return a row for each exit status."""
    rows = [[str(int(status)), meaning] for status, meaning in sorted(MEANING.items())]
    return [["exit status", "meaning"], *rows, ["130, 143", SIGNAL_STATUSES]]


def commands() -> list[list[str]]:
    """Return the commands with the same possible exit statuses in a row, most statuses last."""
    verbs: dict[str, list[str]] = {}
    for verb, ends in sorted(VERBS.items(), key=lambda item: len(item[1])):
        verbs.setdefault(", ".join(str(int(end)) for end in sorted(ends)), []).append(f"`{verb}`")
    return [["commands", "end with"], *([", ".join(names), end] for end, names in verbs.items())]
