"""Preflight: all checks before a start, which only read.

Beside the checks of the account, a start is refused by the live weight, a freeze, a baseline that
cannot be used, and by what metrics show already.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import BaselineMeasurement, FixStart, StepInterval
from controller.core.judge.findings import Finding
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.queries import aligned_span, queries_for
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.observation import AlarmState, TargetReading
from controller.core.policy import Policy
from controller.core.stats.combined_tests import SequentialState
from controller.core.units import MINUTE_S, ceil_to
from controller.core.words.findings import sentence_of
from controller.core.words.notices import fix_text, names_text
from controller.engine.tick import Runner
from controller.errors import MetricsError, UsageError
from controller.immutable import Immutable, replace
from controller.operations.checks import Check, CheckLevel
from controller.operations.live_checks import (
    CANARY_METRICS,
    METRICS,
    WHOSE_REQUESTS,
    LiveChecks,
)
from controller.operations.live_checks.sources import alarms_of, limit_checks
from controller.operations.live_checks.target import UPDATE, WEIGHT, exposures_of
from controller.operations.start.baselines import (
    baseline_requests,
    read_baseline,
    unusable_when_adopting,
)
from controller.operations.start.outages import outages_before
from controller.policy_file.counts import sees_canary
from controller.ports.target import InspectableTarget

# A criterion is evaluated at least this far back to see whether it fails already.
_LOOK_BACK = timedelta(hours=1)
# Without a weight and metrics nothing can be judged, and nothing of the canary without its metrics.
_NEVER_PASSED = frozenset({WEIGHT, UPDATE, METRICS, WHOSE_REQUESTS, CANARY_METRICS})


class Preflight(Immutable):
    """The result of all checks before a start, which goes ahead only when `refusals` is empty.

    checks: those that `doctor` makes as well. other_refusals: about this start: its weight, a
    freeze, baselines, and criteria that fail already. passed: the names of failed checks that the
    operator passed, so that they refuse nothing. red: of a start as a fix, what was red before, as
    `FixStart` has it; None: it is no fix.
    """

    reading: TargetReading
    checks: tuple[Check, ...]
    other_refusals: tuple[str, ...]
    baselines: Mapping[str, BaselineMeasurement]
    passed: tuple[str, ...] = ()
    red: Mapping[str, float | None] | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The failed checks, also those that were passed."""
        return tuple(check for check in self.checks if check.level is CheckLevel.FAIL)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the start is refused, a line each; empty: it goes ahead."""
        failed = (one.text for one in self.failed if one.what not in self.passed)
        return (*failed, *self.other_refusals)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What operators should know about a start that goes ahead, a line each."""
        passed = (one.text for one in self.failed if one.what in self.passed)
        warnings = (check.text for check in self.checks if check.level is CheckLevel.WARN)
        fix = [] if self.red is None else [fix_text(FixStart(self.red))]
        return (*(f"passed by --despite: {one}" for one in passed), *fix, *warnings)

    @property
    def hint(self) -> str:
        """How to start despite the failed checks; empty where no start can pass them."""
        names = dict.fromkeys(one.what for one in self.failed if one.what not in self.passed)
        if self.other_refusals or not names or _NEVER_PASSED & names.keys():
            return ""
        options = " ".join(f"--despite {shlex.quote(one)}" for one in (*self.passed, *names))
        return f"to start anyway: {options} --reason TEXT"

    @property
    def despite(self) -> dict[str, str]:
        """What each passed check found, by its name."""
        found = dict[str, str]()
        for one in self.failed:
            if one.what in self.passed:
                before = f"{found[one.what]}; " if one.what in found else ""
                found[one.what] = f"{before}{one.detail}"
        return found

    def passing(self, names: Collection[str], reason: str) -> "Preflight":
        """Return the preflight with the failed checks `names` passed.

        A check that was made and did not fail needs no pass. Raises UsageError, with the names of
        the failed checks, for a name that no check has, for a check that cannot be passed, and
        without a reason.
        """
        known = {check.what for check in self.checks}
        failed = [shlex.quote(one) for one in dict.fromkeys(each.what for each in self.failed)]
        these = f"failed: {', '.join(failed)}" if failed else "no check failed"
        for name in names:
            if name in _NEVER_PASSED:
                raise UsageError(f"--despite: the check {name!r} cannot be passed; {these}")
            if name not in known:
                raise UsageError(f"--despite: no check is called {name!r}; {these}")
        if names and not reason:
            raise UsageError(
                f"--despite needs --reason TEXT, which is recorded in the history; {these}"
            )
        return replace(self, passed=tuple(names))


