"""The verb `plan`: shows the steps and gates of a policy, and what comes next."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.app import App
from controller.cli import options
from controller.cli.call import CommandContext, Result, load_policy, newest_rollout
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement, FixStart
from controller.core.policy import Policy
from controller.core.rollout import Phase, Rollout
from controller.core.words.next_action import next_action
from controller.core.words.notices import fix_text, names_text
from controller.engine.exit_status import of_run
from controller.errors import Exit, RolloutError, UsageError
from controller.immutable import Immutable, picked, replace
from controller.operations.history import limited_exposure
from controller.operations.live_checks.target import paid_reads_checks
from controller.operations.recorded.exposure import Exposure
from controller.operations.start import (
    StartRequest,
    check_start,
    has_succeeded,
    resolve_for_start,
)
from controller.policy_file.loader import load_with_sources
from controller.policy_file.rules import start_refusals
from controller.policy_file.template import Inherited
from controller.ports.json_view import json_number
from controller.render.history import ExposureData, exposure_data, exposure_text
from controller.render.page import Page, lines_page
from controller.render.rollout_data import RolloutData, rollout_data
from controller.render.rollout_page import rollout_page
from controller.tools.plan.detection_page import PowerData, power_changes, power_data, power_page
from controller.tools.plan.page import Plan, PlanAnswer, PolicyPlan, plan_data, plan_page
from controller.tools.plan.power import power_of
from controller.tools.plan.traffic import TrafficRate, measured_traffic

_RATE_OPTION: Final = "--requests-per-minute"
_POWER_HINT: Final = f"give {_RATE_OPTION} N, or --live to measure it"


class NextTick(Immutable):
    """What the next tick of the active rollout would do."""

    rollout: RolloutData
    """The rollout as that tick would leave it."""
    would: Sequence[str]
    """What the tick would write."""


class FixView(Immutable):
    """What a start as a fix would be judged by."""

    red: Sequence[str]
    """Ids of the criteria that are red already, and would not gate until they are green."""
    gates: Sequence[Sequence[str]]
    """Ids of the criteria that would gate, for each step."""


class StartCheck(Immutable):
    """What a start would find in the account."""

    variables: str
    """The variables of the target as they stand, for people."""
    revision: str
    """What would be rolled out."""
    baselines: dict[str, float]
    """Baseline of each criterion, in its metric's unit; a share of failures for a success rate."""
    warnings: Sequence[str]
    """What a start allows and should be looked at."""
    refusals: Sequence[str]
    """Why a start would be refused; empty: it would not, by these checks."""
    fix: FixView | None
    """What would gate in a start as a fix; null: without --fix."""


