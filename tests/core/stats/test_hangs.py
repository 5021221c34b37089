"""Requests that hang: of the canary alone, or of both paths."""

from math import comb, exp

from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.counts import Counts
from controller.core.stats.hangs import (
    MIN_ALLOWED_SHARE,
    NO_HANGS,
    HangsBeside,
    log_ratios,
)


def chance(requests: int, hits: int, share: float) -> float:
    return comb(requests, hits) * share**hits * (1 - share) ** (requests - hits)


@given(canary=st.integers(1, 900), control=st.integers(1, 900), hung=st.integers(0, 8))
def test_the_mean_odds_are_one_while_both_paths_hang_as_much(
    canary: int, control: int, hung: int
) -> None:
    """Of so many requests that hang on either path, whatever their share is."""
    mean = 0.0
    for own in range(hung + 1):
        counts = Counts(canary, 0, control, hung=own, control_hung=hung - own)
        after = HangsBeside(evidence=10.0).after(counts, (0.0,))
        mean += chance(hung, own, canary / (canary + control)) * exp(after.log_odds)
    assert abs(mean - 1) < 1e-9


def after_minutes(*minutes: tuple[int, int]) -> HangsBeside:
    """Return what is known after minutes of 600 requests on both paths, of which so many hang."""
    known = NO_HANGS
    for hung, control_hung in minutes:
        counts = Counts(600, 0, 600, hung=hung, control_hung=control_hung)
        known = known.after(counts, log_ratios(600, hung, MIN_ALLOWED_SHARE))
    return known


def test_a_canary_that_hangs_alone_is_told_from_both_paths() -> None:
    assert after_minutes((30, 0)).alone
    assert not after_minutes((30, 30)).alone
    assert not NO_HANGS.alone


def test_a_canary_that_goes_on_hanging_after_its_control_recovered_is_found_soon() -> None:
    """As one that keeps the connections of an outage which is over."""
    both, alone = [(30, 30)] * 180, [(30, 0)] * 3
    assert not after_minutes(*both).alone
    assert after_minutes(*both, *alone).alone


def test_a_canary_of_nearly_all_requests_has_odds() -> None:
    counts = Counts(1e18, 0, 1, hung=1e17, control_hung=1)
    assert not HangsBeside(evidence=10.0).after(counts, (0.0,)).alone


def test_what_both_paths_did_before_the_canary_was_sound_again_is_forgotten() -> None:
    both, sound = [(30, 30)] * 60, [(0, 0)] * 6
    assert after_minutes(*both, *sound) == NO_HANGS
    assert after_minutes(*both, *sound, (30, 0)).alone
