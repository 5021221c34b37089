"""The line of a message that a person reads at a glance, on a phone or as the title of an alert."""

import re
from collections.abc import Iterator
from typing import Final

from controller.core.message import Message
from controller.core.rollout import Reason, Rollout
from controller.core.words.criteria_table import NO_VALUE, rows

MAX_HEADLINE: Final = 150  # characters
_SHORTEST: Final = 40  # characters that are kept, even where no clause ends after them

_CLAUSE_END: Final = re.compile(r"[.;:,] | \(")
_ROLLBACKS: Final = ("rolling_back", "rolled_back")


def headline(rollout: Rollout, message: Message) -> str:
    """Return what happened to `rollout` in one line of at most MAX_HEADLINE characters.

    A rollback by a gate names each criterion that fails, with its measured value and its target.
    Any other message is cut after a clause. It is not made printable.
    """
    if message.kind in _ROLLBACKS and message.reason == Reason.GATE_FAILED:
        failing = "; ".join(_failing(rollout))
        if failing:
            return _shortened(f"{message.text.partition(': ')[0]}: {failing}")
    return _shortened(message.text)


def _failing(rollout: Rollout) -> Iterator[str]:
    for row in rows(rollout):
        if row.finding is not None and row.finding.fails:
            measured = "" if row.measured == NO_VALUE else f"{row.measured} measured, "
            yield f"{row.criterion} fails, {measured}target {row.target}"


def _shortened(text: str) -> str:
    """Return the first sentence of `text`, up to the last clause that fits."""
    line = text.partition("\n")[0]
    ends = [one for one in _CLAUSE_END.finditer(line) if _is_outside_brackets(line, one.start())]
    sentence = next((line[: one.start()] for one in ends if one[0] == ". "), line)
    if len(sentence) <= MAX_HEADLINE:
        return sentence
    fitting = [one.start() for one in ends if _SHORTEST <= one.start() <= MAX_HEADLINE]
    return sentence[: fitting[-1]] if fitting else f"{sentence[: MAX_HEADLINE - 3]}..."


def _is_outside_brackets(line: str, index: int) -> bool:
    return line.count("(", 0, index) <= line.count(")", 0, index)
