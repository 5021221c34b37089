"""The table of criteria: what each asks, what was measured, and how much that shows.

It is the same for `status`, for a rehearsal and for the last notice of a rollout.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from controller.core.amounts import NOTHING, bound_text, measured_text, target_text
from controller.core.findings import Finding, Label, Verdict
from controller.core.policy import Criterion, Policy
from controller.core.rollout import Rollout
from controller.core.units import number_text

MARKS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}
HEAD: Final = ("", "criterion", "target", "measured", "samples", "shown", "role")
TO_THE_RIGHT: Final = ("measured", "samples")


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion of a rollout, in words; finding: the newest there is, None before the first."""

    criterion: str
    kind: str
    gates: bool
    target: str
    measured: str
    finding: Finding | None

    @property
    def verdict(self) -> Verdict:
        """What it comes to; what was not judged yet is open."""
        return Verdict.INCONCLUSIVE if self.finding is None else self.finding.verdict

    @property
    def samples(self) -> str:
        """How many requests, datapoints or events are behind it; a dash for none."""
        many = 0 if self.finding is None else self.finding.samples
        return number_text(many) if many else NOTHING

    @property
    def label(self) -> str:
        """How much was shown."""
        return str(Label.NOT_YET if self.finding is None else self.finding.label)

    @property
    def role(self) -> str:
        """Whether the rollout goes by it: `gate`, or `report`."""
        return "gate" if self.gates else "report"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, below HEAD."""
        mark = MARKS[self.verdict]
        figures = (self.target, self.measured, self.samples, self.label)
        return mark, self.criterion, *figures, self.role

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "criterion": self.criterion,
            "kind": self.kind,
            "role": self.role,
            "target": self.target,
            "measured": self.measured,
            "samples": 0 if self.finding is None else self.finding.samples,
            "verdict": str(self.verdict),
            "label": self.label,
        }


def rows(rollout: Rollout) -> list[Row]:
    """Return a row for each criterion of the policy, by id, as a store keeps them.

    What the gate of this step does not judge stands as an earlier step has left it.
    """
    known = {one.criterion: one for one in (*rollout.earlier, *rollout.findings)}
    policy = rollout.policy
    return [
        _row(name, one, policy, known.get(name)) for name, one in sorted(policy.criteria.items())
    ]


def table(rollout: Rollout) -> list[str]:
    """Return the rows as lines of one width, under a head; none before anything was judged."""
    if not (rollout.findings or rollout.earlier):
        return []
    cells = [row.cells for row in rows(rollout)]
    widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
    return ["  ".join(_padded(line, widths)).rstrip() for line in (HEAD, *cells)]


def _padded(line: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for head, text, width in zip(HEAD, line, widths, strict=True):
        yield text.rjust(width) if head in TO_THE_RIGHT else text.ljust(width)


def _row(name: str, criterion: Criterion, policy: Policy, finding: Finding | None) -> Row:
    measured, target = NOTHING, target_text(criterion, policy)
    if finding is not None:
        measured, target = measured_text(finding, policy), bound_text(finding, policy)
    return Row(name, criterion.kind, criterion.gating, target, measured, finding)
