"""What each verb does in each phase."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.dry_run import DryRunNotifier, DryRunStore, DryRunTarget, Journal
from controller.core.commands import ALLOWED_PHASES, Command, Verb, apply_command
from controller.core.judge.queries import JUDGED
from controller.core.message import Page
from controller.core.observation import Observation, TargetReading
from controller.core.policy import LambdaEnv, Policy
from controller.core.rollout import Rollout
from controller.engine.direct_write import lower_and_confirm
from controller.engine.tick import Runner
from controller.errors import RolloutError, UsageError
from controller.operations.start.start import StartRequest, StartResult, retry, start
from controller.ports.target import InspectableTarget
from tests.docs.tables.observations import BAKING, STANDING, at, own
from tests.docs.tables.wording import COLUMNS, told
from tests.simulation.worlds import scenario
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.support.three_steps import HEALTHY

_APPROVED = [{**step, "approval": "required"} for step in LADDER["steps"][1:]]
_EYE = {"kind": "attestation", "statement": "It looks right."}
ASKS: Sequence[tuple[str, Command, Callable[[Rollout], TargetReading]]] = (
    ("`pause`", Command(Verb.PAUSE), own),
    ("`resume`, weight as it was asked for", Command(Verb.RESUME), own),
    ("`resume`, weight raised by another hand", Command(Verb.RESUME), at(70)),
    ("`resume --restore`, weight raised", Command(Verb.RESUME, way="restore"), at(70)),
    ("`resume --restore`, weight lowered", Command(Verb.RESUME, way="restore"), at(5)),
    ("`resume --keep`, weight raised", Command(Verb.RESUME, way="keep"), at(70)),
    ("`promote`", Command(Verb.PROMOTE, "seen by eye"), own),
    ("`approve`, a step that needs it", Command(Verb.APPROVE), own),
    ("`attest`", Command(Verb.ATTEST, "seen by eye", criterion="eye", by="ada"), own),
    ("`attest --refuse`", Command(Verb.ATTEST, "no", criterion="eye", by="ada", refuse=True), own),
    ("`ack`, something critical", Command(Verb.ACK), own),
    ("`rollback`", Command(Verb.ROLLBACK, "limit"), own),
    ("`set-weight 40 --force`", Command(Verb.SET_WEIGHT, "a demo", weight=40), own),
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
    ("`start`, same revision, after 0 % by another hand", STARTS[0][1]),
    ("`retry`, after 0 % by another hand", STARTS[-1][1]),
)


def verbs() -> list[list[str]]:
    """Return the table of what verbs do, row by row, its head first."""
    with stages() as standing:
        starts = [[name, *(_started(one, begin) for one in standing)] for name, begin in STARTS]
        for stage in standing:
            target = stage.runner.observer.targets(stage.policy.target)
            lower_and_confirm(target, stage.world.clock)
        starts += [[name, *(_started(one, begin) for one in standing)] for name, begin in AT_ZERO]
    asks = [[name, *(_asked(one, ask, live(one)) for one in STANDING)] for name, ask, live in ASKS]
    looks = ["`status`, `history`, `replay`, `plan`", *["looks"] * len(COLUMNS)]
    ticks = ["`tick`", *["as above"] * len(COLUMNS)]
    return [["verb", *COLUMNS], *starts, ticks, *asks, looks]


def _asked(rollout: Rollout, ask: Command, target: TargetReading) -> str:
    if ask.verb is Verb.APPROVE:
        rollout = replace(rollout, policy=a_policy(steps=[LADDER["steps"][0], *_APPROVED]))
    if ask.verb is Verb.ATTEST:
        rollout = replace(rollout, policy=a_policy(criteria={**LADDER["criteria"], "eye": _EYE}))
    if ask.verb is Verb.ACK:
        page = Page("paused", "look", rollout.since, rollout.since)
        policy = a_policy(notify=[{"kind": "eventbridge"}])
        rollout = replace(rollout, policy=policy, page=page)
    seen = Observation(target, HEALTHY if rollout.phase in JUDGED else {})
    try:
        decision = apply_command(rollout, ask, seen, NOON + BAKING * MINUTE)
    except UsageError as error:
        why, *_ = str(error).partition("#1: ")[2].split("; ")
        return f"refused (2): {why}" if rollout.phase in ALLOWED_PHASES[ask.verb] else "refused (2)"
    return told(rollout, decision)


def _started(stage: Stage, begin: Callable[[Runner, Policy], StartResult]) -> str:
    try:
        started = begin(_dry(stage.runner), stage.policy)
    except RolloutError as error:
        return f"refused ({int(error.exit_status)})"
    rollout = started.rollout
    if not started.created:
        return f"says that it is `{rollout.phase}`"
    live = rollout.intent.weight == rollout.intent.previous
    return f"a new attempt, {'taking over' if live else 'writes'} {rollout.weight} %"


def _dry(runner: Runner) -> Runner:
    """Return a runner that starts without leaving a trace: the next one finds the same stage."""
    journal = Journal()

    def open_target(target: LambdaEnv) -> InspectableTarget:
        return DryRunTarget(runner.observer.targets(target), target.function, journal)

    store = DryRunStore(runner.store, journal)
    looking = replace(runner.observer, store=store, targets=open_target)
    return replace(runner, observer=looking, notifier=DryRunNotifier(journal))


@contextmanager
def stages() -> Iterator[list[Stage]]:
    """Yield a stage with a rollout of revision `one` in each of the phases."""
    slow = scenario(function={**function_with(), "update_takes": "4m"})
    ways = (_stay, _stay, _pause, _go_back, _roll_back, _succeed)
    with TemporaryDirectory() as folder, ExitStack() as open_stages:
        found = []
        for number, go in enumerate(ways):
            place = Path(folder) / str(number)
            place.mkdir()
            stage = open_stages.enter_context(open_stage(place, slow if number == 0 else None))
            start(stage.runner, StartRequest(stage.policy, "one"))
            go(stage)
            found.append(stage)
        yield found


def _stay(stage: Stage) -> None:
    stage.world.clock.advance(MINUTE)


def _pause(stage: Stage) -> None:
    stage.runner.run_command("orders#1", Command(Verb.PAUSE))


def _go_back(stage: Stage) -> None:
    """Decide a rollback that nobody has carried out yet."""
    rollout = stage.rollout
    seen = Observation(stage.runner.observer.read_target(rollout))
    back = apply_command(rollout, Command(Verb.ROLLBACK), seen, stage.world.clock.now())
    stage.store.save(back.rollout, [])


def _roll_back(stage: Stage) -> None:
    stage.runner.roll_back("orders#1", "support is paged")
    stage.world.clock.advance(60 * MINUTE)


def _succeed(stage: Stage) -> None:
    stage.ticks(15)
