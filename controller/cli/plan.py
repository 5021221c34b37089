"""The verb `plan`: shows the steps and gates of a policy, and what comes next."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from controller.bootstrap.app import App, current_moment
from controller.cli import options
from controller.cli.call import Call, load_policy, newest_rollout
from controller.cli.history import limited_exposure
from controller.cli.result import Result
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.next_action import next_action
from controller.core.policy import LatencyIncrease, Policy
from controller.core.policy.metric import Counts
from controller.core.rollout import Phase, Rollout
from controller.engine.execute import Visit
from controller.engine.exit_status import of_run
from controller.errors import Exit, MetricsError, RolloutError, UsageError
from controller.immutable import replace
from controller.operations.report.exposure import Exposure
from controller.operations.start.start import check_start, resolve_for_start
from controller.operations.start.traffic import estimate_traffic
from controller.ports.json_view import json_number
from controller.render.exposure import exposure_data, exposure_text
from controller.render.feasibility import gate_power
from controller.render.page import EMPTY_LINE, Page, lines_page, paragraph
from controller.render.plan import plan_data, plan_page
from controller.render.rollout_page import rollout_page
from controller.render.status import rollout_data

if TYPE_CHECKING:
    from controller.render.outputs.policies import NextTick, PlanData, StartCheck

_UNKNOWN_POWER: Final = "  gate power: {}"
_SCOPES: Final[Mapping[Counts, str]] = {
    "canary": "of the canary alone",
    "stable": "of the stable path",
    "both": "of both paths",
}
_POWER_HINT: Final = "plan --live, or validate --requests-per-minute N"


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--live", is_flag=True, help="Read the account too; still nothing is written.")
@click.option("--adopt", is_flag=True, help="With --live: check `start --adopt`.")
@click.option(
    "--exit-code",
    is_flag=True,
    help="With --live: end with 2 or 4 when a start would be refused; of a rollout that runs, with "
    "where the next tick leaves it, as `status --exit-code` does.",
)
@options.CANARY_VERSION
@options.call_options("store", "json")
def plan(
    call: Call, policy: Path, live: bool, adopt: bool, exit_code: bool, version: str | None
) -> Result:
    """Show the ladder and the gates of POLICY, and what comes next."""
    for option, given in (("--adopt", adopt), ("--exit-code", exit_code)):
        if given and not live:
            raise UsageError(f"{option} is about the live account: give it with --live")
    loaded, now = load_policy(policy, version), current_moment()
    page, status = [*plan_page(loaded, now), EMPTY_LINE], Exit.DONE
    data: PlanData = {
        **plan_data(loaded, now), "next": "", "exposure": None, "live": None, "power": None,
    }  # fmt: skip
    if not live:
        data["next"], exposure = _next_by_store(call, loaded)
        page += [*lines_page([f"  next: {data['next']}"]), *_add_exposure(exposure, data)]
        page += lines_page([_UNKNOWN_POWER.format(_POWER_HINT)])
    else:
        with replace(call, dry_run=True).app_session(create=True, ask_caller=False) as app:
            loaded = resolve_for_start(app.runner, loaded)
            preview = _live_preview(app, loaded, adopt=adopt)
            traffic = _measured_traffic(app, loaded)
        data["live"], data["next"] = preview.data, preview.next_text
        status = preview.status if exit_code else Exit.DONE
        page += [*preview.page, *_add_exposure(preview.exposure, data)]
        page += _gate_power(loaded, traffic, preview.baselines, data)
    return Result("plan", data=lambda: data, page=lambda: page, status=status)


def _add_exposure(exposure: Exposure | None, data: "PlanData") -> Page:
    """Return the exposure of the active rollout, and add it to `data`."""
    if exposure is None:
        return []
    data["exposure"] = exposure_data(exposure)
    return [paragraph(f"exposure: {exposure_text(exposure)}", indent=2)]


def _next_by_store(call: Call, policy: Policy) -> tuple[str, Exposure | None]:
    """Return what comes next by the store alone, and the exposure of the active rollout.

    It cannot tell whether the account allows it.
    """
    start = f"`rolloutctl start` would set {policy.steps[0].weight} % if the live account allows it"
    try:
        with call.store_session(may_be_missing=True) as store:
            newest = newest_rollout(store, policy)
            if newest is None or newest.final:
                return f"{start} (plan --live)", None
            exposure = limited_exposure(store, newest)
    except RolloutError as error:
        return f"{start}; whether a rollout is active is unknown: {error}", None
    state = f"{newest.id} is {newest.phase} at {newest.weight} %"
    return f"{state}: {next_action(newest).text}", exposure


class _Preview(NamedTuple):
    """The next move in the live account: as data, in a line, as a page, and as an exit status.

    baselines: the frozen values of the stable path. exposure: of the active rollout, where its
    policy limits it.
    """

    data: "NextTick | StartCheck"
    next_text: str
    page: Page
    baselines: Mapping[str, BaselineMeasurement]
    status: Exit
    exposure: Exposure | None = None


class _TrafficRate(NamedTuple):
    """Requests a minute and their source; per_minute None: unknown, and source says why."""

    per_minute: float | None
    source: str


def _measured_traffic(app: App, policy: Policy) -> _TrafficRate:
    """Return the request rate over the last 24 hours."""
    hint = "name the rate: rolloutctl validate --requests-per-minute N"
    try:
        estimate = estimate_traffic(app.runner.observer.metrics, policy, app.runner.clock.now())
    except MetricsError as error:
        return _TrafficRate(None, f"measurements cannot be read: {error}; {hint}")
    if not estimate.per_minute:
        no_requests = "no metric of the policy counted a request in the last 24h"
        return _TrafficRate(None, f"{no_requests}; {hint}")
    scope = "" if estimate.scope is None else f", {_SCOPES[estimate.scope]}"
    return _TrafficRate(
        estimate.per_minute, f"{' + '.join(estimate.metrics)} of the last 24h{scope}"
    )


def _gate_power(
    policy: Policy,
    traffic: _TrafficRate,
    baselines: Mapping[str, BaselineMeasurement],
    data: "PlanData",
) -> Page:
    """Return the power of the gates at this request rate, and add it to `data`."""
    if traffic.per_minute is None:
        return lines_page([_UNKNOWN_POWER.format(traffic.source)])
    data["power"], page = gate_power(policy, traffic.per_minute, traffic.source, baselines)
    return [EMPTY_LINE, *page]


def _live_preview(app: App, policy: Policy, *, adopt: bool) -> _Preview:
    newest = newest_rollout(app.runner.store, policy)
    if newest is not None and not newest.final:
        return _preview_tick(app, newest)
    return _preview_start(app, policy, newest, adopt=adopt)


def _preview_tick(app: App, rollout: Rollout) -> _Preview:
    visit = app.runner.visit(rollout.id)
    dry_run_lines = app.journal.lines if app.journal else []
    planned_lines = dry_run_lines or ["change nothing"]
    lines = [f"  the next tick would: {line}" for line in planned_lines]
    data: NextTick = {"rollout": rollout_data(visit.rollout), "would": list(dry_run_lines)}
    next_text = f"the next tick would {'; '.join(planned_lines)}"
    page = [*rollout_page(visit.rollout), EMPTY_LINE, *lines_page(lines)]
    return _Preview(
        data,
        next_text,
        page,
        visit.rollout.evidence.baselines,
        _status_after_tick(rollout, visit),
        limited_exposure(app.runner.store, rollout),
    )


def _status_after_tick(rollout: Rollout, visit: Visit) -> Exit:
    """Return the exit status after the next tick; a dry run does not confirm a rollback's 0 %."""
    rolls_back = visit.rollout.phase is Phase.ROLLING_BACK is not rollout.phase
    return Exit.ROLLED_BACK if rolls_back else of_run(visit)


