"""Gate power of a policy at a request rate, as tables and as JSON data."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from datetime import timedelta
from itertools import pairwise
from math import ceil, floor, inf, isfinite

from controller.core.judge.criteria.latency_increase_tail import MAX_EFFECTIVE_REQUESTS
from controller.core.judge.criterion_judge import CriterionJudge, judge_of
from controller.core.judge.latency_tail import TailJudge
from controller.core.policy import Criterion, Policy
from controller.core.policy.comparison import Increase, Ratio
from controller.core.units import (
    count_text,
    duration_text,
    format_duration,
    format_percent,
    number_text,
)
from controller.immutable import Immutable, field, picked
from controller.ports.json_view import Count, Number, Percent, Tenths
from controller.render.history import ExpectedData
from controller.render.page import Page, PageTable, Tone, paragraph
from controller.tools.plan.long_step import long_step_changes
from controller.tools.plan.power import (
    Detection,
    Power,
    ShortfallData,
    ShortfallKind,
    StepPower,
    Sufficient,
    round_up,
)

_MINUTE = timedelta(minutes=1)
# Marks a time after the bake.
_LATE = "*"
_LATE_LEGEND = "* after the bake: found only if the step is on hold until then"
_NEVER_LEGEND = "never: not found in this step, even on hold"
# The effects that a terminal shows; JSON has all of them.
_COLUMNS = ("1%", "5%", "20%", "+10%", "+50%")


class CriterionPower(Immutable):
    """What one criterion can decide in one step; null: never, or it does not apply."""

    samples: Tenths
    """Samples by the end of the bake."""
    min_samples: Count
    """Samples that a pass needs."""
    min_samples_after_minutes: int | None
    """Minutes of the bake until a pass has enough samples; null: never."""
    detections: Sequence[Detection] = field(name="finds")
    """How long faults of a few sizes run before they are rolled back."""
    smallest_detectable: Sufficient | None = field(name="smallest")
    """Smallest fault that is found within the bake, as a fraction."""
    proof_requests: float | None = field(name="requests_to_prove")
    """Requests without a failure that prove the rate."""
    proof_per_minute: Sufficient | None = field(name="proven_from_requests_per_minute")
    """Requests a minute, of both paths, from which on the bake has as many."""
    window: Number | None = field(name="window_samples")
    """Requests in a window, for a criterion that compares windows."""
    min_window_requests: Number | None = field(name="one_failure_breaches_below")
    """With fewer requests in a window, one failure is a breach."""
    canary_share: Number
    """Share of the canary in the requests that it judges; below 1: its metrics count both paths."""
    cannot_decide: list[ShortfallData]
    """Why the criterion cannot decide; empty: it can."""


class StepPowerData(Immutable):
    """What the gate of one step can decide."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    requests: Tenths
    """Requests on the canary during the bake."""
    control: Tenths = field(name="control_requests")
    """Requests on the stable path during the bake."""
    criteria: dict[str, CriterionPower]
    """What each criterion of the gate can decide, by id."""
    without_estimate: Mapping[str, str]
    """Why nothing is known of the other criteria of the gate, by id."""
    expected: ExpectedData | None
    """What an outage would cost; null: no criterion of the gate counts failures."""


class PowerData(Immutable):
    """What each gate can decide at a request rate."""

    requests_per_minute: Number
    """The request rate, of both paths together."""
    source: str
    """Where the rate comes from."""
    steps: list[StepPowerData]
    """Each step of the policy."""


def power_data(
    policy: Policy, per_minute: float, source: str, steps: Sequence[StepPower]
) -> PowerData:
    """Return the gate power as a document; null: never, or not applicable."""
    return PowerData(
        per_minute,
        source,
        [
            picked(
                StepPowerData,
                step,
                weight=policy.steps[step.step].weight,
                criteria={
                    power.criterion: picked(
                        CriterionPower,
                        power,
                        min_samples_after_minutes=ceil(power.min_samples_after)
                        if isfinite(power.min_samples_after)
                        else None,
                        cannot_decide=[*power.shortfalls],
                    )
                    for power in step.criteria
                },
                expected=None if step.expected is None else picked(ExpectedData, step.expected),
            )
            for step in steps
        ],
    )


