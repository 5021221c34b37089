"""The verb that says what would happen: the ladder, the gates, and the next tick."""

from pathlib import Path
from typing import Any

import click

from controller.bootstrap import App
from controller.cli import options
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.errors import Exit, RolloutError
from controller.ports import Store


@click.command()
@click.argument("policy", type=Path)
@click.option("--live", is_flag=True, help="Read the account too; still nothing is written.")
@options.store
@options.as_json
def plan(policy: Path, live: bool, store_url: str | None, as_json: bool) -> int:
    """Show the ladder and the gates of POLICY, and what comes next."""
    from controller.loader import load
    from controller.render.plan import plan_data, plan_text

    known = load(policy)
    data, lines = plan_data(known), [plan_text(known), ""]
    if not live:
        data["next"] = _next(known, store_url)
        lines.append(f"  next: {data['next']}")
    else:
        with options.opened(store_url, dry_run=True, create=True) as app:
            data["live"], data["next"], text = _live(app, known)
            lines.append(text)
    if as_json:
        options.print_json("plan", data)
    else:
        click.echo("\n".join(lines))
    return Exit.DONE


def _next(policy: Policy, store_url: str | None) -> str:
    """Return what comes next as far as the store tells; whether an account allows it, it cannot."""
    start = f"`rolloutctl start` would set {policy.steps[0].weight} % if the live account allows it"
    try:
        with options.looking(store_url, may_be_missing=True) as (store, _):
            running = _running(store, policy)
    except RolloutError as error:
        return f"{start}; whether a rollout is running already is not known: {error}"
    if running is None:
        return f"{start} (plan --live)"
    return f"{running.id} is {running.phase} at {running.weight} %: {running.next}"


def _live(app: App, policy: Policy) -> tuple[dict[str, Any], str, str]:
    """Return what the account says about the next move: as data, in a line, as text."""
    running = _running(app.runner.store, policy)
    return _next_tick(app, running) if running else _next_start(app, policy)


def _running(store: Store, policy: Policy) -> Rollout | None:
    ids = store.of_name(policy.name)
    newest = store.load(ids[-1]) if ids else None
    return newest if newest is not None and not newest.final else None


def _next_tick(app: App, rollout: Rollout) -> tuple[dict[str, Any], str, str]:
    from controller.render.status import rollout_data, rollout_text

    (visit,) = app.runner.tick([rollout.id])
    would = app.journal.lines if app.journal else []
    would_text = would or ["change nothing"]
    lines = [f"  the next tick would: {line}" for line in would_text]
    data = {"rollout": rollout_data(visit.rollout), "would": would}
    following = f"the next tick would {'; '.join(would_text)}"
    return data, following, "\n".join([rollout_text(visit.rollout), "", *lines])


def _next_start(app: App, policy: Policy) -> tuple[dict[str, Any], str, str]:
    from controller.start import look

    checked = look(app.runner, policy)
    lines = [f"  live: {checked.reading.shown}, the last update is {checked.reading.update}"]
    lines += [
        f"  baseline of {name}: {value.value:.1f} from {value.samples:.0f} samples"
        for name, value in checked.baselines.items()
    ]
    lines += [f"  warning: {line}" for line in checked.warnings]
    lines += [f"  start would be refused: {line}" for line in checked.refusals]
    following = f"`rolloutctl start` sets {policy.steps[0].weight} %"
    if checked.refusals:
        following = "`rolloutctl start` would be refused"
    lines.append(f"  next: {following}")
    data = {
        "shown": checked.reading.shown,
        "revision": checked.reading.code,
        "baselines": {name: value.value for name, value in checked.baselines.items()},
        "warnings": list(checked.warnings),
        "refusals": list(checked.refusals),
    }
    return data, following, "\n".join(lines)