def _preview_start(app: App, policy: Policy, newest: Rollout | None, *, adopt: bool) -> _Preview:
    preflight = check_start(app.runner, policy, adopt=adopt)
    lines = [
        f"  live: {preflight.reading.variables}, the last update is {preflight.reading.update}"
    ]
    lines += [
        f"  baseline of {name}: "
        f"{judge_of(name, policy.criteria[name], policy, value).baseline_text()}"
        for name, value in preflight.baselines.items()
    ]
    lines += [f"  warning: {line}" for line in preflight.warnings]
    status = Exit.USAGE if preflight.refusals else Exit.DONE
    lines += [f"  start would be refused: {line}" for line in preflight.refusals]
    if newest is not None and (newest.phase, newest.revision) == (
        Phase.ROLLED_BACK,
        preflight.reading.code,
    ):
        status = Exit.ROLLED_BACK
        lines.append(f"  start would be refused: {newest.id} rolled this revision back")
    start = "`rolloutctl start --adopt`" if adopt else "`rolloutctl start`"
    next_text = f"{start} sets {policy.steps[0].weight} %"
    if adopt:
        next_text = f"{start} takes over the {preflight.reading.weight} % that are live"
    if status is not Exit.DONE:
        next_text = f"{start} would be refused"
    lines.append(f"  next: {next_text}")
    data: StartCheck = {
        "variables": preflight.reading.variables,
        "revision": preflight.reading.code,
        "baselines": _baselines_data(policy, preflight.baselines),
        "warnings": list(preflight.warnings),
        "refusals": list(preflight.refusals),
    }
    return _Preview(data, next_text, lines_page(lines), preflight.baselines, status)


def _baselines_data(
    policy: Policy, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, float]:
    """Return the value of each baseline by criterion, in the unit of its metric."""

    def unit(name: str) -> str:
        criterion = policy.criteria.get(name)
        if isinstance(criterion, LatencyIncrease):
            return policy.metrics[criterion.metric].unit
        return ""

    return {name: json_number(one.value, unit(name)) for name, one in baselines.items()}
