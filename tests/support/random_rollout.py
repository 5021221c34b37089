"""A random rollout: AWS outages, external changes, operator commands, and a second run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from controller.errors import RolloutError
from controller.operations.start import StartRequest, start
from tests.support.core import Command, DriftResolution, Policy, Verb
from tests.support.stage import WRITE, ActBefore, Stage, a_runner, function_with, open_stage
from tests.tools.simulation.worlds import FUNCTION, MINUTE, POLICY, scenario

FAULT_EVENTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "errors", "server_errors": "3%"},
    {"kind": "errors", "server_errors": "0.2%"},
    {"kind": "latency", "times": 1.2},
    {"kind": "traffic", "times": 0},
    {"kind": "traffic", "times": 0.002},
    *({"kind": "metrics_outage", "how": how} for how in ("error", "partial", "forbidden")),
    *({"kind": "lambda_outage", "how": how} for how in ("error", "timeout", "lost_response")),
    {"kind": "slow_updates", "takes": "4m"},
    {"kind": "failed_updates"},
    *({"kind": "refused_raises"},) * 2,
    {"kind": "kms_denied"},
)
LENGTHS = ("2m", "20m", "2h")
RESUME_OPTIONS: tuple[DriftResolution, ...] = ("", "restore", "keep")


@contextmanager
def random_walk(folder: Path, seed: int, ticks: int = 120) -> Iterator[Stage]:
    """Yield a stage after `ticks` ticks of one rollout with random events, drawn from `seed`."""
    chance = Random(seed)
    world = scenario(function=function_with(), events=_events(chance))
    with open_stage(folder, world, _policy(chance)) as stage:
        _start(stage, chance)
        for _ in range(ticks if stage.store.all() else 0):
            _random_action(stage, chance)
            stage.tick(after=chance.choice((1, 1, 3, 5, 14)) * MINUTE)
        yield stage


def _events(chance: Random) -> list[dict[str, Any]]:
    return [
        {
            **chance.choice(FAULT_EVENTS),
            "at": {"step": chance.randint(1, 3), "after": f"{chance.randint(0, 90)}m"},
            "lasting": chance.choice(LENGTHS),
        }
        for _ in range(chance.randint(1, 4))
    ]


def _policy(chance: Random) -> Policy:
    approval = chance.choice(({}, {"approval": "required"}))
    return Policy.model_validate(
        {
            **POLICY,
            "steps": [
                {"weight": 10, "bake": "20m"},
                {"weight": 50, "bake": "90m", **approval},
                {"weight": 100, "bake": "1h"},
            ],
            "on_inconclusive": chance.choice(("pause", "rollback", "advance")),
            "on_drift_up": chance.choice(("pause", "rollback")),
            "freeze": {"zone": "UTC", "daily": [{"from": "11:00", "to": "11:40"}]},
        }
    )


def _start(stage: Stage, chance: Random) -> None:
    adopt = chance.random() < 0.2
    if adopt:
        _set_weight(stage, chance.choice((10, 50, 100)))
        stage.world.clock.advance(timedelta(minutes=5))
    try:
        start(stage.runner, StartRequest(stage.policy, adopt=adopt))
    except RolloutError:
        assert not stage.store.all()


def _set_weight(stage: Stage, weight: int) -> None:
    stage.world.set_variables(FUNCTION, stage.policy.target.settings(weight))


def _random_action(stage: Stage, chance: Random) -> None:
    """Run an operator command, change the weight outside, or let another run save first."""
    match chance.randrange(20):
        case 0:
            _run_command(stage, Command(chance.choice((Verb.PAUSE, Verb.PROMOTE)), "cause"))
        case 1 | 2:
            _run_command(
                stage,
                Command(Verb.RESUME, chance.choice(("", "so")), chance.choice(RESUME_OPTIONS)),
            )
            _run_command(stage, Command(Verb.APPROVE))
        case 3 if chance.random() < 0.1:
            _run_command(stage, Command(Verb.ROLLBACK, "enough"))
        case 4 if chance.random() < 0.2:
            _set_weight(stage, chance.choice((0, 5, 10, 50, 70, 100)))
        case 5 if chance.random() < 0.1:
            contradiction = {"PERCENTAGE": "10", "ENABLED": "true"}
            stage.world.set_variables(FUNCTION, contradiction)
        case 6 if chance.random() < 0.05:
            rollout_id = stage.rollout.id
            rival = a_runner(stage.world, stage.store, stage.announce)
            stage.world.interceptors.append(
                ActBefore(WRITE, lambda: rival.roll_back(rollout_id, "at once"))
            )
        case _:
            pass


def _run_command(stage: Stage, command: Command) -> None:
    with suppress(RolloutError):  # a command that is not allowed changes nothing
        stage.runner.run_command(stage.rollout.id, command)
