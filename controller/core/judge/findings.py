"""A finding: one criterion judged once, with verdict, label, reason and the facts behind them.

`core/words` makes the sentence of a finding from its facts, for people: see `facts.py`.
A kind of another package brings its sentence as the fact `text`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

from controller.core.units import Count, Real, Second
from controller.immutable import Immutable, field


class Verdict(StrEnum):
    """The three verdicts; missing data and failed queries are `inconclusive`."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Label(StrEnum):
    """How strong the evidence is, from the label that claims most to the one that claims least."""

    CONFIRMED = "confirmed"
    PROVEN = "objective met"
    ATTESTED = "attested"
    NO_REGRESSION = "no regression detected"
    REGRESSION = "regression detected"
    REFUSED = "refused"
    LEAK_CHECK_FAILED = "failed"
    TOO_FEW = "too few samples"
    NOT_JUDGED = "not judged"
    NOT_ATTESTED = "not attested"
    ALARM_BEFORE_START = "in ALARM before the start"
    NO_RECENT_DATA = "no recent data"
    NO_DATA = "no data"
    BAD_DATA = "inconsistent data"
    QUERY_FAILED = "query failed"
    UNOBSERVABLE = "unobservable"


class FindingReason(StrEnum):
    """Why a finding has its verdict, in one word for machines; `core/words` has the sentences."""

    LEAK_CHECK = "leak_check"
    QUERY_FAILED = "query_failed"
    NO_WINDOW_YET = "no_window_yet"
    KIND_MISSING = "kind_missing"
    JUDGE_FAILED = "judge_failed"
    WITHIN_BOUND = "within_bound"
    BREACHED = "breached"
    BREACHING = "breaching"
    BAD_WINDOWS = "bad_windows"
    TOO_FEW_SAMPLES = "too_few_samples"
    NO_WINDOW = "no_window"
    SILENT = "silent"
    INCREASE_WITHIN = "increase_within"
    INCREASE_BEYOND = "increase_beyond"
    INCREASE_SO_FAR = "increase_so_far"
    TOO_FEW_TO_COMPARE = "too_few_to_compare"
    NOTHING_TO_COMPARE = "nothing_to_compare"
    REQUESTS_ARRIVED = "requests_arrived"
    TOO_FEW_ARRIVED = "too_few_arrived"
    CANARY_UNREACHED = "canary_unreached"
    NO_REQUESTS = "no_requests"
    TOO_FEW_TO_SPLIT = "too_few_to_split"
    SPLIT_SO_FAR = "split_so_far"
    SPLIT_FITS = "split_fits"
    SPLIT_OFF = "split_off"
    BUDGET_BURNT = "budget_burnt"
    BUDGET_KEPT = "budget_kept"
    BUDGET_TOO_FEW = "budget_too_few"
    BUDGET_UNDECIDED = "budget_undecided"
    BUDGET_BAD_COUNTS = "budget_bad_counts"
    BUDGET_NO_REQUESTS = "budget_no_requests"
    ALARM_OK = "alarm_ok"
    IN_ALARM = "in_alarm"
    ALARM_WITHOUT_DATA = "alarm_without_data"
    ALARM_MISSING = "alarm_missing"
    ALARM_UNREAD = "alarm_unread"
    ALARM_IN_WARM_UP = "alarm_in_warm_up"
    ALARM_BEFORE_START = "alarm_before_start"
    NOT_ATTESTED = "not_attested"
    ATTESTED = "attested"
    REFUSED = "refused"
    EVENT_LOGGED = "event_logged"
    NO_MINUTE_YET = "no_minute_yet"
    LOG_UNREAD = "log_unread"
    EVENTS_FIT = "events_fit"
    TOO_FEW_EVENTS = "too_few_events"
    LOG_BACKLOG = "log_backlog"
    NO_CONTROL_EVENT = "no_control_event"
    REJECTED = "rejected"
    NO_REGRESSION = "no_regression"
    SHARED_OUTAGE = "shared_outage"
    NEWEST_ABOVE = "newest_above"
    RULED_OUT_LARGE = "ruled_out_large"
    UNDECIDED = "undecided"
    PROVEN = "proven"
    RATE_NO_REGRESSION = "rate_no_regression"
    NOT_PROVEN_YET = "not_proven_yet"
    BAD_COUNTS = "bad_counts"
    TOO_FEW_REQUESTS = "too_few_requests"
    BASELINE_UNREAD = "baseline_unread"
    NO_REQUESTS_YET = "no_requests_yet"
    NO_REQUESTS_ANY_MORE = "no_requests_any_more"
    REQUESTS_MISSING = "requests_missing"


