"""A finding: one criterion judged once, with verdict, label, numbers and a sentence."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The three verdicts; missing data and failed queries are `inconclusive`."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Label(StrEnum):
    """How strong the evidence is, from most to least."""

    CONFIRMED = "confirmed"
    PROVEN = "proven"
    ATTESTED = "attested"
    NOT_REFUTED = "not refuted"
    REFUTED = "refuted"
    TOO_FEW = "too few samples"
    NOT_JUDGED = "not judged yet"
    NOT_ATTESTED = "not attested"
    ALARM_BEFORE_START = "red before the start"
    NO_DATA = "no data"
    BAD_DATA = "data do not fit together"
    QUERY_FAILED = "query failed"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion judged once.

    measured, bound: what was compared, in the unit of the criterion (rates as fractions).
    samples: requests (or datapoints) of the step behind it.
    start, end: the time that was judged, unix seconds.
    gates: False where the criterion only reports.
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
    gates: bool = True

    @property
    def fails(self) -> bool:
        """True when this finding alone rolls back."""
        return self.gates and self.verdict is Verdict.FAIL

    @property
    def blocks_advance(self) -> bool:
        """True when this finding alone keeps the rollout from the next step."""
        return self.gates and self.verdict is not Verdict.PASS


def gate_verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict of a gate: of all findings together, but for those that only report.

    Any `fail` fails; only all `pass` passes; a gate without findings is inconclusive.
    """
    verdicts = {finding.verdict for finding in findings if finding.gates}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INCONCLUSIVE


_WEAKNESS = {str(label): rank for rank, label in enumerate(Label)}


def weakest_label(labels: Iterable[str]) -> str:
    """Return the label that claims least; empty when there is none."""
    known = [label for label in labels if label]
    return max(known, key=_WEAKNESS.__getitem__, default="")
