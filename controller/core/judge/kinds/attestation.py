"""Criteria of kind `attestation`: what an operator signs or refuses."""

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.alarm import Said
from controller.core.judge.wording import moment
from controller.core.policy import Attestation


def of_attestation(name: str, criterion: Attestation, said: Said, start: int, now: int) -> Finding:
    """Return what a person has said of `criterion`; a signature is for the rest of the rollout."""
    signed = said.signed.get(name)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        answer = None if signed is None else float(not signed.refused)
        count = 0 if signed is None else 1
        return Finding(name, verdict, label, answer, 1.0, count, start, max(start, now), sentence)

    if signed is None:
        return finding(
            Verdict.INCONCLUSIVE,
            Label.NOT_ATTESTED,
            f'nobody has attested {name} ("{criterion.statement}"); '
            f"rolloutctl attest {said.rollout} {name} --note TEXT",
        )
    who = f"{signed.by} at {moment(signed.at)}: {signed.note}"
    if signed.refused:
        return finding(Verdict.FAIL, Label.REFUTED, f"{name} fails: refused by {who}.")
    return finding(Verdict.PASS, Label.ATTESTED, f"{name} holds: attested by {who}.")
