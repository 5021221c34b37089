"""How many minutes a rehearsal may leave out: none of them fails the gate, whatever it measures."""

from collections.abc import Mapping
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.core.due import minutes_below_limit, minutes_without_failure
from controller.core.judge.gate import Evidence
from controller.core.stats import combined_tests
from controller.core.stats.eprocess import ChangePointPrior, EProcessState, update_e_process
from controller.core.units import MINUTE_S
from tests.support.core import Observation, Rollout, Series, Verdict, judge
from tests.support.judging import SETTLE, START, a_step, datapoints, findings_at, policy_of
from tests.support.rollouts import MINUTE, NOON, a_reading

RATE = {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%"}
BY_WINDOW = {**RATE, "judge": "threshold", "window": "1m", "failure_limit": 2}
COUNT = {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 50}
STEPS = [{"weight": 10, "bake": "12h"}, {"weight": 100, "bake": "12h"}]


def a_rollout(criterion: Mapping[str, object]) -> Rollout:
    return a_step(policy_of(criterion, steps=STEPS, warmup="0s"))


def counts(*errors: float) -> dict[str, Series]:
    return datapoints({"requests": [200] * len(errors), "errors": list(errors)})


def evidence_at(rollout: Rollout, data: dict[str, Series], minute: int) -> Evidence:
    now = NOON + (minute + SETTLE) * MINUTE
    found = judge(rollout, Observation(a_reading(10), data), now).evidence
    assert found is not None
    return found


def first_failure(rollout: Rollout, data: dict[str, Series], after: int) -> int:
    """Return how many minutes close after minute `after` until the gate fails."""
    verdicts = (
        findings_at(rollout, data, after + SETTLE + later)[0].verdict for later in range(1, 60)
    )
    return next(number for number, verdict in enumerate(verdicts, 1) if verdict is Verdict.FAIL)


@pytest.mark.parametrize("before", [5, 30, 300])
@pytest.mark.parametrize("errors", [0, 0.3, 1], ids=["clean", "doubtful", "suspicious"])
def test_no_minute_fails_earlier_than_was_foreseen(before: int, errors: float) -> None:
    """Not even minutes in which every request fails."""
    rollout, good = a_rollout(RATE), counts(*[errors] * before)
    quiet = minutes_without_failure(evidence_at(rollout, good, before), ())
    first = first_failure(rollout, counts(*[errors] * before, *[200] * 60), before)
    assert quiet < first
    assert quiet >= (errors == 0)


@pytest.mark.parametrize("criterion", [RATE, BY_WINDOW], ids=["sequential", "in windows"])
@pytest.mark.parametrize("known", [1, 2, 5, 12])
@pytest.mark.parametrize("good", [0, 1, 2, 4, 9])
def test_minutes_that_no_longer_change_are_judged_as_they_are(
    criterion: Mapping[str, object], known: int, good: int
) -> None:
    """The fault begins after `good` minutes, of which `known` can be read already."""
    rollout, before = a_rollout(criterion), 50
    fault_after = before + good
    readable = [0] * fault_after + [200] * 60
    evidence = evidence_at(rollout, counts(*readable[: before + known]), before)
    quiet = minutes_without_failure(evidence, (), START + (before + known) * 60)
    assert quiet < first_failure(rollout, counts(*readable), before)
    assert quiet >= min(good, known)


def test_a_count_that_fails_in_an_open_window_can_fail_at_any_minute() -> None:
    """Its open window may be over the limit already, so readable minutes say nothing."""
    evidence = evidence_at(a_rollout(COUNT), counts(*[0] * 20), 10)
    assert minutes_without_failure(evidence, (), START + 20 * 60) == 0


PRIOR = ChangePointPrior(steps=3)
PART = 0.002


def with_ratio(
    test: combined_tests.Test, capital: EProcessState, ratio: float, end: int
) -> EProcessState:
    """Return `capital` after a datapoint that ends at `end`, unix seconds."""
    spacing = capital.spacing_at(end)
    cap, refill = combined_tests.limits(test, spacing)
    ratios, share = (ratio, ratio / 2), PRIOR.share(capital, 0)
    return update_e_process(
        capital, ratios, share, cap=cap, refill=refill, end=end, spacing=spacing
    )


@given(
    history=st.lists(st.floats(-5, 5), max_size=40),
    future=st.lists(
        st.one_of(st.none(), st.floats(-5, 5), st.just(inf), st.just(-inf)), max_size=12
    ),
    minutes=st.integers(2, 9),
    saved=st.integers(1, 4),
    spacing=st.integers(1, 5),
    gap=st.integers(0, 30),
)
@example(history=[5], future=[inf, inf, inf], minutes=5, saved=1, spacing=1, gap=20)
def test_no_test_reaches_its_limit_earlier_whatever_its_minutes_say(
    history: list[float],
    future: list[float | None],
    minutes: int,
    saved: int,
    spacing: int,
    gap: int,
) -> None:
    """Also where some minutes say nothing, or have no datapoint, and leave more to a later one.

    gap: minutes without a datapoint after the history.
    """
    test, capital, end = combined_tests.Test("rate", PART, minutes, saved), EProcessState(), 0
    for ratio in history:
        end += spacing * MINUTE_S
        capital = with_ratio(test, capital, ratio, end)
    end += gap * MINUTE_S
    safe = minutes_below_limit(test, capital, PRIOR.share(capital, 0))
    for maybe in future[:safe]:
        end += MINUTE_S
        if maybe is not None:
            capital = with_ratio(test, capital, maybe, end)
        assert capital.e_value * test.part < 1


def test_a_test_far_from_its_limit_is_left_alone_for_longer() -> None:
    """Bets that have lost nearly all take longer than the cap alone says."""
    test, capital = combined_tests.Test("rate", PART, 6), EProcessState()
    share = PRIOR.share(capital, 0)
    fresh = minutes_below_limit(test, capital, share)
    for _ in range(60):
        capital = update_e_process(capital, (-2.0, -4.0), PRIOR.share(capital, 0))
    assert minutes_below_limit(test, capital, PRIOR.share(capital, 0)) > fresh > 1


def test_a_count_that_an_open_window_will_have_is_foreseen() -> None:
    """It fails while its window is open, and not first when its minutes are settled."""
    rollout, burst = a_rollout({**COUNT, "window": "1m", "failure_limit": 1}), 20
    evidence = evidence_at(rollout, counts(*[0] * burst, 100), 5)
    quiet = minutes_without_failure(evidence, (), START + 30 * MINUTE_S, open_too=True)
    assert 0 < quiet <= burst - SETTLE - 5
