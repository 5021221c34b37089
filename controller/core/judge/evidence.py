"""What criteria are judged from: baselines, sign-offs, alarms, tallies, and the whole rollout."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET, UnsetType

from controller.core.judge.findings import Finding
from controller.core.observation import AlarmReading
from controller.core.stats.combined_tests import (
    NO_CONTROL,
    ControlState,
    Rejection,
    SequentialState,
)
from controller.core.stats.counts import Counts
from controller.core.units import Amount, AwareTime, Count, Real, Second, Share
from controller.immutable import Immutable, field

_HOUR_S = 3_600
HOURS_OF_A_WEEK = 7 * 24


def hour_of_week(second: int) -> int:
    """Return the hour of the week of a unix second; which day is the first does not matter."""
    return second // _HOUR_S % HOURS_OF_A_WEEK


class BaselineMeasurement(Immutable):
    """A baseline read before the start: its value, samples, and window in unix seconds.

    value: of a latency; of a success rate the share that failed, where that was an outage.
    share: of its requests that were slower than the value, at least what its percentile leaves
        above it; None where no criterion needs it.
    dispersion: how many times more that share varied between blocks than chance explains.
    hung_share: of its requests that may have taken longer than three times the value, at most.
    hours: `share` in each hour of the day (UTC), 24 of them; empty where one had no requests.
    hourly: what is allowed in an hour is the share of that hour, and not that of the window.
    week: requests a minute in each hour of the week, 168 of them; UNSET where it has no whole one.
    """

    value: Real
    samples: Amount
    start: Second
    end: Second
    share: Share | None = None
    dispersion: Amount = 1.0
    hung_share: Share = 0.0
    hours: tuple[Share, ...] = ()
    hourly: bool = False
    week: tuple[Amount, ...] | UnsetType = UNSET

    def share_at(self, second: int) -> float:
        """Return the share at the time of day of unix second `second`; 0 where it is unknown."""
        return self.hours[second // _HOUR_S % len(self.hours)] if self.hours else 0.0

    def requests_due(self, minutes: Iterable[int]) -> float:
        """Return how many requests these minutes had in `week`, by unix second; 0 without one."""
        week = self.week
        return 0.0 if week is UNSET else sum(week[hour_of_week(minute)] for minute in minutes)


class SignOff(Immutable):
    """The sign-off or refusal of a criterion by an operator. at: unix seconds."""

    by: str
    at: Second
    note: str
    refused: bool = False


class NonMetricEvidence(Immutable):
    """The evidence of a rollout that does not come from metrics or logs: alarms and sign-offs.

    alarms: by name or ARN. sign_offs: by criterion. rollout_start: unix seconds.
    rollout_id: for the command that an operator has to type.
    """

    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    sign_offs: Mapping[str, SignOff] = field(default_factory=dict)
    rollout_start: int = 0
    rollout_id: str = "ROLLOUT"

    def refusals(self) -> list[str]:
        """Return the criteria that an operator has refused."""
        return [name for name, sign_off in self.sign_offs.items() if sign_off.refused]


class FixStart(Immutable):
    """What was red when a rollout was started as a fix: it does not gate until it is green.

    red: the worst value before the start, in the unit of the bound, by criterion; None for an
    alarm, which was in ALARM. green: since when those that are green gate as usual, unix seconds.
    """

    red: Mapping[str, Real | None]
    green: Mapping[str, Second] = field(default_factory=dict)

    @property
    def not_green(self) -> dict[str, float | None]:
        """The criteria that have not been green yet, with their worst value before the start."""
        return {name: worst for name, worst in self.red.items() if name not in self.green}


class StepInterval(Immutable):
    """The whole minutes in which the weight of one step was applied, in unix seconds.

    judged_from: end of its warm-up. end: 0 while it lasts.
    """

    step: Count
    begin: Second
    judged_from: Second
    end: Second = 0


class BreachRun(Immutable):
    """A run of breaching windows, none within the bound between them; some may have no data.

    length: how many; start, end: from the first to the last, unix seconds; value: of the last.
    """

    length: Count = 0
    start: Second = 0
    end: Second = 0
    value: Real | None = None


class Tally(Immutable):
    """The fold of one criterion over closed windows of a step.

    through: end of the last folded window, unix seconds; 0 before the first.
    windows, empty, inconsistent: windows with data, without data, and with inconsistent data.
    unanswered: windows that were given up, because their queries were never answered.
    counts: the sum of those of its windows.
    run, longest_run: the current run of breaches, and the longest of the step.
    last, last_end, last_breach: newest window with data: value, end, whether it breached.
    newest_inconsistent: the newest closed window had inconsistent data.
    spacing: the shortest time from a window with data to the next one, in seconds: no less than the
        period at which the metric is published. 0 before the second such window.
    recent: requests and failures of the newest windows, where a criterion looks back over them.
    """

    through: Second = 0
    windows: Count = 0
    empty: Count = 0
    inconsistent: Count = 0
    unanswered: Count = 0
    counts: Counts = Counts()
    run: BreachRun = BreachRun()
    longest_run: BreachRun = BreachRun()
    last: Real | None = None
    last_end: Second = 0
    last_breach: bool = False
    newest_inconsistent: bool = False
    spacing: Count = 0
    recent: tuple[tuple[Real, Real], ...] = ()


class RolloutEvidence(Immutable):
    """What a rollout has measured and judged so far: the stored part of its state.

    baselines: read before the start, by criterion. sign_offs: of operators, by criterion.
    checkpoint_at: when minutes that can no longer change were last added to tallies and fold.
    tallies: the checkpoint of the live step, by criterion.
    fold: the checkpoint of the whole rollout, of what adds up over minutes; intervals: those of
        earlier steps that reach beyond it.
    findings: the gate of the live step, as last judged.
    earlier_findings: the last findings of criteria that are not in the gate of this step.
    label: the weakest evidence of the steps that are over; empty while none is.
    fix: what was red at the start of a rollout that was started as a fix; None for any other.
    """

    baselines: Mapping[str, BaselineMeasurement] = field(default_factory=dict)
    sign_offs: Mapping[str, SignOff] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    checkpoint_at: AwareTime | None = None
    fold: SequentialState = field(default_factory=SequentialState)
    intervals: tuple[StepInterval, ...] = ()
    findings: tuple[Finding, ...] = ()
    earlier_findings: tuple[Finding, ...] = ()
    label: str = ""
    fix: FixStart | None = None

    @property
    def known_findings(self) -> tuple[Finding, ...]:
        """The newest finding of each criterion that has been judged."""
        return (*self.earlier_findings, *self.findings)


class IntervalTotals(Immutable):
    """The counts of one criterion over the minutes from `start` to `end`, unix seconds."""

    start: int
    end: int
    counts: Counts


class SequentialResult(Immutable):
    """What the evidence of the whole rollout says about one criterion.

    test, rejection: the test that failed it, and its evidence; None while none did.
    regression: the minutes that it fails for; None where the checkpoint has them, or without a
        failure.
    control: what is known of its control.
    """

    rejection: Rejection | None = None
    regression: IntervalTotals | None = None
    test: str = ""
    control: ControlState = NO_CONTROL


def strongest_rejection(fold: SequentialState, criterion: str) -> tuple[str, Rejection] | None:
    """Return the test of `criterion` that exceeds its limit the most; None where none does."""
    own = [item for item in fold.rejections.items() if criterion_of(item[0]) == criterion]
    return max(own, key=lambda one: one[1].e_value / one[1].limit, default=None)


def criterion_of(test: str) -> str:
    """Return the criterion that a sequential test belongs to."""
    return test.partition("/")[0]
