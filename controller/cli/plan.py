"""The verb that says what would happen: the ladder, the gates, and the next tick."""

from pathlib import Path
from typing import Any

import click

from controller.bootstrap import App
from controller.cli import options
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.errors import Exit


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
    first = known.steps[0].weight
    next_move = f"`rolloutctl start` sets {first} % when the live account allows it (plan --live)"
    data: dict[str, Any] = {**plan_data(known), "next": next_move}
    lines = [plan_text(known), "", f"  next: {next_move}"]
    if live:
        with options.opened(store_url, dry_run=True) as app:
            data["live"], lines[-1] = _live(app, known)
    if as_json:
        options.print_json("plan", data)
    else:
        click.echo("\n".join(lines))
    return Exit.DONE


def _live(app: App, policy: Policy) -> tuple[dict[str, Any], str]:
    """Return what the account says about the next move, as data and as text."""
    running = _running(app, policy)
    return _next_tick(app, running) if running else _next_start(app, policy)


def _running(app: App, policy: Policy) -> Rollout | None:
    ids = app.runner.store.of_name(policy.name)
    newest = app.runner.store.load(ids[-1]) if ids else None
    return newest if newest is not None and not newest.final else None


def _next_tick(app: App, rollout: Rollout) -> tuple[dict[str, Any], str]:
    from controller.render.status import rollout_data, rollout_text

    (visit,) = app.runner.tick([rollout.id])
    would = app.journal.lines if app.journal else []
    lines = [f"  the next tick would: {line}" for line in would or ["change nothing"]]
    data = {"rollout": rollout_data(visit.rollout), "would": would}
    return data, "\n".join([rollout_text(visit.rollout), "", *lines])


def _next_start(app: App, policy: Policy) -> tuple[dict[str, Any], str]:
    from controller.start import look

    checked = look(app.runner, policy)
    lines = [f"  live: {checked.reading.shown}, the last update is {checked.reading.update}"]
    lines += [
        f"  baseline of {name}: {value.value:.1f} from {value.samples:.0f} samples"
        for name, value in checked.baselines.items()
    ]
    lines += [f"  warning: {line}" for line in checked.warnings]
    lines += [f"  start would be refused: {line}" for line in checked.refusals]
    if not checked.refusals:
        lines.append(f"  next: `rolloutctl start` sets {policy.steps[0].weight} %")
    data = {
        "shown": checked.reading.shown,
        "revision": checked.reading.code,
        "baselines": {name: value.value for name, value in checked.baselines.items()},
        "warnings": list(checked.warnings),
        "refusals": list(checked.refusals),
    }
    return data, "\n".join(lines)
