"""Criteria of kind `attestation`: a statement that an operator signs off or refuses."""

from controller.core.judge.evidence import NonMetricEvidence
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.wording import utc_text
from controller.core.policy import Attestation


def conclude_attestation(
    name: str, criterion: Attestation, evidence: NonMetricEvidence, start: int, now: int
) -> Finding:
    """Return the finding on the sign-off of `criterion`, which is for the rest of the rollout.

    start, now: begin of the judged time of the step, and the time of the tick, unix seconds.
    """
    sign_off = evidence.sign_offs.get(name)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        answer = None if sign_off is None else float(not sign_off.refused)
        count = 0 if sign_off is None else 1
        return Finding(name, verdict, label, answer, 1.0, count, start, max(start, now), sentence)

    if sign_off is None:
        return finding(
            Verdict.INCONCLUSIVE,
            Label.NOT_ATTESTED,
            f'nobody has attested {name} ("{criterion.statement}"); '
            f"rolloutctl attest {evidence.rollout_id} {name} --note TEXT",
        )
    source = f"{sign_off.by} at {utc_text(sign_off.at)}: {sign_off.note}"
    if sign_off.refused:
        return finding(Verdict.FAIL, Label.REFUTED, f"{name} fails: refused by {source}.")
    return finding(Verdict.PASS, Label.ATTESTED, f"{name} holds: attested by {source}.")
