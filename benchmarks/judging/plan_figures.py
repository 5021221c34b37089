"""How far the minutes that `plan` says are from those of the rollouts of the same release."""

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Final

from benchmarks.judging.figures import TRAFFIC, delay
from benchmarks.judging.policy import BESIDE, LATENCY_ALONE, OBJECTIVE, POLICY, STORED
from benchmarks.judging.rollout import bake
from benchmarks.judging.world import Release
from controller.core.policy import Policy
from controller.immutable import replace
from controller.tools.plan.detection_delay import RequestRates, detection_models, typical_baselines

_RUNS: Final = 100
_NOISY: Final = Release(rpm=0, noisy=True)
_LONGEST: Final = 24 * 60
# What begins with a step, its criterion and effect, the release, and the minute of the raise.
_CASES: Final[tuple[tuple[str, Policy, int, str, float, Release], ...]] = (
    ("20% errors at 10%", POLICY, 0, OBJECTIVE, 0.2, Release(rpm=0, errors=0.2)),
    ("5% errors at 10%", POLICY, 0, OBJECTIVE, 0.05, Release(rpm=0, errors=0.05)),
    ("5% errors at 100%", POLICY, 2, OBJECTIVE, 0.05, Release(rpm=0, errors=0.05, since=120)),
    ("+50% at 10%", LATENCY_ALONE, 0, BESIDE, 0.5, replace(_NOISY, slower=0.5)),
    ("+50% at 100%", LATENCY_ALONE, 2, STORED, 0.5, replace(_NOISY, slower=0.5, since=120)),
)


def ratios() -> Iterator[tuple[str, str, float]]:
    """Yield the case, the requests a minute, and the larger of both medians as a multiple."""
    for what, policy, step, criterion, effect, release in _CASES:
        play = partial(bake, policy=policy)
        for rpm in TRAFFIC:
            one = replace(release, rpm=rpm)
            true = delay(one, [play(Random(f"{what}/{rpm}/{run}"), one) for run in range(_RUNS)])
            model = detection_models(policy, step, typical_baselines(policy, rpm))[criterion]
            rates = RequestRates.at(policy.steps[step].weight, rpm)
            said = model.median_delay(rates, effect, _LONGEST) or _LONGEST
            yield what, f"{rpm:,}", max(said / true, true / said)
