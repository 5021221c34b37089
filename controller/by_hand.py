"""A rollback by bare names: no rollout, no policy, no store; only the target and a clock."""

from datetime import timedelta

from controller import stopping
from controller.core.observation import Reading, Update
from controller.core.policy import LambdaEnv
from controller.errors import TargetError
from controller.ports import Clock, Target

# How long it may take, twice: to write 0 % and to see it in force.
LIMIT = timedelta(minutes=5)
LOOK_EVERY = timedelta(seconds=1)


def lower_and_confirm(target: Target, clock: Clock) -> Reading:
    """Lower `target` to 0 % and return what it shows once that is in force, or at the limit.

    Where 0 % stands already it is written once more: a first raise that was decided and is not
    written yet fits no more then. Without a store nobody can say whether there is one.
    A process that is asked to end still lowers, and does not wait for it to come into force.
    Raises TargetError when it cannot be lowered or read.
    """
    target.lower_to_zero(LIMIT, void=_token(target))
    deadline = clock.now() + LIMIT
    reading = target.read()
    while _moving(reading) and clock.now() < deadline and not stopping.asked():
        clock.sleep(LOOK_EVERY)
        reading = target.read()
    return reading


def _token(target: Target) -> str:
    """Return what the target carries now; nothing when it cannot be read, for lowering goes on."""
    try:
        return target.read().token
    except TargetError:
        return ""


def _moving(reading: Reading) -> bool:
    return reading.update is Update.IN_PROGRESS


def command(target: LambdaEnv) -> str:
    """Return what somebody types to have `target` lowered."""
    names = f"--function {target.function} --percentage {target.percentage}"
    boolean = f" --boolean {target.boolean}" if target.boolean else ""
    return f"rolloutctl rollback {names}{boolean}"
