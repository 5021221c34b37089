"""Faults that are added to a history, from a step on: what a bad release would have done in it.

`errors=1%@50`: 1% of the canary's requests fail, from the step with 50% on. `latency=+20%@10`:
its latencies are 20% higher. `hang=3%:10s@100`: 3% of its requests take ten seconds. A metric that
the policy calls `retries` counts 5% of its requests more with `retries=5%@50`, whatever kind of
criterion judges that.
"""

import re
from collections.abc import Iterator
from math import exp, log
from random import Random
from typing import Final, Literal, TypeAlias

from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Computed, Increase, Level, Ratio
from controller.core.units import number_text, parse_duration, parse_percent
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.tools.backtest.past_metrics import SEED, HistorySplit, drawn, request_counts

FaultKind: TypeAlias = Literal["errors", "latency", "hang", "count"]

_FORM: Final = re.compile(
    r"^(?:errors=(?P<errors>[^:@+]+)|latency=\+(?P<latency>[^:@]+)"
    r"|hang=(?P<hang>[^:@]+):(?P<length>[^:@]+)"
    r"|(?!latency=|hang=)(?P<metric>[A-Za-z][\w.-]*)=(?P<count>[^:@+]+))@(?P<weight>[0-9]{1,3})%?$"
)
_LATENCY: Final = "the metric of a latency_increase or threshold criterion that is not a count"
# What shows a fault of each kind.
_SHOWN_BY: Final[dict[FaultKind, str]] = {
    "errors": "the failures (or successes) of a success_rate or burn_rate criterion",
    "latency": _LATENCY,
    "hang": _LATENCY,
    "count": "a count (Sum) of that name that a criterion judges",
}
_EXAMPLES: Final = "errors=1%@50, latency=+20%@10, hang=3%:10s@100 or METRIC=5%@50"


class Fault(Immutable):
    """What the canary does from the step with `weight` percent on.

    size: the share of requests that fail or hang, or by how much latencies are higher.
    seconds: how long a request takes that hangs. metric: that which counts such requests; empty:
    those that the criteria judge.
    """

    text: str
    kind: FaultKind
    size: float
    weight: int
    seconds: float = 0.0
    metric: str = ""

    @property
    def noun(self) -> str:
        """What a request is called that meets it: a count of any metric need not be bad."""
        return "affected request" if self.kind == "count" else "bad request"

    @property
    def effect(self) -> str:
        """What it does, in words: `5% of requests fail`."""
        size = f"{number_text(float(f'{100 * self.size:.4g}'))}%"
        match self.kind:
            case "errors":
                return f"{size} of requests fail"
            case "latency":
                return f"latency is {size} higher"
            case "hang":
                return f"{size} of requests take {number_text(self.seconds)} s"
            case "count":
                return f"{size} of requests are counted by {self.metric}"


def parse_fault(text: str, policy: Policy) -> Fault:
    """Return the fault that `text` names.

    Raises UsageError for another form or weight, and where no metric of `policy` would show it.
    """
    found = _FORM.match(text)
    if found is None:
        raise UsageError(f"--inject: expected {_EXAMPLES}, not {text!r:.60}")
    kinds: tuple[FaultKind, ...] = ("errors", "latency", "hang", "count")
    kind = next(one for one in kinds if found[one])
    try:
        size = parse_percent(found[kind])
        seconds = parse_duration(found["length"]).total_seconds() if kind == "hang" else 0.0
    except ValueError as error:
        raise UsageError(f"--inject: {error}") from error
    if size <= 0 or (size >= 1 and kind != "latency"):
        raise UsageError(f"--inject: expected {_EXAMPLES}: above 0%, and a share below 100%")
    weight = int(found["weight"])
    weights = [step.weight for step in policy.steps]
    if weight not in weights:
        steps = ", ".join(f"{one}%" for one in weights)
        raise UsageError(f"--inject: no step of {policy.name} has {weight}%, only {steps}")
    fault = Fault(text, kind, size, weight, seconds, found["metric"] or "")
    if kind == "errors" and not list(_touched(policy, fault)):  # perhaps a metric of that name
        named = Fault(text, "count", size, weight, metric=kind)
        fault = named if list(_touched(policy, named)) else fault
    if not list(_touched(policy, fault)):
        raise UsageError(
            f"--inject {text}: no metric of {policy.name} would show that; it needs "
            f"{_SHOWN_BY[kind]}, measured on the canary"
        )
    if _canary_count(policy) is None:
        raise UsageError(
            f"--inject {text}: no metric of {policy.name} counts the requests of the canary, which "
            "meet the fault; it needs a criterion that counts requests"
        )
    return fault


