"""Criteria whose kind has no usable model here: they are never judged."""

from typing import ClassVar

from controller.core.judge.criterion_judge import Context, CriterionJudge, undecided
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import MissingKindFacts
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.policy import MissingCriterion


class MissingCriterionJudge(CriterionJudge[MissingCriterion]):
    """A criterion that keeps its rollout from every raise, and says why."""

    has_windows: ClassVar[bool] = False

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding that nothing was judged."""
        outcome = undecided(Label.NOT_JUDGED, FindingReason.KIND_MISSING)
        facts = MissingKindFacts(self.criterion.problem)
        return self.finding(context, outcome, facts, end=context.closed_end)

    @property
    def no_estimate(self) -> str:
        """What decides instead of a count of requests."""
        return "the package of the kind is missing"

    def demand_text(self) -> str:
        """Return what is missing."""
        return self.criterion.problem

    def bound_text(self, bound: float) -> str:
        """Return what is missing."""
        return "the package of its kind"