class PlanData(PolicyPlan):
    """A policy as a plan, and what comes next."""

    next: str
    """What comes next, for people."""
    exposure: ExposureData | None
    """Bad requests of the active rollout; null: none is active, or without `max_bad_requests`."""
    live: NextTick | StartCheck | None
    """What the next tick or a start would do; null: without --live."""
    power: PowerData | None
    """What each gate can decide at the request rate; null: that is not known."""
    inherited: list[Inherited]
    """Each part that is from the template which the policy `extends`."""


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--live", is_flag=True, help="Read the account too; still nothing is written.")
@click.option("--adopt", is_flag=True, help="With --live: check `start --adopt`.")
@click.option("--fix", is_flag=True, help="With --live: check `start --fix`, and what would gate.")
@click.option(
    "--exit-code",
    is_flag=True,
    help="With --live: end with 2 or 4 when a start would be refused; of a rollout that runs, with "
    "where the next tick leaves it, as `status --exit-code` does.",
)
@click.option(
    _RATE_OPTION, "per_minute", type=options.RequestRate(), metavar="N",
    help="Show what the gates find at this request rate, both paths together. Default: with "
    "--live, what was measured.",
)  # fmt: skip
@options.CANARY_VERSION
@options.call_options("store", "json")
def plan(
    call: CommandContext,
    policy: Path,
    live: bool,
    adopt: bool,
    fix: bool,
    exit_code: bool,
    per_minute: float | None,
    version: str | None,
) -> Result:
    """Show whether POLICY would start, and what its gates find.

    Also when each step is due, and what to change. Nothing is written.
    """
    for option, given in (("--adopt", adopt), ("--fix", fix), ("--exit-code", exit_code)):
        if given and not live:
            raise UsageError(f"{option} is about the live account: give it with --live")
    loaded, now = load_policy(policy, version), real_account().clock.now()
    traffic = None if per_minute is None else TrafficRate(per_minute, "given")
    if live:
        with replace(call, dry_run=True).app_session(create=True, ask_caller=False) as app:
            loaded = resolve_for_start(app.runner, loaded)
            newest = newest_rollout(app.runner.store, loaded)
            if newest is not None and not newest.final:
                preview = _preview_tick(app, newest)
            else:
                preview = _preview_start(app, loaded, newest, policy, adopt=adopt, fix=fix)
            metrics, read_at = app.runner.observer.metrics, app.runner.clock.now()
            traffic = traffic or measured_traffic(metrics, loaded, read_at)
    else:
        preview = _preview_offline(call, loaded, policy)
    rate, source, by_hour = traffic or TrafficRate(None, _POWER_HINT)
    if rate is None:
        power = lines_page([f"  what the gates find is not known: {source}"])
        found, changes = None, None
    else:
        steps = power_of(loaded, rate, preview.baselines)
        power = power_page(loaded, rate, source, steps)
        found = power_data(loaded, rate, source, steps)
        changes = power_changes(loaded, steps, by_hour)
    facts, exposure = preview.facts, preview.exposure
    if exposure is not None:
        facts = [*facts, ("exposure", exposure_text(exposure))]
    shown = Plan(
        loaded,
        now,
        preview.answer,
        power,
        changes,
        preview.warnings,
        facts,
        preview.rollout,
        inherited=load_with_sources(policy).inherited,
    )
    data = picked(
        PlanData,
        plan_data(loaded, now),
        next=preview.answer.text,
        exposure=None if exposure is None else exposure_data(exposure),
        live=preview.data,
        power=found,
        inherited=[*shown.inherited],
    )
    status = preview.status if exit_code else Exit.DONE
    return Result("plan", data=lambda: data, page=lambda: plan_page(shown), status=status)


class _Preview(NamedTuple):
    """The next move: as an answer, as data, and as an exit status.

    baselines: the frozen values of the stable path. exposure: of the active rollout, where its
    policy limits it. facts: of the account, by label. rollout: the active one, as a page.
    """

    answer: PlanAnswer
    data: NextTick | StartCheck | None = None
    status: Exit = Exit.DONE
    baselines: Mapping[str, BaselineMeasurement] = MappingProxyType({})
    exposure: Exposure | None = None
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    rollout: Page = ()


def _preview_offline(call: CommandContext, policy: Policy, file: Path) -> _Preview:
    """Return what comes next by the store alone. It cannot tell whether the account allows it."""
    command = f"`rolloutctl start{_start_options(policy, adopt=False)}`"
    start = f"{command} would set {policy.steps[0].weight}% if the live account allows it"
    exposure = None
    try:
        with call.store_session(may_be_missing=True) as store:
            newest = newest_rollout(store, policy)
            if newest is None or newest.final:
                if broken := start_refusals(store, policy, file=file):
                    return _Preview(PlanAnswer(f"{command} would be refused", reasons=broken))
                return _Preview(PlanAnswer(f"{start} (plan --live)", checked=False))
            exposure = limited_exposure(store, newest)
    except RolloutError as error:
        text = f"{start}; whether a rollout is active is unknown: {error}"
        return _Preview(PlanAnswer(text, checked=False))
    state = f"{newest.id} is {newest.phase} at {newest.weight}%"
    return _Preview(
        PlanAnswer(f"{state}: {next_action(newest).text}", starts=False), exposure=exposure
    )


def start_answer(call: CommandContext, policy: Policy, *, adopt: bool) -> PlanAnswer:
    """Return whether `start` would accept `policy` now. Raises RolloutError: it is not known."""
    with replace(call, dry_run=True).app_session(create=True, ask_caller=False) as app:
        newest = newest_rollout(app.runner.store, policy)
        if newest is not None and not newest.final:
            return PlanAnswer(f"{newest.id} is active", starts=False)
        try:
            resolved = resolve_for_start(app.runner, policy)
            return _preview_start(app, resolved, newest, adopt=adopt).answer
        except UsageError as error:
            reason = str(error).removeprefix(
                f"{policy.name} was not started; nothing was changed: "
            )
            return PlanAnswer("`rolloutctl start` would be refused", reasons=reason.splitlines())


