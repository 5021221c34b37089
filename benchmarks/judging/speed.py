"""The cost of judging: its import, one update of one test, the fold over a whole rollout.

The fold looks for garbage as seldom as the program does (controller/__main__.py).
"""

import gc
import subprocess
import sys
from random import Random
from statistics import median
from time import process_time
from timeit import repeat
from typing import Final

from benchmarks.judging.policy import POLICY
from benchmarks.judging.rollout import after, windows_of
from benchmarks.judging.world import Minute, Release, World
from controller.__main__ import OBJECTS_BEFORE_COLLECTION
from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import StepInterval
from controller.core.judge.latency_tail import LatencyLimits
from controller.core.judge.queries import queries_for
from controller.core.judge.sequential_evidence import SequentialEvidence, step_tests, tests_of
from controller.core.observation import MetricQuery, Series
from controller.core.stats.binomial import effects, log_ratios
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.eprocess import EProcessState, update_e_process
from controller.core.units import MINUTE_S

# The modules that every tick imports before, and then the judge.
_IMPORT: Final = (
    "import controller.core.policy, controller.core.rollout, controller.core.observation, time\n"
    "begin = time.process_time()\n"
    "import controller.core.judge.gate\n"
    "print(time.process_time() - begin)"
)
_TIMES = 5


def import_ms() -> float:
    """Return the time that importing the judge adds to a tick, in ms."""
    command = [sys.executable, "-c", _IMPORT]
    durations = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(_TIMES)
    ]
    return 1e3 * median(durations)


def update_us() -> float:
    """Return the time of one update of one test, in µs."""
    effect_sizes, capital, number = effects(0.001), EProcessState(), 1_000

    def update() -> None:
        update_e_process(capital, log_ratios(60, 1, effect_sizes), 1e-4, cap=1.5)

    return 1e6 * min(repeat(update, number=number, repeat=_TIMES)) / number


def fold_ms() -> float:
    """Return the time to fold the minutes of all steps as a rollout does, in ms."""
    world = World(Random(1), Release(rpm=600))
    baselines = world.baselines
    stretches, data = list[StepInterval](), list[Minute]()
    for number, step in enumerate(POLICY.steps):
        begin = len(data) * MINUTE_S
        length = int(step.bake.total_seconds())
        stretches.append(StepInterval(number, begin, begin, begin + length))
        data += [world.minute(step.weight) for _ in range(length // MINUTE_S)]
    series = {
        key: _series(query, data, world.limits)
        for number in range(len(POLICY.steps))
        for key, query in queries_for(judges_of(POLICY, POLICY.gate(number), baselines)).items()
    }
    expected, combined = SequentialState(), tests_of(POLICY)
    for stretch in stretches:
        tests_by_name = step_tests(POLICY, stretch.step, baselines)
        for minute in range(stretch.begin, stretch.end, MINUTE_S):
            windows = windows_of(data[minute // MINUTE_S])
            expected = after(combined, expected, tests_by_name, windows, stretch, minute)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    durations = []
    for _ in range(_TIMES):
        evidence = SequentialEvidence(
            POLICY, SequentialState(), tuple(stretches), series, baselines
        )
        started = process_time()
        fold = evidence.fold_until(len(data) * MINUTE_S)
        durations.append(process_time() - started)
        assert fold == expected
    return 1e3 * median(durations)


def _series(query: MetricQuery, minutes: list[Minute], limits: LatencyLimits) -> Series:
    """Return the series of CloudWatch for `minutes`; one without requests has no datapoint."""
    stable = ("Path", "stable") in query.dimensions
    points = {}
    for index, one in enumerate(minutes):
        if one.control if stable else one.requests:
            points[index * MINUTE_S] = float(_value(query, one, limits, stable=stable))
    return Series(points)


def _value(query: MetricQuery, one: Minute, limits: LatencyLimits, *, stable: bool) -> int:
    if query.statistic.startswith("TC"):
        above = float(query.statistic[3:-2])
        if abs(above - limits.hang_limit) < 1e-3:
            return one.control_hung if stable else one.hung
        if stable:
            return one.control_slow
        if query.name != "Duration":
            return one.over
        return one.slow if abs(above - limits.pass_limit) < 1e-3 else one.drifted
    if query.statistic.startswith("p"):  # below every limit, as few requests of a minute are slow
        return 1
    match query.name:
        case "Failures":
            return one.control_failed if stable else one.failed
        case "4XXError":
            return one.rejected
        case _:
            return one.control if stable else one.requests
