"""What monitoring is made of, in our words; how AWS spells it is an adapter's business."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from controller.core.observation import Query

# On everything that is made: the name of its policy. What does not carry it is not touched.
TAG: Final = "rolloutctl:policy"

# What becomes of a subscription: its address was asked by mail, or has said yes.
PENDING: Final = "waits for its confirmation"
CONFIRMED: Final = "confirmed"

# What may differ of a dashboard because the rollout has gone on since it was made.
STEPS: Final = "its steps"

Missing: TypeAlias = Literal["missing", "notBreaching"]


def name_of(policy: str, criterion: str = "") -> str:
    """Return what the dashboard and the topic of a policy are called, or a criterion's alarm."""
    return "-".join(filter(None, ("rolloutctl", policy, criterion)))


def mark_of(policy: str) -> str:
    """Return the tag as the text of a dashboard has it: not everywhere can dashboards be tagged."""
    return f"`{TAG}={policy}`"


class Kind(StrEnum):
    """What there is; in the order in which it is made, because alarms name their topic."""

    TOPIC = "topic"
    SUBSCRIPTION = "subscription"
    ALARM = "alarm"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class Line:
    """One series: a statistic of a metric, or an expression over other lines by their ids.

    shown: False for what only an expression needs. right: on the axis at the right. bound: it is
    what a criterion holds another line against.
    """

    id: str
    label: str
    query: Query | None = None
    expression: str = ""
    shown: bool = True
    right: bool = False
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that a criterion holds its series against, drawn across a widget."""

    value: float
    label: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened to the rollout, drawn through every widget."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Widget:
    """One graph. left, right: what its axes show."""

    title: str
    lines: tuple[Line, ...]
    bounds: tuple[Bound, ...] = ()
    left: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of graphs. text: what it says of itself."""

    name: str
    text: str
    widgets: tuple[Widget, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """One criterion, as an alarm that does not need rolloutctl to be running.

    text: when it breaches, in a sentence. lines: the last one is compared with the threshold.
    above: it breaches above the threshold, else below. periods: so many in a row. few_ignored: a
    percentile of too few samples changes nothing.
    """

    name: str
    text: str
    lines: tuple[Line, ...]
    threshold: float
    above: bool
    periods: int
    missing: Missing
    few_ignored: bool = False


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Everything that should be there for one policy.

    name: of the dashboard and the topic. emails: who is told; nobody: no topic is needed.
    notes: what of the policy is left out, and why. unknown: alarms of it that cannot be worked out
    here, for nobody knows their baseline; those that are there stay.
    """

    policy: str
    name: str
    dashboard: Dashboard
    alarms: tuple[Alarm, ...]
    emails: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is there under a name that is ours by its form.

    owner: the policy that its tag names; empty: none. stack: the CloudFormation stack that made
    it. differs: which of its properties are not as they should be. state: of an alarm or a
    subscription.
    """

    kind: Kind
    name: str
    owner: str = ""
    stack: str = ""
    differs: tuple[str, ...] = ()
    state: str = ""
