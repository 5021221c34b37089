"""What monitoring is made of, in our words; how AWS spells it is an adapter's business."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from controller.core.observation import Query

# On the stack, whose name alone proves nothing: the name of its policy.
TAG: Final = "rolloutctl:policy"

Missing: TypeAlias = Literal["missing", "notBreaching"]


def name_of(policy: str, criterion: str = "") -> str:
    """Return what the stack, the dashboard and the topic of a policy are called, or an alarm."""
    return "-".join(filter(None, ("rolloutctl", policy, criterion)))


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

    name: of the stack, the dashboard and the topic. emails: the addresses that the alarms write to;
    empty: those that the stack has already. notes: what of the policy is left out, and why.
    unknown: alarms that cannot be worked out here, because no store at hand has their baseline.
    """

    policy: str
    name: str
    dashboard: Dashboard
    alarms: tuple[Alarm, ...]
    emails: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a change set would do to one resource of the stack.

    action: add, modify, replace or remove. id: its logical id. kind: like AWS::CloudWatch::Alarm.
    """

    action: str
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack of a policy, beside what `monitoring deploy` would make now.

    differing: the logical ids of the resources that differ. topic: the ARN of its topic; empty
    where it has none.
    """

    status: str
    differing: tuple[str, ...]
    topic: str

    @property
    def sound(self) -> bool:
        """Whether the last operation on the stack went well."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a topic. address: an e-mail address, or the protocol."""

    address: str
    confirmed: bool
