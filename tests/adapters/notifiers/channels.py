"""Messages to send in tests, and the rollout that they are about."""

from typing import Any

from tests.support.core import Label, Message, Phase, Rollout, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, a_rollout, a_state

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
FINDING = a_finding(
    "works",
    "works was below 99.9%.",
    reason="breached",
    verdict=Verdict.FAIL,
    label=Label.REGRESSION,
    measured=0.95,
    samples=1_200,
    start=int((NOON - 5 * MINUTE).timestamp()),
    end=int(NOON.timestamp()),
)


def a_message(**changes: Any) -> Message:
    """Return a message about `rolled_back_rollout`, with `changes`."""
    plain: dict[str, Any] = {
        "key": f"checkout#1:rolled_back:{NOON.isoformat()}",
        "at": NOON,
        "severity": "warning",
        "kind": "rolled_back",
        "text": "checkout#1 is rolled back, 0% is applied: works was below 99.9%.",
        "phase": "rolled_back",
        "weight": 0,
        "step": 0,
        "reason": "gate_failed",
        "recipients": ("notify[0]",),
        "run": "3f9c2a71d0e4",
    }
    return Message(**{**plain, **changes})


def rolled_back_rollout(**changes: Any) -> Rollout:
    """Return the rollout that `a_message` is about."""
    return a_rollout(state=a_state(Phase.ROLLED_BACK), **{"findings": (FINDING,), **changes})
