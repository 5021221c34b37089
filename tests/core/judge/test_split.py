"""The share of requests on the canary: within the band of its weight, or a person has to look."""

from typing import Any

import pytest

from controller.core.findings import Label, Verdict
from controller.core.observation import Answer, Series
from tests.core.judge.kinds import judged
from tests.rollouts import points

SHARE = {"kind": "share", "metric": "canary", "control": "stable"}
PASS, INCONCLUSIVE = Verdict.PASS, Verdict.INCONCLUSIVE


def counts(canary: float | None, stable: float | None, minutes: int = 10) -> dict[str, Series]:
    """Return so many requests a minute on both paths."""
    return {
        "canary:Sum@60": points([canary] * minutes),
        "stable:Sum@60": points([stable] * minutes),
    }


@pytest.mark.parametrize(
    ("canary", "stable", "weight", "verdict", "label"),
    [
        pytest.param(10, 90, 10, PASS, Label.NOT_REFUTED, id="exactly the weight"),
        pytest.param(13, 87, 10, PASS, Label.NOT_REFUTED, id="within tolerance and chance"),
        pytest.param(20, 80, 10, INCONCLUSIVE, Label.BAD_DATA, id="twice the weight"),
        pytest.param(2, 98, 10, INCONCLUSIVE, Label.BAD_DATA, id="a fifth of the weight"),
        pytest.param(None, 100, 10, INCONCLUSIVE, Label.BAD_DATA, id="none at all"),
        pytest.param(100, None, 100, PASS, Label.NOT_REFUTED, id="everything, at 100"),
        pytest.param(99, 1, 100, PASS, Label.NOT_REFUTED, id="one in a hundred falls back"),
        pytest.param(90, 10, 100, INCONCLUSIVE, Label.BAD_DATA, id="one in ten falls back"),
        pytest.param(1, 8, 10, INCONCLUSIVE, Label.TOO_FEW, id="ninety requests tell too little"),
        pytest.param(None, None, 10, INCONCLUSIVE, Label.NO_DATA, id="no request on either path"),
    ],
)
def test_a_share_passes_within_its_band_and_never_fails(
    canary: float | None, stable: float | None, weight: int, verdict: Verdict, label: Label
) -> None:
    finding = judged(SHARE, counts(canary, stable), closed=10, weight=weight)
    assert (finding.verdict, finding.label) == (verdict, label)


def test_a_share_says_what_was_counted_and_what_is_likely() -> None:
    finding = judged(SHARE, counts(20, 80), closed=10)
    assert finding.sentence == (
        "C is off: 200 of 1 000 requests took the canary (20%) since 2026-11-24 12:00 UTC; at 10 % "
        "it is 59 to 147, with 2% of tolerance and 99% of what chance does. The flag does not do "
        "what the weight says: look for callers around it, for what falls back, and whether both "
        "metrics count every request."
    )
    assert (finding.measured, finding.bound, finding.samples) == (0.2, 0.1, 1_000)


def test_a_share_is_judged_at_the_end_of_the_bake() -> None:
    finding = judged(SHARE, counts(20, 80), closed=10, bake_over=False)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NOT_YET)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        pytest.param({"tolerance": "0%"}, INCONCLUSIVE, id="the band of chance alone"),
        pytest.param({"tolerance": "10%"}, PASS, id="ten points of tolerance"),
        pytest.param({"tolerance": "0%", "confidence": "99.9999%"}, PASS, id="a wide band"),
    ],
)
def test_how_far_off_a_share_may_be_is_the_policys(facts: dict[str, Any], verdict: Verdict) -> None:
    assert judged({**SHARE, **facts}, counts(14, 86), closed=10).verdict is verdict


def test_a_failed_query_is_no_share() -> None:
    series = {**counts(10, 90), "stable:Sum@60": points([90] * 10, answer=Answer.ERROR)}
    finding = judged(SHARE, series, closed=10)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.QUERY_FAILED)