def preflight(
    runner: Runner,
    policy: Policy,
    target: InspectableTarget,
    reading: TargetReading,
    now: datetime,
    *,
    adopt: bool = False,
    fix: bool = False,
) -> Preflight:
    """Return the checks of a start, or (`adopt`) of taking over the live weight.

    fix: what fails before the start does not refuse it, but for metrics of the canary.
    """
    observer = runner.observer
    live = LiveChecks(
        policy=policy,
        target=target,
        metrics=observer.metrics,
        exposures=observer.store,
        catalogue=observer.catalogue,
        alarms=observer.alarms,
        logs=observer.logs,
        starting=True,
        fix=fix,
    )
    checks = tuple(live.checks(reading, now))
    unusable = unusable_when_adopting(policy) if adopt else {}
    refusals = [*_weight_refusals(runner, policy, reading, now, adopt=adopt), *unusable.values()]
    baselines: dict[str, BaselineMeasurement] = {}
    if any(check.what == METRICS and check.level is CheckLevel.FAIL for check in checks):
        return Preflight(reading, checks, tuple(refusals), baselines)
    first, weight, when = 0, 0, "before the start"
    if adopt:
        first, weight = live_step(policy, reading) or 0, reading.weight or 0
        when = f"so roll back the live {weight}% (rolloutctl rollback POLICY)"
    try:
        for request in baseline_requests(policy, now, first):
            if request.criterion in unusable:
                continue
            settled_until = now - policy.evaluation_delay
            value, problem = read_baseline(runner, policy, reading, request, settled_until)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[request.criterion] = value
        baselines |= outages_before(runner, policy, reading, now)
        checks += tuple(_limits_of_baselines(runner, policy, baselines, checks, now))
        failures = list(_failures(runner, policy, reading, now, first, weight))
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
        failures = []
    red = _red_before(runner, policy, failures) if fix else None
    refusals += (
        f"fails already, {when}: {sentence_of(one)}"
        for one, _ in failures
        if one.criterion not in (red or {})
    )
    refusals += _ungated_steps(policy, red or {}, first)
    return Preflight(reading, checks, tuple(refusals), baselines, red=red)


def _limits_of_baselines(
    runner: Runner,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
    checks: Collection[Check],
    now: datetime,
) -> Iterator[Check]:
    """Yield a failure for each limit of a baseline that a source cannot count above."""
    if baselines:
        found = limit_checks(runner.observer.metrics, policy, baselines, now)
        yield from (check for check in found if check not in checks)


# --- The weight of the target, and the time -------------------------------------------------------


def _weight_refusals(
    runner: Runner, policy: Policy, reading: TargetReading, now: datetime, *, adopt: bool
) -> Iterator[str]:
    """Yield why the first weight cannot be set now, or (`adopt`) the live one not be taken over."""
    live = f"the canary has {reading.weight}%"
    if adopt:
        if reading.weight == 0:
            yield f"there is no weight to take over: {live} ({reading.variables})"
        elif reading.weight is not None and live_step(policy, reading) is None:
            yield (
                f"{live} ({reading.variables}), which is no step of the policy: "
                f"{policy.steps_text()}"
            )
        return
    if reading.weight:
        exposures = exposures_of(runner.store, policy, reading)
        owner = next((one for one, _, end in exposures if end is None), None)
        owner_text = f" by {owner}" if owner else ""
        remedy = (
            f"let {owner} finish, or roll it back (rolloutctl rollback {owner})"
            if owner
            else f"roll back first ({policy.target.rollback_command})"
        )
        yield (
            f"{live} already{owner_text} ({reading.variables}); a rollout starts from 0%: "
            f"{remedy}, or take the weight over with --adopt"
        )
    frozen = policy.freeze_at(now)
    if frozen is not None:
        yield f"{frozen.text}; start after that"


