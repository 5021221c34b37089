"""Criteria of kind share: the share of canary requests is in the range of the weight, or not."""

from typing import Any

import pytest

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.observation import QueryStatus, Series
from controller.core.units import MINUTE_S
from tests.core.judge.kinds import START, judge_criterion
from tests.support.rollouts import a_series

SHARE = {"kind": "share", "metric": "canary", "control": "stable"}
PASS, INCONCLUSIVE = Verdict.PASS, Verdict.INCONCLUSIVE


def counts(canary: float | None, stable: float | None, minutes: int = 10) -> dict[str, Series]:
    """Return so many requests a minute on both paths."""
    return {
        "canary:Sum@60": a_series([canary] * minutes),
        "stable:Sum@60": a_series([stable] * minutes),
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
        pytest.param(1, 8, 10, INCONCLUSIVE, Label.TOO_FEW, id="ninety requests are too few"),
        pytest.param(1, 9, 10, PASS, Label.NOT_REFUTED, id="a hundred are enough"),
        pytest.param(None, None, 10, INCONCLUSIVE, Label.NO_DATA, id="no request on either path"),
    ],
)
def test_a_share_passes_within_its_band_and_never_fails(
    canary: float | None, stable: float | None, weight: int, verdict: Verdict, label: Label
) -> None:
    finding = judge_criterion(SHARE, counts(canary, stable), closed=10, weight=weight)
    assert (finding.verdict, finding.label) == (verdict, label)


def test_a_share_says_what_was_counted_and_what_is_likely() -> None:
    finding = judge_criterion(SHARE, counts(20, 80), closed=10)
    assert finding.sentence == (
        "C is off: 200 of 1 000 requests took the canary (20%) since 2026-11-24 12:00 UTC; at 10 % "
        "it is 59 to 147, with 2% of tolerance and 99% of what chance does. The flag does not do "
        "what the weight says: look for callers around it, for what falls back, and whether both "
        "metrics count every request."
    )
    assert (finding.measured, finding.bound, finding.samples) == (0.2, 0.1, 1_000)


@pytest.mark.parametrize(
    ("canary", "verdict"), [(58, INCONCLUSIVE), (59, PASS), (147, PASS), (148, INCONCLUSIVE)]
)
def test_both_ends_of_the_band_are_within_it(canary: int, verdict: Verdict) -> None:
    series = {
        "canary:Sum@60": a_series([canary] + [0] * 9),
        "stable:Sum@60": a_series([1_000 - canary] + [0] * 9),
    }
    assert judge_criterion(SHARE, series, closed=10).verdict is verdict


def test_a_share_that_passes_has_numbers_and_a_sentence() -> None:
    finding = judge_criterion(SHARE, counts(12, 83), closed=10)
    assert finding == Finding(
        "C", PASS, Label.NOT_REFUTED, 120 / 950, 0.1, 950, START, START + 10 * MINUTE_S,
        "C holds: 120 of 950 requests took the canary (12.63%) since 2026-11-24 12:00 UTC; at 10 % "
        "it is 55 to 140, with 2% of tolerance and 99% of what chance does.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("series", "facts", "label", "sentence"),
    [
        pytest.param(
            counts(20, 80), {"bake_over": False}, Label.NOT_JUDGED,
            "C so far: 200 of 1 000 requests took the canary (20%) since 2026-11-24 12:00 UTC; "
            "judged at the end of the bake.", id="in the bake",
        ),
        pytest.param(
            counts(1, None), {}, Label.TOO_FEW,
            "C has too few samples: 10 of 100 since 2026-11-24 12:00 UTC.",
            id="one request a minute",
        ),
        pytest.param(
            counts(None, None), {}, Label.NO_DATA,
            "C has no data: neither path has had a request since 2026-11-24 12:00 UTC.",
            id="no request",
        ),
        pytest.param(
            counts(20, 80), {"closed": 0}, Label.NOT_JUDGED,
            "C is not judged yet: no window of 1m has closed in this step.",
            id="before a minute has settled",
        ),
        pytest.param(
            counts(10, 90) | {"stable:Sum@60": a_series([90], answer=QueryStatus.ERROR)}, {},
            Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch did not answer for stable (Sum): Throttling.",
            id="a query failed",
        ),
    ],
)  # fmt: skip
def test_a_share_that_is_inconclusive_says_why(
    series: dict[str, Series], facts: dict[str, Any], label: Label, sentence: str
) -> None:
    finding = judge_criterion(SHARE, series, **{"closed": 10, **facts})
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, label)
    assert finding.sentence == sentence


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        pytest.param({"tolerance": "0%"}, INCONCLUSIVE, id="the band of chance alone"),
        pytest.param({"tolerance": "10%"}, PASS, id="ten points of tolerance"),
        pytest.param({"tolerance": "0%", "confidence": "99.9999%"}, PASS, id="a wide band"),
    ],
)
def test_how_far_off_a_share_may_be_is_the_policys(facts: dict[str, Any], verdict: Verdict) -> None:
    assert judge_criterion({**SHARE, **facts}, counts(14, 86), closed=10).verdict is verdict
