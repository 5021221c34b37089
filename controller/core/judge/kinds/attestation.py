"""Criteria of kind `attestation`: a statement that an operator signs off or refuses."""

from functools import partial
from typing import ClassVar

from controller.core.judge.criterion_judge import Context, CriterionJudge, failed, passed, undecided
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import SignOffFacts, Statement
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.policy import Attestation
from controller.core.units import MINUTE_S


class AttestationJudge(CriterionJudge[Attestation]):
    """One statement, and the answer of an operator for the rest of the rollout."""

    has_windows: ClassVar[bool] = False

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the sign-off or the refusal."""
        evidence, now = context.non_metric, context.open_end - MINUTE_S
        finding = partial(self.finding, context, bound=1.0, end=now)
        sign_off = evidence.sign_offs.get(self.name)
        if sign_off is None:
            unsigned = Statement(self.criterion.statement, evidence.rollout_id)
            return finding(undecided(Label.NOT_ATTESTED, FindingReason.NOT_ATTESTED), unsigned)
        signature = SignOffFacts(sign_off.by, sign_off.at, sign_off.note)
        if sign_off.refused:
            outcome = failed(FindingReason.REFUSED, Label.REFUSED)
            return finding(outcome, signature, measured=0.0, samples=1)
        outcome = passed(FindingReason.ATTESTED, Label.ATTESTED)
        return finding(outcome, signature, measured=1.0, samples=1)

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        """Return the statement."""
        return f'an operator attests "{self.criterion.statement}"'

    def bound_text(self, bound: float) -> str:
        """Return the answer that passes."""
        return "signed"

    def value_text(self, value: float, bound: float) -> str:
        """Return what the operator did."""
        return "signed" if value else "refused"