def _start_options(policy: Policy, *, adopt: bool, fix: bool = False) -> str:
    """Return the options that a start needs, with a space before each."""
    revision = "" if policy.target.names_revision else " --revision NAME"
    as_fix = " --fix --reason TEXT" if fix else ""
    return f"{revision}{' --adopt' if adopt else ''}{as_fix}"


def _preview_tick(app: App, rollout: Rollout) -> _Preview:
    visit = app.runner.visit(rollout.id)
    dry_run_lines = app.would or []
    planned = "; ".join(dry_run_lines) or "change nothing"
    data = NextTick(rollout_data(visit.rollout), list(dry_run_lines))
    # A dry run does not confirm the 0% of a rollback.
    rolls_back = visit.rollout.phase is Phase.ROLLING_BACK is not rollout.phase
    return _Preview(
        PlanAnswer(f"a visit now would {planned}", starts=False),
        data,
        Exit.ROLLED_BACK if rolls_back else of_run(visit),
        visit.rollout.evidence.baselines,
        limited_exposure(app.runner.store, rollout),
        rollout=rollout_page(visit.rollout),
    )


def _preview_start(
    app: App,
    policy: Policy,
    newest: Rollout | None,
    file: Path | None = None,
    *,
    adopt: bool,
    fix: bool = False,
) -> _Preview:
    preflight = check_start(app.runner, policy, adopt=adopt, fix=fix)
    acts = StartRequest(policy, adopt=adopt, fix=fix).acts
    broken = start_refusals(app.runner.store, policy, acts, file)
    reading, refusals, red = preflight.reading, [*broken, *preflight.refusals], preflight.red
    if newest is not None and has_succeeded(newest, policy, reading):
        text = f"`rolloutctl start` changes nothing: {newest.id} is succeeded with this revision"
        done = NextTick(rollout_data(newest), [])
        return _Preview(PlanAnswer(text), done, rollout=rollout_page(newest))
    status = Exit.USAGE if refusals else Exit.DONE
    if newest is not None and (newest.phase, newest.revision) == (Phase.ROLLED_BACK, reading.code):
        status = Exit.ROLLED_BACK
        refusals.append(f"{newest.id} rolled this revision back")
    start = f"`rolloutctl start{_start_options(policy, adopt=adopt, fix=fix)}`"
    text = f"{start} sets {policy.steps[0].weight}%"
    if adopt:
        text = f"{start} takes over the {reading.weight}% that are live"
    if refusals:
        text = f"{start} would be refused"
    baselines = {
        name: judge_of(name, policy.criteria[name], policy, value).baseline_text()
        for name, value in preflight.baselines.items()
    }
    data = StartCheck(
        reading.variables,
        reading.code,
        _baselines_data(policy, preflight.baselines),
        preflight.warnings,
        [*broken, *preflight.refusals],
        None if red is None else FixView(list(red), _gating(policy, red)),
    )
    metrics, now = app.runner.observer.metrics, app.runner.clock.now()
    facts = [
        ("live", f"{reading.variables}, the last update is {reading.update}"),
        *(("baseline", f"of {name}: {baseline}") for name, baseline in baselines.items()),
        *((one.what, one.detail) for one in paid_reads_checks(metrics, policy, now)),
        *(("fix", one) for one in (() if red is None else _fix_lines(policy, red))),
    ]
    return _Preview(
        PlanAnswer(text, reasons=refusals),
        data,
        status,
        preflight.baselines,
        warnings=preflight.warnings,
        facts=facts,
    )


def _gating(policy: Policy, red: Mapping[str, float | None]) -> list[list[str]]:
    """Return the ids of the criteria that gate each step while those in `red` do not."""
    gates = (policy.gate(step) for step in range(len(policy.steps)))
    return [
        [name for name, one in gate.items() if one.gating and name not in red] for gate in gates
    ]


def _fix_lines(policy: Policy, red: Mapping[str, float | None]) -> Iterator[str]:
    """Yield what a start as a fix would be judged by, in words."""
    yield fix_text(FixStart(red))
    for step, names in zip(policy.steps, _gating(policy, red), strict=True):
        yield f"{step.weight}% is still judged by {names_text(names) if names else 'nothing'}"


def _baselines_data(
    policy: Policy, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, float]:
    """Return the value of each baseline by criterion, in the unit of its metric."""
    units = {
        name: policy.metrics[comparison.metric].unit
        for name, comparison in policy.comparisons()
        if comparison.metric is not None
    }
    return {name: json_number(one.value, units.get(name, "")) for name, one in baselines.items()}