def power_page(policy: Policy, per_minute: float, source: str, steps: Sequence[StepPower]) -> Page:
    """Return how soon each gate finds a fault, as a page: one table, and what limits it below."""
    head = (
        f"time to a rollback at {_number_text(per_minute)} requests a minute ({source}), for a "
        "fault that begins with the step"
    )
    powers = [
        _PowerRow(policy, step.step, criterion) for step in steps for criterion in step.criteria
    ]
    effects = [name for name in _COLUMNS if any(name in power.delays for power in powers)]
    titles = [
        "step",
        "criterion",
        *effects,
        *(["smallest found"] if effects else []),
        "enough data",
    ]
    rows = [
        power.row(effects)
        for power in powers
        if (effects and power.delays) or power.power.shortfalls
    ]
    for before, row in reversed(list(pairwise(rows))):
        row[0] = "" if row[0] == before[0] else row[0]
    notes = [*_legends(policy, steps, rows), *(note for power in powers for note in power.notes())]
    return [
        paragraph(head, Tone.TITLE, indent=2),
        PageTable(rows, titles, right=(0, *range(2, len(titles))), indent=2, least=(len("100%"),)),
        *(paragraph(one, Tone.QUIET, indent=2) for one in notes),
    ]


def power_changes(
    policy: Policy, steps: Sequence[StepPower], by_hour: Sequence[float] = ()
) -> list[str]:
    """Return what the gates cannot decide, or let cost too much, each with what would help.

    by_hour: requests a minute in each hour of the day, UTC; empty: unknown.
    """
    changes: list[str] = []
    for step in steps:
        weight = f"{policy.steps[step.step].weight}%"
        for criterion in step.criteria:
            shortfalls = _PowerRow(policy, step.step, criterion).shortfall_texts()
            changes += [f"{weight}: {text}" for text in shortfalls]
        expected = step.expected
        if expected is not None and expected.exceeds:
            follows = "the advance to it waits" if expected.step else "a start does not wait"
            changes.append(f"{expected.text}; {follows}")
    if any(by_hour):
        changes += [text for step in steps if (text := _quiet_hours(policy, step, by_hour))]
    return [*changes, *long_step_changes(policy, steps)]


def _quiet_hours(policy: Policy, step: StepPower, by_hour: Sequence[float]) -> str:
    """Return at which hours a bake would end with too few samples, of a step that has enough.

    Empty: at none, or the step has too few at any hour.
    """
    one = policy.steps[step.step]
    hours = min(24, ceil(one.bake / timedelta(hours=1)))
    usual = sum(by_hour) / 24
    parts = [sum(by_hour[end - back] for back in range(hours)) / hours / usual for end in range(24)]
    fewest, short, lacking = inf, set[int](), list[str]()
    for power in step.criteria:
        ends = {end for end, part in enumerate(parts) if part * power.samples < power.min_samples}
        if ends and power.samples >= power.min_samples:
            short |= ends
            lacking.append(power.criterion)
            fewest = min(fewest, min(parts) * power.samples)
    if not lacking:
        return ""
    at = ", ".join(
        f"{first:02}:00 to {(last + 1) % 24:02}:00" for first, last in _runs_of_hours(short)
    )
    return (
        f"{one.weight}%: a bake that ends from {at} UTC has too few samples for "
        f"{', '.join(lacking)} (as few as {number_text(floor(fewest))}): it holds until there are "
        "enough; start at another hour, or take a longer bake"
    )


