"""How other products decide, as their documentation and source have it, on minutes of counts.

Each judges a share of requests: failures, of which 0.1% are allowed, or requests beyond the limit
of a p95, of which 5% are. Each has one knob, which is `by default` or tuned. All of them go by the
steps of the comparison; what they do between two looks is not part of it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from benchmarks.judging import policy as judging
from benchmarks.judging.rollout import JudgedRollout, windows_of
from benchmarks.peer_models.world import MULTIPLES, STEPS, Minute, SlowWorld, World
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import WindowCounts
from controller.core.policy import Policy
from controller.core.stats.counts import Counts
from controller.immutable import Immutable

# The shares that are allowed: of failures, and of requests beyond the limit of a p95.
FAILING: Final = 0.001
SLOW: Final = 0.05


class Judge:
    """A judge of one rollout, which gets each minute in order."""

    def rejects(self, minute: Minute) -> bool:
        """Return whether to roll back after `minute`."""
        raise NotImplementedError

    def waits(self, *, bake_over: bool) -> bool:
        """Return whether the step lasts longer by the minute before; most judges only wait for
        the end of the bake.
        """
        return not bake_over


class Flagger(Judge):
    """A check a minute; rolls back when `threshold` checks have failed, and a tick later.

    No data is a failed check. Failed checks add up over the whole canary, and a step needs as many
    passed ones as its bake has minutes.
    """

    def __init__(self, threshold: float, allowed: float) -> None:
        self._threshold, self._allowed, self._failed, self._halted = threshold, allowed, 0, 0

    def rejects(self, minute: Minute) -> bool:
        if self._failed >= self._threshold:
            return True
        if not minute.requests or minute.failed > self._allowed * minute.requests:
            self._failed += 1
            self._halted += 1
        return False

    def waits(self, *, bake_over: bool) -> bool:
        if bake_over and self._halted:
            self._halted -= 1  # a minute for each of the step that did not count
            return True
        return not bake_over


class Windows(Judge):
    """Counts of windows of `length` minutes; the base of judges that look at whole windows."""

    def __init__(self, allowed: float, length: int = 5) -> None:
        self._allowed, self.length = allowed, length
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
    """An analysis in each step, every `length` minutes; more than `limit` failures fail it."""

    def __init__(self, limit: float, allowed: float, length: int = 5) -> None:
        super().__init__(allowed, length)
        self._limit, self._failures, self._weight = limit, 0, 0

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        if minute.weight != self._weight:  # each step has an analysis of its own
            self._weight, self._failures = minute.weight, 0
        self._failures += failed > self._allowed * requests
        return self._failures > self._limit


class Alarm(Windows):
    """A CloudWatch alarm: 2 of 2 periods of `length` minutes above the share that is allowed.

    Missing data keeps its state.
    """

    def __init__(self, allowed: float, length: int = 5) -> None:
        super().__init__(allowed, length)
        self._breaches = 0

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        if requests:
            self._breaches = self._breaches + 1 if failed > self._allowed * requests else 0
        return self._breaches >= 2


class Manual(Windows):
    """A person who looks once an hour at the failures of that hour."""

    def __init__(self, allowed: float) -> None:
        super().__init__(allowed, 60)

    def looks(self, minute: Minute, requests: int, failed: int) -> bool:
        return failed > self._allowed * requests


class ReleaseManager(Judge):
    """Cloud Run Release Manager: each minute, the failures of the last half an hour.

    The window goes back across changes of the weight. There is no least number of requests.
    """

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._recent: deque[Minute] = deque(maxlen=30)
        self._requests = self._failed = 0

    def rejects(self, minute: Minute) -> bool:
        if len(self._recent) == self._recent.maxlen:
            self._requests -= self._recent[0].requests
            self._failed -= self._recent[0].failed
        self._recent.append(minute)
        self._requests += minute.requests
        self._failed += minute.failed
        return self._failed > self._allowed * self._requests


class Kayenta(Judge):
    """The Mann-Whitney test of each hour's minutes, canary against control.

    The shift it tolerates is a quarter of the control's mean. confidence: as a normal quantile, by
    default that of 98%. At 100% it compares with the control of the hour before that step.
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


class BeyondMultiple(Judge):
    """A judge of requests beyond a limit, with `multiple` times that limit."""

    def __init__(self, judge: Judge, multiple: float) -> None:
        self._judge, self._index = judge, MULTIPLES.index(multiple)

    def rejects(self, minute: Minute) -> bool:
        return self._judge.rejects(minute.beyond_multiple(self._index))

    def waits(self, *, bake_over: bool) -> bool:
        return self._judge.waits(bake_over=bake_over)


class Sequential(Judge):
    """The judge of rolloutctl, with its defaults. windows: what each criterion sees of a minute."""

    def __init__(
        self,
        policy: Policy,
        baselines: Mapping[str, BaselineMeasurement],
        windows: Callable[[Minute], Mapping[str, WindowCounts | None]],
    ) -> None:
        self._rollout = JudgedRollout(policy, baselines, counting=True)
        self._windows, self._weight, self._over = windows, 0, 0

    def rejects(self, minute: Minute) -> bool:
        if minute.weight != self._weight:
            self._weight = minute.weight
            self._rollout.enter([one for one, _ in STEPS].index(minute.weight), minute.number)
        self._over = minute.number + 1
        return self._rollout.rejects(self._windows(minute), minute.number)

    def waits(self, *, bake_over: bool) -> bool:
        return not (bake_over and self._rollout.passes(self._over))


