"""How other products decide, as their documentation and source have it, on minutes of counts.

Each judges the objective of 99.9 % and has one knob, which is `by default` or tuned. All of them
go by the steps of the comparison; what they do between two looks is not part of it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from benchmarks.peer_models.world import WEIGHTS, Minute
from controller.core.judge.evidence import StepInterval
from controller.core.judge.sequential_evidence import gate_tests
from controller.core.judge.series import Window
from controller.core.policy import Policy
from controller.core.stats.combined_tests import Fold, fold_minute
from controller.core.units import MINUTE_S

ALLOWED: Final = 0.001


class Judge(Protocol):
    """A judge of one rollout. rejects: given each minute in order, whether to roll back now."""

    def rejects(self, minute: Minute) -> bool: ...


class Flagger:
    """A check a minute; rolls back when `threshold` checks have failed, and a tick later.

    No data is a failed check. Failed checks add up over the whole canary.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold, self._failed = threshold, 0

    def rejects(self, minute: Minute) -> bool:
        if self._failed >= self._threshold:
            return True
        if not minute.requests or minute.failed > ALLOWED * minute.requests:
            self._failed += 1
        return False


class Windows:
    """Counts of windows of `length` minutes; the base of judges that look at whole windows."""

    length = 5

    def __init__(self) -> None:
        self.requests = self.failed = 0

    def rejects(self, minute: Minute) -> bool:
        self.requests += minute.requests
        self.failed += minute.failed
        if (minute.number + 1) % self.length:
            return False
        requests, failed, self.requests, self.failed = self.requests, self.failed, 0, 0
        return self.looks(minute, requests, failed)

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        """Return whether to roll back after a window with these counts."""
        raise NotImplementedError


class Argo(Windows):
    """An analysis in each step, every five minutes; more than `limit` failures fail it."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self._limit, self._failures, self._weight = limit, 0, 0

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        if minute.weight != self._weight:  # each step has an analysis of its own
            self._weight, self._failures = minute.weight, 0
        self._failures += failed > ALLOWED * requests
        return self._failures > self._limit


class Alarm(Windows):
    """A CloudWatch alarm: 2 of 2 periods of five minutes above `multiple` times the objective.

    Missing data keeps its state.
    """

    def __init__(self, multiple: float) -> None:
        super().__init__()
        self._share, self._breaches = multiple * ALLOWED, 0

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        if requests:
            self._breaches = self._breaches + 1 if failed > self._share * requests else 0
        return self._breaches >= 2


class Manual(Windows):
    """A person who looks once an hour at the failures of that hour."""

    length = 60

    def __init__(self, multiple: float) -> None:
        super().__init__()
        self._share = multiple * ALLOWED

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        return failed > self._share * requests


class ReleaseManager:
    """Cloud Run Release Manager: each minute, the failures of the last half an hour.

    The window goes back across changes of the weight. There is no least number of requests.
    """

    def __init__(self, multiple: float) -> None:
        self._share = multiple * ALLOWED
        self._recent: deque[Minute] = deque(maxlen=30)
        self._requests = self._failed = 0

    def rejects(self, minute: Minute) -> bool:
        if len(self._recent) == self._recent.maxlen:
            self._requests -= self._recent[0].requests
            self._failed -= self._recent[0].failed
        self._recent.append(minute)
        self._requests += minute.requests
        self._failed += minute.failed
        return self._failed > self._share * self._requests


class Kayenta:
    """The Mann-Whitney test of each hour's minutes, canary against control.

    The shift it tolerates is a quarter of the control's mean. confidence: as a normal quantile, by
    default that of 98 %. At 100 % it compares with the control of the hour before that step.
    """

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._canary: list[float] = []
        self._control: list[float] = []
        self._last_control: list[float] = []

    def rejects(self, minute: Minute) -> bool:
        if minute.requests:
            self._canary.append(minute.failed / minute.requests)
        if minute.control:
            self._control.append(minute.control_failed / minute.control)
        if (minute.number + 1) % 60:
            return False
        canary, control = self._canary, self._control or self._last_control
        self._canary, self._control, self._last_control = [], [], control
        if not canary or not control:
            return False
        tolerated = 0.25 * sum(control) / len(control)
        return mann_whitney_z([one - tolerated for one in canary], control) > self._quantile


def mann_whitney_z(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the normal score of the Mann-Whitney test, with its correction for ties."""
    values = sorted([(one, True) for one in ones] + [(one, False) for one in others])
    rank_sum, ties, first = 0.0, 0.0, 0
    while first < len(values):
        last = first
        while last < len(values) and values[last][0] == values[first][0]:
            last += 1
        count = last - first
        ties += count**3 - count
        rank_sum += (first + last + 1) / 2 * sum(own for _, own in values[first:last])
        first = last
    n, m, total = len(ones), len(others), len(values)
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    surplus = rank_sum - n * (total + 1) / 2
    return float(surplus / variance**0.5) if variance > 0 else 0.0


