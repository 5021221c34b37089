"""Criteria of kind attestation: a person signs, or refuses."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import Label, SignOff, Verdict
from tests.support.judging import (
    START,
    Judging,
    Outcome,
    a_step,
    findings_at,
    judged,
    judged_minutes,
    outcome,
    policy_of,
)
from tests.support.rollouts import with_facts

ATTESTATION: Mapping[str, Any] = {"kind": "attestation", "statement": "Support has seen nothing."}
ATTESTED = Verdict.PASS, Label.ATTESTED
NOT_ATTESTED = Verdict.INCONCLUSIVE, Label.NOT_ATTESTED
SIGNED = {"C": SignOff("ada", START, "seen")}
REFUSED = {"C": replace(SIGNED["C"], refused=True)}


def attestation(signed: Mapping[str, SignOff]) -> Judging:
    """Return how to judge what was signed."""
    return partial(judged, ATTESTATION, {}, closed=10, sign_offs=signed)


@cases(
    "signed, expected, measured, samples",
    {
        "nobody has signed": ({}, NOT_ATTESTED, None, 0),
        "a signature": (SIGNED, ATTESTED, 1, 1),
        "a refusal": (REFUSED, (Verdict.FAIL, Label.REFUSED), 0, 1),
    },
)
def test_a_signature_passes_and_a_refusal_fails(
    signed: Mapping[str, SignOff], expected: Outcome, measured: float | None, samples: int
) -> None:
    finding = attestation(signed)()
    assert (outcome(finding), finding.measured) == (expected, measured)
    assert (finding.bound, finding.samples, judged_minutes(finding)) == (1, samples, (0, 13))


def test_a_refusal_counts_in_a_step_that_the_criterion_does_not_gate() -> None:
    """A refusal does not wait for the step that would send most traffic to the canary."""
    both = {"C": ATTESTATION, "D": ATTESTATION}
    steps = [{"weight": 10, "bake": "1h", "criteria": ["D"]}, {"weight": 100, "bake": "1h"}]
    rollout = a_step(policy_of(ATTESTATION, criteria=both, steps=steps, warmup="0s"))
    signed, refused = (
        {
            one.criterion: outcome(one)
            for one in findings_at(with_facts(rollout, sign_offs=by), {}, 13)
        }
        for by in (SIGNED, REFUSED)
    )
    assert signed == {"D": NOT_ATTESTED}
    assert refused == {"D": NOT_ATTESTED, "C": (Verdict.FAIL, Label.REFUSED)}


SENTENCES: Sentences = {
    "nobody has signed": attestation({}),
    "a signature": attestation(SIGNED),
    "a refusal": attestation(REFUSED),
}
