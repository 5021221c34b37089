"""One line each for shares, burn rates, alarms, log events and attestations of a policy."""

from controller.core.policy import (
    Alarm,
    Attestation,
    BurnRate,
    Criterion,
    LogEvents,
    MissingCriterion,
    Policy,
    Share,
    alarm_name,
)
from controller.core.units import count_text, format_duration, format_percent, number_text


def demand_text(criterion: Criterion, policy: Policy) -> str:
    """Return what `criterion` of `policy` demands and how it is evaluated, in one line."""
    match criterion:
        case Share():
            return (
                f"{criterion.metric} of {criterion.metric} + {criterion.control} is the weight, "
                f"within {format_percent(criterion.tolerance)} and "
                f"{format_percent(criterion.confidence)} of chance; judged at the end of the bake, "
                f"from {number_text(criterion.min_samples)} samples on; off it holds, and never "
                "rolls back"
            )
        case BurnRate():
            pairs = ", or ".join(pair.text for pair in criterion.windows)
            failures = " + ".join(criterion.failures)
            return (
                f"{failures} per {criterion.total} burn the budget of "
                f"{format_percent(1 - criterion.slo)} no faster than {pairs} at once; a pass needs "
                f"{number_text(criterion.min_samples)} samples"
            )
        case Alarm():
            return f"alarm {alarm_name(criterion.alarm)} is OK"
        case LogEvents():
            return _events(criterion, policy)
        case Attestation():
            return f'a person signs "{criterion.statement}"'
        case MissingCriterion():
            return criterion.problem
        case _:
            return f"a criterion of the kind {criterion.kind}"


def _events(criterion: LogEvents, policy: Policy) -> str:
    times = count_text(criterion.bound, "time")
    if criterion.present is not None:
        demand = f"{criterion.event} is logged at least {times} in the step"
    elif criterion.bound:
        demand = f"{criterion.event} is logged at most {times} in the step"
    else:
        demand = f"{criterion.event} is not logged in the step"
    return (
        f"{demand}, in {policy.log_group_of(criterion)}; {criterion.control} in "
        f"the newest {format_duration(criterion.over)} shows that logs arrive"
    )
