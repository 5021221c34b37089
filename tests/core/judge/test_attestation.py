"""Criteria of kind attestation: a person signs, or refuses."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import Label, SignOff, Verdict
from tests.support.judging import (
    START,
    Judging,
    Outcome,
    judged,
    judged_minutes,
    outcome,
)

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


SENTENCES: Sentences = {
    "nobody has signed": attestation({}),
    "a signature": attestation(SIGNED),
    "a refusal": attestation(REFUSED),
}
