"""The table of verbs: what each does in each phase."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controller.adapters.dry_run import DryRunLog, DryRunStore, DryRunTarget
from controller.core.commands import apply_command
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.policy import TargetSpec
from controller.engine.direct_write import lower_and_confirm
from controller.engine.tick import Runner
from controller.errors import RolloutError, UsageError
from controller.immutable import Immutable, replace
from controller.operations.start import StartRequest, StartResult, retry, start
from controller.ports.target import InspectableTarget
from tests.docs.tables.boxes import COLUMNS, ROLLOUTS
from tests.docs.tables.observations import ATTESTATION, BAKING, at, rollout_weight
from tests.docs.tables.wording import decision_text
from tests.support.core import (
    ALLOWED_PHASES,
    Command,
    Condition,
    ConditionKind,
    Decision,
    Observation,
    Policy,
    Rollout,
    TargetReading,
    Verb,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.support.three_steps import HEALTHY
from tests.tools.simulation.worlds import scenario

_FIRST, *_OTHERS = LADDER["steps"]
_APPROVAL = {"steps": [_FIRST, *({**step, "approval": "required"} for step in _OTHERS)]}
_LAST_STEP = {"steps": [_FIRST]}


class CommandRow(Immutable):
    """A row of the table: a command, in words and as it is given, and what the target shows then.

    policy: the parts of a policy that it needs.
    """

    words: str
    command: Command
    target: Callable[[Rollout], TargetReading] = rollout_weight
    policy: Mapping[str, Any] | None = None

    def decision(self, rollout: Rollout) -> Decision:
        """Return the decision on this command. Raises UsageError when it is refused."""
        if self.policy is not None:
            rollout = replace(rollout, policy=a_policy(**self.policy))
        if self.command.verb is Verb.ACK:
            policy = a_policy(notify=[{"kind": "eventbridge"}])
            critical = Condition(rollout.since, "look", announced=rollout.since, critical=True)
            rollout = replace(rollout, policy=policy)
            rollout = rollout.with_condition(ConditionKind.PAUSED, critical)
        observation = Observation(
            self.target(rollout), HEALTHY if rollout.phase in JUDGED_PHASES else {}
        )
        return apply_command(rollout, self.command, observation, NOON + BAKING * MINUTE)

    def outcome(self, rollout: Rollout) -> str:
        """Return the decision on this command, in words."""
        try:
            return decision_text(rollout, self.decision(rollout))
        except UsageError as error:
            why, *_ = str(error).partition("is unchanged: ")[2].split("; ")
            is_allowed = rollout.phase in ALLOWED_PHASES[self.command.verb]
            return f"refused (2): {why}" if is_allowed else "refused (2)"


_NO = Command(Verb.ATTEST, "no", criterion="eye", by="ada", refuse=True)
_YES = replace(_NO, reason="seen by eye", refuse=False)
COMMANDS: Sequence[CommandRow] = (
    CommandRow("`pause`", Command(Verb.PAUSE)),
    CommandRow("`resume`, intended weight applied", Command(Verb.RESUME)),
    CommandRow("`resume --restore`, intended weight applied", Command(Verb.RESUME, way="restore")),
    CommandRow("`resume`, drift to a higher weight", Command(Verb.RESUME), at(70)),
    CommandRow(
        "`resume --restore`, drift to a higher weight", Command(Verb.RESUME, way="restore"), at(70)
    ),
    CommandRow(
        "`resume --restore`, drift to a lower weight", Command(Verb.RESUME, way="restore"), at(5)
    ),
    CommandRow(
        "`resume --keep`, drift to a higher weight", Command(Verb.RESUME, way="keep"), at(70)
    ),
    CommandRow("`promote`", Command(Verb.PROMOTE, "seen by eye")),
    CommandRow(
        "`promote`, in the last step", Command(Verb.PROMOTE, "seen by eye"), policy=_LAST_STEP
    ),
    CommandRow("`approve`, a step that needs it", Command(Verb.APPROVE), policy=_APPROVAL),
    CommandRow("`attest`", _YES, policy=ATTESTATION),
    CommandRow("`attest --refuse`", _NO, policy=ATTESTATION),
    CommandRow("`ack`, a critical condition", Command(Verb.ACK)),
    CommandRow("`rollback`", Command(Verb.ROLLBACK, "enough")),
    CommandRow("`set-weight 40 --force`", Command(Verb.SET_WEIGHT, "a demo", weight=40)),
)
STARTS: Sequence[tuple[str, Callable[[Runner, Policy], StartResult]]] = (
    ("`start`, same revision and policy", lambda runner, policy: start(
        runner, StartRequest(policy, "one")
    )),
    ("`start`, same revision, other policy", lambda runner, _: start(
        runner, StartRequest(short_policy(warmup="1m"), "one")
    )),
    ("`start`, other revision", lambda runner, policy: start(runner, StartRequest(policy, "two"))),
    ("`start --adopt`, same revision", lambda runner, policy: start(
        runner, StartRequest(policy, "one", adopt=True)
    )),
    ("`start --adopt`, other revision", lambda runner, policy: start(
        runner, StartRequest(policy, "two", adopt=True)
    )),
    ("`retry`", lambda runner, _: retry(runner, "orders#1", "it was the network")),
)  # fmt: skip


AT_ZERO: Sequence[tuple[str, Callable[[Runner, Policy], StartResult]]] = (
    ("`start`, same revision, after 0% was set outside rolloutctl", STARTS[0][1]),
    ("`retry`, after 0% was set outside rolloutctl", STARTS[-1][1]),
)


def verbs() -> list[list[str]]:
    """Return the table of what verbs do, row by row, its head first."""
    with stages() as all_stages:
        starts = [
            [name, *(_start_result(one, begin) for one in all_stages)] for name, begin in STARTS
        ]
        for stage in all_stages:
            target = stage.runner.observer.targets(stage.policy.target)
            lower_and_confirm(target, stage.world.clock)
        starts += [
            [name, *(_start_result(one, begin) for one in all_stages)] for name, begin in AT_ZERO
        ]
    commands = [
        [row.words, *(row.outcome(ROLLOUTS[box][0]) for box in COLUMNS)] for row in COMMANDS
    ]
    reads = ["`status`, `history`, `report`, `replay`, `plan`", *["reads only"] * len(COLUMNS)]
    ticks = ["`tick`", *["as above"] * len(COLUMNS)]
    return [["verb", *COLUMNS.values()], *starts, ticks, *commands, reads]


def _start_result(stage: Stage, begin: Callable[[Runner, Policy], StartResult]) -> str:
    try:
        started = begin(_dry(stage.runner), stage.policy)
    except RolloutError as error:
        return f"refused ({int(error.exit_status)})"
    rollout = started.rollout
    if not started.created:
        return f"says that it is `{rollout.phase}`"
    does = "writes" if rollout.pending else "taking over"
    return f"a new attempt, {does} {rollout.weight}%"


def _dry(runner: Runner) -> Runner:
    """Return a dry-run runner, so that the next start finds the same stage."""
    journal = DryRunLog()

    def open_target(target: TargetSpec) -> InspectableTarget:
        return DryRunTarget(runner.observer.targets(target), target.name, journal)

    store = DryRunStore(runner.store, journal)
    observer = replace(runner.observer, store=store, targets=open_target)
    return dataclasses.replace(runner, observer=observer, announce=journal.announce)


@contextmanager
def stages() -> Iterator[list[Stage]]:
    """Yield a stage with a rollout of revision `one` in each of the phases."""
    slow = scenario(function={**function_with(), "update_takes": "4m"})
    steps = (_stay, _stay, _raise, _pause, _go_back, _roll_back, _succeed)
    with TemporaryDirectory() as folder, ExitStack() as open_stages:
        stages_by_phase = []
        for number, go in enumerate(steps):
            stage_folder = Path(folder) / str(number)
            stage_folder.mkdir()
            stage = open_stages.enter_context(
                open_stage(stage_folder, slow if number in (0, 2) else None)
            )
            start(stage.runner, StartRequest(stage.policy, "one"))
            go(stage)
            stages_by_phase.append(stage)
        yield stages_by_phase


def _stay(stage: Stage) -> None:
    stage.world.clock.advance(MINUTE)


def _raise(stage: Stage) -> None:
    """Go on until the next raise is written and not applied yet."""
    stage.tick_until(100)


def _pause(stage: Stage) -> None:
    stage.runner.run_command("orders#1", Command(Verb.PAUSE))


def _go_back(stage: Stage) -> None:
    """Decide and save a rollback that is not executed yet."""
    rollout = stage.rollout
    observation = Observation(stage.runner.observer.read_target(rollout))
    decision = apply_command(rollout, Command(Verb.ROLLBACK), observation, stage.world.clock.now())
    stage.store.save(decision.rollout, [])


def _roll_back(stage: Stage) -> None:
    stage.runner.roll_back("orders#1", "support is paged")
    stage.world.clock.advance(60 * MINUTE)


def _succeed(stage: Stage) -> None:
    stage.ticks(15)