def _runs_of_hours(hours: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of `hours` of the day; one may cross midnight."""
    for first in sorted(hours):
        if (first - 1) % 24 not in hours or len(hours) == 24:
            last = first
            while (last + 1) % 24 in hours and (last + 1) % 24 != first:
                last = (last + 1) % 24
            yield first, last
            if len(hours) == 24:
                return


def _legends(
    policy: Policy, steps: Sequence[StepPower], rows: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Yield what the times leave out, and why a comparison of latencies finds no more."""
    in_rows = {row[1].partition(" ")[0] for row in rows}
    yield from _without_estimate(policy, {name for name in policy.criteria if name not in in_rows})
    counted = ", ".join(
        f"{number_text(round(step.requests))} at {policy.steps[step.step].weight}%"
        for step in steps
    )
    delay = format_duration(policy.evaluation_delay)
    yield (
        f"5%: the share of requests that fail{_other_shares(policy, in_rows)}; +50%: how far "
        f"latency is above its baseline or limit; times include the warm-up, and {delay} of "
        "evaluation delay come on top"
    )
    yield f"requests on the canary in a bake: {counted}"
    cells = [cell for row in rows for cell in row]
    if any(cell.endswith(_LATE) for cell in cells):
        yield _LATE_LEGEND
    if "never" in cells:
        yield _NEVER_LEGEND
    for step in steps:
        if step.expected is not None and step.expected.budget is not None:
            yield step.expected.text
    compared = [
        name
        for name, comparison in policy.comparisons()
        if isinstance(comparison.measured, Increase) and policy.criteria[name].sequential
    ]
    per_minute = [step.requests * (_MINUTE / policy.steps[step.step].bake) for step in steps]
    if compared and any(one > MAX_EFFECTIVE_REQUESTS for one in per_minute):
        yield (
            f"{', '.join(compared)}: a minute counts as at most {MAX_EFFECTIVE_REQUESTS:g} "
            "requests, so more traffic finds a small increase no sooner"
        )
    baselines = policy.frozen_baselines
    frozen = [one for one in compared if one in baselines and not baselines[one].same_hours]
    if frozen:
        yield (
            f"{', '.join(frozen)}: the baseline mixes the hours of a day, which hides small "
            "increases; `window: 7d` with `same_hours: true` compares each hour with its own"
        )


def _other_shares(policy: Policy, names: Set[str]) -> str:
    """Return which of the criteria called `names` have the share of what is no failure."""
    shares = (
        f"{name}: that {ratio.text} counts"
        for name, criterion in policy.criteria.items()
        if name in names and not criterion.shows_failures
        if isinstance(ratio := criterion.window_value.measured, Ratio)
    )
    text = "; ".join(shares)
    return f" ({text})" if text else ""


def _without_estimate(policy: Policy, names: Set[str]) -> Iterator[str]:
    """Yield which of the criteria called `names` gate a step without an estimate, by reason."""
    gated = {name for step in range(len(policy.steps)) for name in policy.gate(step)}
    unknown: dict[str, list[str]] = {}
    for name, criterion in policy.criteria.items():
        if name in names & gated:
            reason = judge_of(name, criterion, policy).no_estimate
            unknown.setdefault(reason, []).append(name)
    for reason, listed in unknown.items():
        yield f"without an estimate: {', '.join(listed)}: {reason}"


class _PowerRow(Immutable):
    """The texts about one criterion in one step."""

    policy: Policy
    step: int
    power: Power

    @property
    def _criterion(self) -> Criterion:
        return self.policy.criteria[self.power.criterion]

    @property
    def _judge(self) -> CriterionJudge[Criterion]:
        return judge_of(self.power.criterion, self._criterion, self.policy)

    @property
    def delays(self) -> dict[str, str]:
        """The detection delay of each effect, by the text of the effect."""
        return {
            self._effect_text(detection.effect): "never"
            if detection.minutes is None
            else self._time_text(detection.minutes, self._bake + self.policy.warmup_of(self.step))
            for detection in self.power.detections
        }

    @property
    def _bake(self) -> timedelta:
        return self.policy.steps[self.step].bake

    def _time_text(self, minutes: int, bake_end: timedelta) -> str:
        """Return `minutes` as a duration, marked where that is later than `bake_end`."""
        return f"{_duration_text(minutes)}{_LATE if minutes * _MINUTE > bake_end else ''}"

    def row(self, effects: Sequence[str]) -> list[str]:
        """Return the row of the table; a dash for an effect of another kind of criterion."""
        delays, smallest = self.delays, self.power.smallest_detectable
        cells = [delays.get(name, "–") for name in effects]
        if effects:
            undetected = "never" if self._criterion.sequential else "–"
            cells.append(undetected if smallest is None else self._effect_text(smallest))
        whose = " (diluted)" if self.power.canary_share < 1 else ""
        if self.policy.judged_metrics(self.power.criterion, "stable"):
            whose = " (stable path)"
        return [self._weight, f"{self.power.criterion}{whose}", *cells, self._pass_text()]

    def _effect_text(self, effect: float) -> str:
        increase = "+" if isinstance(self._judge, TailJudge) else ""  # of a latency
        return f"{increase}{format_percent(round_up(effect))}"

    def _pass_text(self) -> str:
        """Return after how long the samples that a pass needs are there."""
        if not self.power.min_samples:
            return "–"
        hold = self.policy.longest_hold_of(self.step)
        after = self.power.min_samples_after
        if after > (self._bake + hold) / _MINUTE:
            return "never"
        return self._time_text(ceil(after), self._bake)

    def notes(self) -> Iterator[str]:
        """Yield what is below the table: whose requests are judged, and what a window holds."""
        power, name = self.power, f"{self.power.criterion} at {self._weight}"
        if stable := self.policy.judged_metrics(self.power.criterion, "stable"):
            yield (
                f"{name} (stable path): {', '.join(stable)} of the stable path; a fault of the "
                "canary does not show in it"
            )
        if power.canary_share < 1:
            diluted = ", ".join(self.policy.diluted_metrics(self.power.criterion))
            yield (
                f"{name} (diluted): {diluted} counts both paths, and the canary has "
                f"{format_percent(power.canary_share)} of the requests"
            )
        fewest = power.min_window_requests
        if power.window is not None and fewest is not None and power.window < fewest:
            requests = count_text(_round(power.window), "request")
            length = format_duration(self._criterion.period)
            event = "failure" if self._criterion.shows_failures else "event"
            fewer = f"below {_number_text(fewest)}, one {event} is a breach"
            yield f"{name}: {requests} in a window of {length}; {fewer}"

    @property
    def _weight(self) -> str:
        return f"{self.policy.steps[self.step].weight}%"

    def shortfall_texts(self) -> Iterator[str]:
        """Yield why the criterion cannot decide within the bake, and what would help."""
        for one in self.power.shortfalls:
            verdict = "fail" if one.kind is ShortfallKind.FAULTS else "pass"
            when = "by the end of the bake" if one.decides_in_hold else "in this step"
            shortfall = self._shortfall_text(one)
            yield f"criterion {self.power.criterion} cannot {verdict} {when}: {shortfall}"

    def _shortfall_text(self, shortfall: ShortfallData) -> str:
        """Return what is missing at the end of the bake and of the hold, and what would help."""
        hold_text = (
            "" if shortfall.decides_in_hold else f" and {self._samples_after_hold(shortfall)}"
        )
        samples_text = (
            f"{number_text(floor(self.power.samples))} of {number_text(shortfall.needed)}"
        )
        at_end = "then" if shortfall.decides_in_hold else f"at the end of the bake{hold_text}"
        reason = {
            ShortfallKind.FAULTS: f"it does not detect {self._effect_text(shortfall.needed)} "
            f"{'until then' if shortfall.decides_in_hold else ''}".rstrip(),
            ShortfallKind.SAMPLES: f"it has {samples_text} samples {at_end}",
            ShortfallKind.PROOF: f"it has {samples_text} requests needed to confirm the "
            f"objective {at_end}",
        }[shortfall.kind]
        remedies = ", or ".join(self._remedies(shortfall))
        return f"{reason}; use {remedies}" if remedies else reason

    def _remedies(self, shortfall: ShortfallData) -> Iterator[str]:
        """Yield each change with which the criterion could decide."""
        if shortfall.bake is not None:
            yield f"a bake of {_duration_text(shortfall.bake)}"
        if shortfall.per_minute is not None:
            yield f"{_number_text(round_up(shortfall.per_minute))} requests a minute"
        if shortfall.probes is not None:
            yield f"{_number_text(round_up(shortfall.probes))} probes a minute on the canary"
        if shortfall.kind is ShortfallKind.PROOF:
            yield "`assurance: no_regression`"
        if shortfall.kind is ShortfallKind.SAMPLES:
            yield f"a smaller `{self._judge.samples_field}`"

    def _samples_after_hold(self, shortfall: ShortfallData) -> str:
        """Return the samples at the end of the longest hold, which is longer for samples."""
        hold, limit = self.policy.max_hold_of(self.step), "`max_hold`"
        if shortfall.kind is ShortfallKind.SAMPLES and self.policy.data_wait:
            hold, limit = self.policy.longest_hold_of(self.step), "`max_hold` and `max_wait`"
        samples = floor(self.power.samples * ((self._bake + hold) / self._bake))
        return f"{number_text(samples)} at that of {limit}"


def _duration_text(minutes: int) -> str:
    return duration_text(minutes * _MINUTE)


def _number_text(value: float) -> str:
    return number_text(_round(value))


def _round(value: float) -> float:
    return round(value) if value >= 10 else float(f"{value:.2g}")
