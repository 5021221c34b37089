"""Criteria of kind share: the share of canary requests is in the range of the weight, or not."""

from functools import partial
from typing import Any

import pytest

from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import QueryStatus
from tests.support.judging import (
    BAD_DATA,
    NO_DATA,
    PASS,
    TOO_FEW,
    UNANSWERED,
    UNDECIDED,
    Judging,
    Outcome,
    Values,
    datapoints,
    judged,
    judged_minutes,
    outcome,
)

SHARE = {"kind": "share", "metric": "requests", "control": "stable"}


def counted(
    canary: Values, stable: Values, answer: QueryStatus = QueryStatus.COMPLETE, **step: Any
) -> Judging:
    """Return how to judge so many requests in each minute on both paths."""
    series = datapoints({"requests": canary, "stable": stable}, answers={"stable": answer})
    return partial(judged, SHARE, series, **{"closed": len(canary), **step})


def each_minute(canary: float | None, stable: float | None, **step: Any) -> Judging:
    """Return how to judge ten equal minutes."""
    return counted([canary] * 10, [stable] * 10, **step)


UNREAD = counted([10], [90], answer=QueryStatus.ERROR)


@cases(
    "judging, expected",
    {
        "exactly the weight": (each_minute(10, 90), PASS),
        "within tolerance and chance": (each_minute(13, 87), PASS),
        "twice the weight": (each_minute(20, 80), BAD_DATA),
        "a fifth of the weight": (each_minute(2, 98), BAD_DATA),
        "none at all": (each_minute(None, 100), BAD_DATA),
        "everything, at 100": (each_minute(100, None, weight=100), PASS),
        "one in a hundred falls back": (each_minute(99, 1, weight=100), PASS),
        "one in ten falls back": (each_minute(90, 10, weight=100), BAD_DATA),
        "ninety requests are too few": (each_minute(1, 8), TOO_FEW),
        "a hundred are enough": (each_minute(1, 9), PASS),
        "no request on either path": (each_minute(None, None), NO_DATA),
        "in the bake": (each_minute(20, 80, bake="24h"), UNDECIDED),
        "before a minute has settled": (each_minute(20, 80, closed=0), UNDECIDED),
        "a query failed": (UNREAD, UNANSWERED),
    },
)
def test_a_share_passes_within_its_band_and_never_fails(
    judging: Judging, expected: Outcome
) -> None:
    assert outcome(judging()) == expected


@cases(
    "fields, expected",
    {
        "the band of chance alone": ({"tolerance": "0%"}, BAD_DATA),
        "ten points of tolerance": ({"tolerance": "10%"}, PASS),
        "a wide band": ({"tolerance": "0%", "confidence": "99.9999%"}, PASS),
    },
)
def test_how_far_off_a_share_may_be_is_the_policys(
    fields: dict[str, Any], expected: Outcome
) -> None:
    series = datapoints({"requests": [14] * 10, "stable": [86] * 10})
    assert outcome(judged(SHARE | fields, series, closed=10)) == expected


def test_a_finding_has_the_share_and_the_weight() -> None:
    finding = each_minute(12, 83)()
    assert finding.measured == pytest.approx(120 / 950)
    assert (finding.bound, finding.samples, judged_minutes(finding)) == (0.1, 950, (0, 10))


SENTENCES: Sentences = {
    "holds": each_minute(12, 83),
    "is off": each_minute(20, 80),
    "so far, in the bake": each_minute(20, 80, bake="24h"),
    "has too few samples": each_minute(1, None),
    "has no data": each_minute(None, None),
    "before a minute has settled": each_minute(20, 80, closed=0),
    "after a failed query": UNREAD,
}
