"""What graphs and alarms calculate, as lines; the last one is the result, in percent."""

from controller.core.judge.queries import query
from controller.core.judge.slow import SAMPLES
from controller.core.monitoring.parts import Line
from controller.core.policy import LatencyIncrease, Metric, Policy, SuccessRate, Threshold


def percent_of(fraction: float) -> float:
    """Return a fraction as a percentage, without the noise of binary fractions."""
    return round(100 * fraction, 6)


def single_line(name: str, metric: Metric, period_s: int) -> tuple[Line]:
    """Return the one line of a metric by itself."""
    return (Line("m1", name, query(metric, metric.statistic, period_s)),)


def failure_lines(policy: Policy, criterion: SuccessRate, period_s: int) -> tuple[Line, ...]:
    """Return the lines of the percentage of failures."""
    numbered = [(name, f"m{number}") for number, name in enumerate(criterion.failures, 2)]
    terms = " + ".join(_term(policy, name, identity) for name, identity in numbered)
    part = f"({terms})" if len(numbered) > 1 else terms
    return (
        _part(policy, criterion.total, "m1", period_s),
        *(_part(policy, name, identity, period_s) for name, identity in numbered),
        Line("e1", " + ".join(criterion.failures), expression=f"100 * {part} / m1"),
    )


def ratio_lines(policy: Policy, criterion: Threshold, per: str, period_s: int) -> tuple[Line, ...]:
    """Return the lines of a metric as a percentage of another."""
    part = _term(policy, criterion.metric, "m2")
    return (
        _part(policy, per, "m1", period_s),
        _part(policy, criterion.metric, "m2", period_s),
        Line("e1", f"{criterion.metric} per {per}", expression=f"100 * {part} / m1"),
    )


def increase_lines(
    policy: Policy, criterion: LatencyIncrease, control: str, period_s: int
) -> tuple[Line, ...]:
    """Return the lines of an increase over `control`, which is 0 where either has few samples."""
    pair = ((criterion.metric, "m1", "m3"), (control, "m2", "m4"))
    enough = " AND ".join(f"{few} >= {criterion.min_samples}" for _, _, few in pair)
    return (
        *(_part(policy, one, identity, period_s) for one, identity, _ in pair),
        *(_samples(policy, one, few, period_s) for one, _, few in pair),
        Line(
            "e1",
            f"{criterion.metric} above {control}",
            expression=f"IF({enough}, 100 * (m1 / m2 - 1), 0)",
        ),
    )


def _part(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    metric = policy.metrics[name]
    return Line(identity, name, query(metric, metric.statistic, period_s), shown=False)


def _samples(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    asked = query(policy.metrics[name], SAMPLES, period_s)
    return Line(identity, f"{name} samples", asked, shown=False)


def _term(policy: Policy, name: str, identity: str) -> str:
    """Return a line inside an expression; what is published only when it happens is 0 else."""
    return f"FILL({identity}, 0)" if policy.metrics[name].missing == "zero" else identity