def add_fault(split: HistorySplit, fault: Fault) -> None:
    """Add `fault` to the canary's columns of `split`, and note the requests that meet it."""
    requests = _canary_requests(split)
    share = 1.0 if fault.kind == "latency" else fault.size
    draw = Random(f"{SEED} fault {split.weight}")  # noqa: S311 - a simulation, no secret
    split.bad_requests = {at: drawn(draw, n, share) for at, n in sorted(requests.items())}
    for metric in _touched(split.policy, fault):
        if fault.kind in ("errors", "count"):
            _add_failures(split, metric)
        else:
            _change_latency(split, metric, fault)


def _touched(policy: Policy, fault: Fault) -> Iterator[str]:
    """Yield the canary's metrics that show `fault`, each once."""
    kind, is_of_times = fault.kind, fault.kind in ("latency", "hang")
    names: dict[str, None] = {}
    for criterion, comparison in policy.comparisons():
        judged = [one.metric for one in policy.criteria[criterion].judged]
        values = [name for name in judged if not policy.metrics[name].is_count]
        match comparison.measured:
            case Ratio(counts="successes", parts=(name, *_)) if kind == "errors":
                names[name] = None
            case Ratio(counts="failures", parts=(*_, name)) if kind == "errors":
                names[name] = None
            case Level(metric=name) | Increase(metric=name) if is_of_times and name in values:
                names[name] = None
            case Computed() if is_of_times:
                names |= dict.fromkeys(values)
            case _ if fault.metric in judged and fault.metric not in values:
                names[fault.metric] = None
            case _:
                pass
    yield from (name for name in names if policy.counts.get(name) != "stable")


def _canary_count(policy: Policy) -> str | None:
    counts = request_counts(policy)
    return counts.get("canary") or counts.get("both")


def _canary_requests(split: HistorySplit) -> dict[int, float]:
    name = _canary_count(split.policy)
    if name is None:
        return {}
    points = split.points(name, split.policy.metrics[name].statistic)
    share = split.weight / 100 if split.policy.counts[name] == "both" else 1.0
    return {at: value * share for at, value in points.items()}


def _add_failures(split: HistorySplit, metric: str) -> None:
    """Add the bad requests to a metric of failures; take them off one of successes."""
    ratios = (comparison.measured for _, comparison in split.policy.comparisons())
    successes = [
        ratio for ratio in ratios if isinstance(ratio, Ratio) and ratio.counts == "successes"
    ]
    sign = -1 if any(metric in success.parts for success in successes) else 1
    counts = split.points(metric, split.policy.metrics[metric].statistic)
    for at, bad in split.bad_requests.items():
        counts[at] = max(0.0, counts.get(at, 0.0) + sign * bad)


# --- Latency --------------------------------------------------------------------------------------


def _change_latency(split: HistorySplit, metric: str, fault: Fault) -> None:
    counts = ("Sum", "SampleCount")
    keys = [key for key in split.columns if key[0] == metric and key[1] not in counts]
    if fault.kind == "latency":
        for key in keys:
            points = split.columns[key]
            split.columns[key] = {at: value * (1 + fault.size) for at, value in points.items()}
        return
    hung = fault.seconds * _units_per_second(split.policy.metrics[metric])
    shares = {key: float(key[1][1:]) / 100 for key in keys if key[1].startswith("p")}
    for at in {at for key in shares for at in split.columns[key]}:
        known = {share: split.columns[key][at] for key, share in shares.items()
                 if at in split.columns[key]}  # fmt: skip
        for key, share in shares.items():
            if share in known:
                split.columns[key][at] = _with_hangs(known, share, fault.size, hung)


def _units_per_second(metric: Metric) -> float:
    """Return 1 for a metric in seconds, 1,000 for one in milliseconds, which is usual."""
    in_seconds = metric.unit in ("s", "seconds") or metric.namespace == "AWS/ApplicationELB"
    return 1.0 if in_seconds else 1_000.0


def _with_hangs(known: dict[float, float], share: float, hanging: float, hung: float) -> float:
    """Return the percentile `share` once `hanging` of the requests take `hung`.

    known: the percentiles of the others.
    """
    usual = share / (1 - hanging)
    return hung if usual >= 1 else max(known[share], min(hung, _percentile(known, usual)))


def _percentile(known: dict[float, float], share: float) -> float:
    """Return the value below which `share` of requests lie, between known percentiles.

    Straight lines of the log of the latency against the logit of the share, as the judge has them.
    """
    points = sorted((log(one / (1 - one)), log(value)) for one, value in known.items() if value > 0)
    if len(points) < 2:
        return max(known.values())
    position = log(share / (1 - share))
    right = next((i for i, (x, _) in enumerate(points) if x >= position), len(points) - 1)
    (x0, y0), (x1, y1) = points[max(right, 1) - 1 : max(right, 1) + 1]
    return exp(y0 + (y1 - y0) * (position - x0) / (x1 - x0))