# What a criterion lacks that comes by itself: an answer of its source, or enough requests.
_LACKS_DATA = frozenset(
    {
        FindingReason.QUERY_FAILED,
        FindingReason.ALARM_UNREAD,
        FindingReason.ALARM_WITHOUT_DATA,
        FindingReason.LOG_UNREAD,
        FindingReason.NO_CONTROL_EVENT,
        FindingReason.TOO_FEW_SAMPLES,
        FindingReason.NO_WINDOW,
        FindingReason.SILENT,
        FindingReason.TOO_FEW_TO_COMPARE,
        FindingReason.NOTHING_TO_COMPARE,
        FindingReason.NO_REQUESTS,
        FindingReason.TOO_FEW_ARRIVED,
        FindingReason.TOO_FEW_TO_SPLIT,
        FindingReason.BUDGET_TOO_FEW,
        FindingReason.BUDGET_NO_REQUESTS,
        FindingReason.TOO_FEW_REQUESTS,
        FindingReason.NO_REQUESTS_YET,
        FindingReason.NO_REQUESTS_ANY_MORE,
        FindingReason.REQUESTS_MISSING,
    }
)
# The fact that the newest bake-length has fewer requests than a verdict needs, and how many.
FEW_NEWEST = "few_newest_samples"

Fact: TypeAlias = int | Real | str


class Finding(Immutable):
    """One criterion judged once.

    kind: of the criterion. reason: why this verdict, in one word for machines.
    measured, bound: what was compared, in the unit of the criterion (rates as fractions).
    samples: requests (or datapoints) of the step behind it.
    start, end: the time that was judged, unix seconds.
    facts: what else the sentence is made from, by name; which there are depends on the reason.
    gates: False where the criterion only reports.
    """

    criterion: str
    kind: str
    verdict: Verdict
    label: Label
    reason: str
    measured: Real | None
    bound: Real
    samples: Count
    start: Second
    end: Second
    facts: Mapping[str, Fact] = field(default_factory=dict)
    gates: bool = True

    @property
    def label_text(self) -> str:
        """The label, and whether the requests behind it are mixed with those of the stable path."""
        return f"{self.label}, diluted" if "diluted" in self.facts else str(self.label)

    @property
    def fails(self) -> bool:
        """True when this finding alone rolls back."""
        return self.gates and self.verdict is Verdict.FAIL

    @property
    def blocks_advance(self) -> bool:
        """True when this finding alone keeps the rollout from the next step."""
        return self.gates and self.verdict is not Verdict.PASS

    @property
    def lacks_data(self) -> bool:
        """True when data are missing for a verdict: answers, or requests of the newest time."""
        return self.verdict is Verdict.INCONCLUSIVE and (
            self.reason in _LACKS_DATA or FEW_NEWEST in self.facts
        )


def gate_verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict of a gate: of all findings together, but for those that only report.

    Any `fail` fails; only all `pass` passes; a gate without findings is inconclusive.
    """
    verdicts = {finding.verdict for finding in findings if finding.gates}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INCONCLUSIVE


def waits_for_data(findings: Iterable[Finding]) -> bool:
    """Tell whether data are all that a gate lacks: no other finding keeps it from a pass."""
    open_findings = [finding for finding in findings if finding.blocks_advance]
    return bool(open_findings) and all(finding.lacks_data for finding in open_findings)


_WEAKNESS = {str(label): rank for rank, label in enumerate(Label)}


def weakest_label(labels: Iterable[str]) -> str:
    """Return the label that claims least; empty when there is none."""
    known = [label for label in labels if label]
    return max(known, key=_WEAKNESS.__getitem__, default="")


def weakest_step_text(label: str) -> str:
    """Return what the label of a rollout says of its steps; in words."""
    if label == Label.NOT_JUDGED:
        return "at least one step was left before its gate was judged"
    return f"weakest of the earlier steps: {label}"
