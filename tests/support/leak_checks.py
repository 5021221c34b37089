"""Rollbacks at noon, and what is counted on both paths during their leak check."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.immutable import replace
from tests.support.core import (
    Command,
    Commanded,
    Decision,
    Finding,
    Label,
    Observation,
    Observed,
    QueryStatus,
    Rollout,
    Series,
    TargetReading,
    UnreadableTarget,
    Verb,
    Verdict,
    decide,
)
from tests.support.findings import a_finding
from tests.support.judging import Judging
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_series,
    with_facts,
)
from tests.support.three_steps import AFTER_ROLLBACK

CONFIRMED, FAILED, UNOBSERVABLE = Label.CONFIRMED, Label.LEAK_CHECK_FAILED, Label.UNOBSERVABLE
SILENCE: Sequence[float | None] = [None] * 20
TRAFFIC: Mapping[str, Any] = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
DIRECT = {"namespace": "Shop", "name": "Direct", "statistic": "Sum"}
CONTROLLED = a_policy(
    metrics={**LADDER["metrics"], "direct": DIRECT},
    criteria={**LADDER["criteria"], "traffic": {**TRAFFIC, "control": "direct"}},
)
# A rate of the stable path stands before that of the canary.
STABLE_FIRST = a_policy(
    metrics={**LADDER["metrics"], "direct": {**DIRECT, "counts": "stable"}},
    criteria={
        "others": {**LADDER["criteria"]["works"], "total": "direct"}, **LADDER["criteria"],
    },
)  # fmt: skip
UNCOUNTED = {
    "metrics": {"errors": LADDER["metrics"]["errors"]},
    "criteria": {"few": {**TRAFFIC, "kind": "threshold", "metric": "errors", "max": 1}},
}


def after_gate(samples: int, minutes: int = 60, criterion: str = "works") -> Rollout:
    """Return a rollback whose gate counted `samples` in so many minutes before noon."""
    start, end = int((NOON - minutes * MINUTE).timestamp()), int(NOON.timestamp())
    finding = a_finding(
        criterion,
        "works fails.",
        verdict=Verdict.FAIL,
        label=Label.LEAK_CHECK_FAILED,
        samples=samples,
        start=start,
        end=end,
    )
    return with_facts(AFTER_ROLLBACK, findings=(finding,))


# Ten requests a minute before; a control beside; nothing that counts requests.
BUSY = after_gate(600)
BESIDE_CONTROL = replace(AFTER_ROLLBACK, policy=CONTROLLED)
NOT_COUNTED = replace(AFTER_ROLLBACK, policy=a_policy(**UNCOUNTED))


def requests(
    canary: Sequence[float | None] = SILENCE,
    direct: Sequence[float | None] = SILENCE,
    answer: QueryStatus = QueryStatus.COMPLETE,
) -> dict[str, Series]:
    """Return the requests of both paths in each minute from noon on."""
    return {
        "requests:Sum@60": a_series(canary, answer=answer),
        "direct:Sum@60": a_series(direct, answer=answer),
    }


def only(minute: int, number: float = 3) -> list[float | None]:
    """Return a number in one minute, and silence in the others."""
    return [number if one == minute else None for one in range(20)]


def decide_at(
    rollout: Rollout,
    minute: float,
    series: Mapping[str, Series],
    target: TargetReading | UnreadableTarget | None = None,
    owns: bool = True,
) -> Decision:
    """Return the decision of a tick; target: at 0% unless another is given."""
    observation = Observation(target or a_reading(0), series, owns)
    return decide(rollout, Observed(observation), NOON + minute * MINUTE)


def roll_back(
    rollout: Rollout, target: TargetReading | UnreadableTarget, minute: float = 0
) -> Rollout:
    """Return `rollout` after an operator asked for a rollback."""
    event = Commanded(Observation(target), Command(Verb.ROLLBACK, "now"))
    return decide(rollout, event, NOON + minute * MINUTE).rollout


def label(decision: Decision) -> Label | None:
    """Return the label of the leak check; None: it has not ended."""
    return decision.rollout.leak_check.label if decision.rollout.leak_check else None


def leak_check_of(decision: Decision) -> Finding:
    """Return the leak check, which there is."""
    leak_check = decision.rollout.leak_check
    assert leak_check is not None
    return leak_check


def the_leak_check(*tick: Any) -> Judging:
    """Return how to make the leak check at a tick: rollout, minute, series and target."""
    return lambda: leak_check_of(decide_at(*tick))