class Sequential:
    """The judge of rolloutctl, with its defaults and one criterion."""

    def __init__(self, _: float) -> None:
        self._fold, self._step = Fold(), -1

    def rejects(self, minute: Minute) -> bool:
        now = minute.number * MINUTE_S
        step = next(number for number, (end, _) in enumerate(WEIGHTS) if minute.number < end)
        if step != self._step:
            self._step, self._interval = step, StepInterval(step, now, now)
        if not minute.requests:
            return False
        window = Window(
            minute.requests, minute.failed, 1 - minute.failed / minute.requests, False,
            minute.control, minute.control_failed,
        )  # fmt: skip
        tests = _TESTS[step]
        ratios, control = tests.likelihood_ratios(window, self._fold, self._interval, now)
        self._fold = fold_minute(self._fold, now + MINUTE_S, ratios, {tests.judge.name: control})
        return bool(self._fold.rejections)


_METRICS = {name: {"namespace": "n", "name": name, "statistic": "Sum"} for name in "abcd"}
_POLICY = Policy.model_validate(
    {
        "version": 1,
        "name": "peers",
        "target": {"kind": "lambda-env", "function": "f", "percentage": "PERCENT"},
        "metrics": _METRICS,
        "criteria": {
            "SC-004": {
                "kind": "success_rate", "total": "a", "failures": ["b"], "min": "99.9%",
                "control": {"total": "c", "failures": ["d"]},
            }
        },
        "steps": [
            {"weight": 10, "bake": "1h"}, {"weight": 50, "bake": "1h"},
            {"weight": 100, "bake": "24h"},
        ],
    }
)  # fmt: skip
_TESTS = [gate_tests(_POLICY, step, {})["SC-004"] for step in range(3)]


@dataclass(frozen=True, slots=True)
class Peer:
    """A product, its judge, and its knob: by default, and the values to tune it by.

    knob: what the number is, for people.
    """

    name: str
    judge: Callable[[float], Judge]
    knob: str
    default: float
    values: tuple[float, ...] = ()


_MULTIPLES: Final = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
_COUNTS: Final = (5, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960)
PEERS: Final = (
    Peer("rolloutctl", Sequential, "none", 0.0),
    Peer("Flagger", Flagger, "failed checks", 5, _COUNTS),
    Peer("Argo Rollouts", Argo, "failures tolerated", 3, (3, *_COUNTS)),
    Peer("CloudWatch alarm, 2 of 2 x 5m", Alarm, "times the objective", 1.0, _MULTIPLES),
    Peer("the same, errors over 1 %", Alarm, "times the objective", 10.0),
    Peer("Kayenta", Kayenta, "normal quantile", 2.33, (2.33, 2.6, 3.0, 3.5, 4.0, 5.0, 6.0)),
    Peer("Cloud Run Release Manager", ReleaseManager, "times the objective", 1.0, _MULTIPLES),
    Peer("a look once an hour", Manual, "times the objective", 1.0, _MULTIPLES),
)
