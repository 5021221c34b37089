"""Success rates by their successes: what is not answered failed, and a late answer did not."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.success_rate import carry_over
from controller.core.stats.two_sample import PairedCounts
from tests.support.cases import cases
from tests.support.core import Finding, Label, Verdict
from tests.support.judging import BAD_DATA, FAIL, NO_DATA, PASS, PROVEN, Outcome, outcome
from tests.support.sequential_rollouts import (
    AN_HOUR,
    Minute,
    a_sequential_policy,
    a_sequential_step,
    after,
)

Counts = tuple[float, float | None]
"""Requests and successes of a minute."""


def finding_of(counts: Sequence[Counts], name: str = "answers") -> Finding:
    """Return the finding after minutes of requests and successes; name: of the success metric."""
    metrics = {
        "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
        "answers": {"namespace": "Shop", "name": "2XX", "statistic": "Sum", "missing": "zero"},
        "published": {"namespace": "Shop", "name": "Good", "statistic": "Sum"},
    }
    used = {one: metrics[one] for one in ("requests", name)}
    by_successes = {"failures": None, "successes": [name], "control": None}
    policy = a_sequential_policy("rate", **AN_HOUR, metrics=used, rate=by_successes)
    (finding,) = after(a_sequential_step(policy), [_minute(*count, name) for count in counts])
    return finding


def _minute(requests: float, successes: float | None, name: str) -> Minute:
    counts = {"requests:Sum": requests} if requests else {}
    return counts if successes is None else {**counts, f"{name}:Sum": successes}


def answered_late(requests: int, late: int, minutes: int = 60) -> list[Counts]:
    """Return minutes of which up to `late` requests are answered in the next minute."""
    open_at_end = [0, *(Random(minute).randint(0, late) for minute in range(minutes))]
    return [(requests, requests + before - now) for before, now in pairwise(open_at_end)]


@cases(
    "counts, expected",
    {
        "every request was answered": ([(600, 600)] * 60, PROVEN),
        "one in twenty was not": ([(600, 570)] * 60, FAIL),
        "no request was answered, so nothing counts the answers": ([(600, None)] * 60, FAIL),
        "some answers come a minute late": (answered_late(600, 30), PROVEN),
        "a request in two minutes, answered in the minute after it": (
            [(1, None), (0, 1)] * 300, PASS,
        ),
        "answers without any request": ([(0, 5)] * 60, (Verdict.INCONCLUSIVE, Label.TOO_FEW)),
        "neither": ([(0, None)] * 60, NO_DATA),
    },
)  # fmt: skip
def test_what_was_not_answered_failed(counts: Sequence[Counts], expected: Outcome) -> None:
    assert outcome(finding_of(counts)) == expected


def test_a_count_of_successes_that_is_unknown_is_no_failure() -> None:
    assert outcome(finding_of([(600, None)] * 60, "published")) == BAD_DATA


def test_late_answers_are_no_failures_of_the_step() -> None:
    finding = finding_of(answered_late(600, 30))
    assert finding.measured is not None
    assert finding.measured >= 1 - 30 / finding.samples


def test_more_answers_than_requests_are_no_share_above_one() -> None:
    assert finding_of([(600, 605)] * 60).measured == 1


@given(st.lists(st.integers(0, 50), min_size=1), st.lists(st.integers(0, 3), min_size=50))
def test_every_failure_counts_and_no_more_than_were_open_at_once(
    open_at_end: list[int], failed: list[int]
) -> None:
    surpluses, counted, before = (0.0, 0.0), 0.0, 0
    for still_open, failures in zip(open_at_end, failed, strict=False):
        difference = failures + still_open - before
        pair, surpluses = carry_over(PairedCounts(100, difference, 0, 0), surpluses)
        counted, before = counted + pair.slow, still_open
    real = sum(failed[: len(open_at_end)])
    assert real <= counted <= real + max(open_at_end)


SENTENCES = {"one in twenty was not answered": lambda: finding_of([(600, 570)] * 60)}