def failures_policy(minimum: str = "99.9%", steps: Sequence[tuple[int, int]] = STEPS) -> Policy:
    """Return a policy with one success rate beside the stable path; steps: weight and minutes."""
    metrics = {name: {"namespace": "n", "name": name, "statistic": "Sum"} for name in "abcd"}
    return Policy.model_validate(
        {
            "version": 1,
            "name": "peers",
            "target": {"kind": "lambda-env", "function": "f", "percentage": "PERCENT"},
            "metrics": metrics,
            "criteria": {
                "SC-004": {
                    "kind": "success_rate", "total": "a", "failures": ["b"], "min": minimum,
                    "control": {"total": "c", "failures": ["d"]},
                }
            },
            "warmup": "0s",
            "steps": [{"weight": weight, "bake": f"{bake}m"} for weight, bake in steps],
        }
    )  # fmt: skip


_FAILURES = failures_policy()


def _failures_seen(minute: Minute) -> dict[str, WindowCounts | None]:
    if not minute.requests:
        return {"SC-004": None}
    success = 1 - minute.failed / minute.requests
    counts = Counts(minute.requests, minute.failed, minute.control, minute.control_failed)
    return {"SC-004": WindowCounts(counts, success)}


def _latencies_seen(minute: Minute) -> dict[str, WindowCounts | None]:
    assert minute.seen is not None
    return windows_of(minute.seen)


# --- Judges and their knobs -----------------------------------------------------------------------


class Peer(Immutable):
    """A product, its judge, and its knob: by default, and the values to tune it by.

    judge: of a knob and the world that it judges. default: None where it is only played tuned.
    holds: whether a step of it may last longer than its bake.
    """

    name: str
    judge: Callable[[float, World], Judge]
    default: float | None
    values: tuple[float, ...] = ()
    holds: bool = False


def _failure_judge(_: float, __: World) -> Judge:
    return Sequential(_FAILURES, {}, _failures_seen)


def _latency_judge(_: float, world: World) -> Judge:
    assert isinstance(world, SlowWorld)
    return Sequential(judging.LATENCY_ALONE, world.baselines, _latencies_seen)


def _of_share(judge: Callable[[float], Judge]) -> Callable[[float, World], Judge]:
    """Return a judge of failures whose knob multiplies the share that is allowed."""
    return lambda multiple, _: judge(multiple * FAILING)


def _of_limit(judge: Callable[[float], Judge]) -> Callable[[float, World], Judge]:
    """Return a judge of a latency whose knob multiplies its limit."""
    return lambda multiple, _: BeyondMultiple(judge(SLOW), multiple)


_SHARES: Final = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
_COUNTS: Final = (5, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960)
_QUANTILES: Final = (2.33, 2.6, 3.0, 3.5, 4.0, 5.0, 6.0)
OURS: Final = "rolloutctl"
ALARM: Final = "CloudWatch alarm, 2 of 2 x 5m"
# The same products with the bound of a look as their knob, and a look a minute.
FLAGGER_BY_BOUND: Final = "Flagger, 5 checks"
BY_BOUND: Final = (FLAGGER_BY_BOUND, "Argo Rollouts, 4 x 1m", "CloudWatch alarm, 2 of 2 x 1m")


def _counting_peers(allowed: float) -> tuple[Peer, ...]:
    """Return the judges whose knob is a number of failures."""
    return (
        Peer("Flagger", lambda knob, _: Flagger(knob, allowed), 5, _COUNTS, holds=True),
        Peer("Argo Rollouts", lambda knob, _: Argo(knob, allowed), 3, (3, *_COUNTS)),
    )


def _by_bound(
    of: Callable[[Callable[[float], Judge]], Callable[[float, World], Judge]],
    values: tuple[float, ...],
) -> tuple[Peer, ...]:
    """Return the judges that look each minute, and whose knob is the bound of a look."""
    flagger, argo, alarm = BY_BOUND
    return (
        Peer(flagger, of(lambda allowed: Flagger(5, allowed)), None, values, holds=True),
        Peer(argo, of(lambda allowed: Argo(3, allowed, 1)), None, values),
        Peer(alarm, of(lambda allowed: Alarm(allowed, 1)), None, values),
    )


_KAYENTA: Final = Peer("Kayenta", lambda knob, _: Kayenta(knob), 2.33, _QUANTILES)
# Judges of failures, and of latencies.
PEERS: Final = (
    Peer(OURS, _failure_judge, 0.0, holds=True),
    *_counting_peers(FAILING),
    Peer(ALARM, _of_share(Alarm), 1.0, _SHARES),
    *_by_bound(_of_share, _SHARES),
    Peer("the same, errors over 1%", _of_share(Alarm), 10.0),
    _KAYENTA,
    Peer("Cloud Run Release Manager", _of_share(ReleaseManager), 1.0, _SHARES),
    Peer("a look once an hour", _of_share(Manual), 1.0, _SHARES),
)
LATENCY_PEERS: Final = (
    Peer(OURS, _latency_judge, 0.0, holds=True),
    *_counting_peers(SLOW),
    Peer(ALARM, _of_limit(Alarm), 1.0, MULTIPLES),
    *_by_bound(_of_limit, MULTIPLES),
    _KAYENTA,
    Peer("Cloud Run Release Manager", _of_limit(ReleaseManager), 1.0, MULTIPLES),
    Peer("a look once an hour", _of_limit(Manual), 1.0, MULTIPLES),
)
