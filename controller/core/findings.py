"""A finding: one criterion judged once, told so that a person can repeat it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three answers of a judge; silence and failed queries are `inconclusive`."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Label(StrEnum):
    """How much was shown, from most to least."""

    CONFIRMED = "confirmed"
    PROVEN = "proven"
    NOT_REFUTED = "not refuted"
    REFUTED = "refuted"
    TOO_FEW = "too few samples"
    NOT_YET = "not judged yet"
    NO_DATA = "no data"
    BAD_DATA = "data do not fit together"
    QUERY_FAILED = "query failed"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion judged once.

    measured, bound: what was compared, in the unit of the criterion (rates as fractions).
    samples: requests (or datapoints) of the step behind it.
    start, end: the stretch of time that was judged, unix seconds.
    """

    criterion: str
    verdict: Verdict
    label: Label
    measured: float | None
    bound: float
    samples: int
    start: int
    end: int
    sentence: str


def gate(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict of all findings together.

    Any `fail` fails; only all `pass` passes; a gate without findings is inconclusive.
    """
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INCONCLUSIVE


_WEAKNESS = {str(label): rank for rank, label in enumerate(Label)}


def weakest(labels: Iterable[str]) -> str:
    """Return the label that claims least; empty when there is none."""
    known = [label for label in labels if label]
    return max(known, key=_WEAKNESS.__getitem__, default="")