def live_step(policy: Policy, reading: TargetReading) -> int | None:
    """Return the index of the step whose weight is live; None when there is none."""
    weights = [step.weight for step in policy.steps]
    return weights.index(reading.weight) if reading.weight in weights else None


# --- What metrics show already --------------------------------------------------------------------


def _red_before(
    runner: Runner, policy: Policy, failures: Sequence[tuple[Finding, float | None]]
) -> dict[str, float | None]:
    """Return what is red and not of the canary, as `FixStart` has it.

    These are gating criteria whose alarm is in ALARM, and those of `failures` on other metrics.
    """
    gating = {name: one.alarm for name, one in alarms_of(policy).items() if one.gating}
    readings = runner.observer.alarms.states(list(gating.values())) if gating else {}
    red: dict[str, float | None] = {
        name: None
        for name, alarm in gating.items()
        if alarm in readings and readings[alarm].state is AlarmState.ALARM
    }
    for one, worst in failures:
        if worst is not None and not policy.judged_metrics(one.criterion, "canary"):
            red[one.criterion] = worst
    return red


def _ungated_steps(policy: Policy, red: Mapping[str, float | None], first: int) -> Iterator[str]:
    """Yield a refusal for each step of a fix in which no criterion of the canary would gate."""
    for index in range(first, len(policy.steps)) if red else ():
        weight = policy.steps[index].weight
        left = [one for name, one in policy.gate(index).items() if one.gating and name not in red]
        if not any(sees_canary(one.judged, policy.counts, weight) for one in left):
            own = [name for name in policy.gate(index) if name in red]
            is_or_are = "is" if len(own) == 1 else "are"
            why = f": {names_text(own)} {is_or_are} red already" if own else ""
            yield (
                f"as a fix, no criterion of the canary would gate {weight}%{why}; add a criterion "
                "of the canary, or wait until what is red is green"
            )


def _failures(
    runner: Runner, policy: Policy, reading: TargetReading, now: datetime, first: int, weight: int
) -> Iterator[tuple[Finding, float | None]]:
    """Yield the finding of each criterion that fails now: the rollout could only roll back for it.

    With each, its worst value in that time; None where its kind knows none.
    first: the step that the rollout begins in; weight: of the canary until then. Raises
    MetricsError when the metric source cannot be read at all.
    """
    judges = list(judges_of(policy, policy.criteria, {}))
    queries = queries_for(judges)
    closed = policy.settled_end(now)
    # Each is evaluated over a time that is long enough for it to fail.
    look_backs = {one.name: max(_LOOK_BACK, one.look_back or _LOOK_BACK) for one in judges}
    begins = {name: closed - int(one.total_seconds()) for name, one in look_backs.items()}
    span = aligned_span(queries.values(), min(begins.values()), closed)
    since = _last_exposure_end(runner, policy, reading)
    answers = runner.observer.metrics.read(queries.values(), span)
    series = {key: answers[query] for key, query in queries.items()}
    if since >= closed:
        return
    for judge in judges:
        if judge.look_back is None:
            continue
        begin = max(begins[judge.name], since)
        gating = (one for one in range(first, len(policy.steps)) if judge.name in policy.gate(one))
        step = next(gating, first)
        interval = StepInterval(step, begin, begin, closed)
        evidence = Evidence(
            policy=policy,
            gate={judge.name: judge.criterion},
            series=series,
            tallies={},
            start=begin,
            closed_end=closed,
            open_end=closed,
            bake_over=True,
            weight=weight,
            baselines={},
            sequential=SequentialEvidence(policy, SequentialState(), (interval,), series, {}),
        )
        found = next(one for one in judge_gate(evidence) if one.criterion == judge.name)
        if found.fails:
            yield found, judge.worst_value(series, range(begin, closed, judge.period_s))


def _last_exposure_end(runner: Runner, policy: Policy, reading: TargetReading) -> int:
    """Return since when no earlier rollout of the target had traffic, unix seconds; 0: no rollout.

    An earlier canary was judged by its own rollout; it is no evidence about this one.
    """
    exposures = exposures_of(runner.store, policy, reading)
    ends = (end for _, _, end in exposures if end is not None)
    last = max(ends, default=None)
    return 0 if last is None else ceil_to(ceil((last + policy.warmup).timestamp()), MINUTE_S)
