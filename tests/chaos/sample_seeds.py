"""The seeds that `make test` plays: everything that can go wrong does in one of them.

Where other faults are drawn or a rollout ends otherwise, choose the seeds anew:

    python -m tests.chaos.sample_seeds

Each kind of target beside `lambda-env` has a few seeds, for what is its own: crashes at its calls,
and changes of it by others.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from controller.process import logging
from tests.chaos.event_log import TargetWrite
from tests.chaos.fault_plan import ActorAction, Degradation, StoreKind, TargetKind, Timing
from tests.chaos.faults import DONE_500, FAULT_KINDS, LATE, REQUEST_LOST, RESPONSE_LOST
from tests.chaos.ground_truth import KINDS
from tests.chaos.run import run_seed
from tests.chaos.trace import Trace

# The kinds of faults for which a seed is in the sample, by seed.
KindsBySeed: TypeAlias = Mapping[int, Sequence[str]]
Setting: TypeAlias = tuple[TargetKind, StoreKind]

SAMPLE: Final[Mapping[Setting, KindsBySeed]] = {
    ("lambda-env", "sqlite"): {
        7: [
            "degradation: cloudwatch is down",
            "end: succeeded",
            "people: crash after",
        ],
        9: [
            "action: a deploy resets the target",
            "degradation: the store is down",
            "degradation: updates end as failed",
            "store: crash after",
        ],
        26: [
            "action: another run takes the lease over and is gone",
        ],
        28: [
            "end: progressing",
            "lambda: crash during",
            "people: crash during",
        ],
        48: [
            "action: a person sets the weight",
            "action: rollback",
        ],
        50: [
            "action: resume",
            "lambda: crash after",
            "store: crash during",
        ],
        54: [
            "action: pause",
        ],
        58: [
            "action: start",
        ],
        82: [
            "action: approve",
        ],
        87: [
            "action: a deploy resets the target and brings code",
        ],
        102: [
            "action: a person leaves no clear weight",
            "action: resume --keep",
            "clock: wrong",
            "degradation: the service of the target is down",
            "degradation: the store takes no writes",
            "end: paused",
            "people: crash before",
            "store: crash before",
        ],
        111: [
            "action: another tick",
            "action: promote",
            "action: retry",
            "clock: crash",
            "degradation: KMS denies the environment",
            "degradation: updates stay in progress",
            "end: rolled_back",
            "lambda: crash before",
        ],
        147: [
            "action: rollback by bare names",
            "end: not started",
        ],
        163: [
            "cloudwatch: crash before",
        ],
        255: [
            "cloudwatch: crash after",
            "cloudwatch: crash during",
        ],
        284: [
            "action: resume --restore",
            "degradation: cloudwatch answers in part",
        ],
    },
    ("lambda-env", "dynamodb"): {
        8: [
            "dynamodb: crash after",
            "dynamodb: crash before",
            "dynamodb: met another",
        ],
        47: [
            "dynamodb: 500",
            "dynamodb: crash during",
            "dynamodb: throttled",
        ],
    },
    ("lambda-alias", "sqlite"): {
        18: [
            "action: a deploy resets the target",
        ],
        21: [
            "action: a person leaves no clear weight",
        ],
        30: [
            "action: a person sets the weight",
            "lambda: crash during",
        ],
        56: [
            "degradation: the service of the target is down",
            "lambda: crash after",
        ],
        59: [
            "action: rollback",
        ],
        89: [
            "lambda: crash before",
        ],
        96: [
            "action: a deploy resets the target and brings code",
        ],
        97: [
            "action: rollback by bare names",
        ],
    },
    ("alb-weights", "sqlite"): {
        6: [
            "action: a person leaves no clear weight",
        ],
        16: [
            "action: a person sets the weight",
        ],
        24: [
            "elbv2: crash after",
        ],
        25: [
            "elbv2: crash before",
        ],
        26: [
            "action: rollback",
        ],
        35: [
            "action: a deploy resets the target",
            "action: rollback by bare names",
        ],
        53: [
            "elbv2: crash during",
        ],
        90: [
            "action: a deploy resets the target and brings code",
        ],
        94: [
            "degradation: the service of the target is down",
            "target: written over an unseen change",
        ],
    },
    ("appconfig", "sqlite"): {
        11: [
            "appconfig: crash during",
        ],
        16: [
            "action: a deploy resets the target and brings code",
        ],
        17: [
            "action: rollback by bare names",
            "appconfig: crash before",
        ],
        20: [
            "action: a deploy resets the target",
        ],
        29: [
            "action: a person leaves no clear weight",
            "action: rollback",
        ],
        116: [
            "action: a person sets the weight",
            "appconfig: crash after",
            "degradation: the service of the target is down",
        ],
    },
}

# The seeds among which the sample is chosen. A table costs ten times a file.
CANDIDATES: Final[Mapping[Setting, Sequence[int]]] = {
    ("lambda-env", "sqlite"): range(300),
    ("lambda-env", "dynamodb"): range(50),
    ("lambda-alias", "sqlite"): range(120),
    ("alb-weights", "sqlite"): range(120),
    ("appconfig", "sqlite"): range(120),
}

# `progressing` is an end only of a rollout that waits for an approval.
ENDS: Final = ("succeeded", "rolled_back", "paused", "progressing", "not started")


# What others do to a target.
_CHANGES: Final = (
    ActorAction.SET_WEIGHT,
    ActorAction.CONTRADICT,
    ActorAction.DEPLOY,
    ActorAction.DEPLOY_CODE,
    ActorAction.ROLLBACK,
    ActorAction.BARE_ROLLBACK,
)
_LOST: Final = {REQUEST_LOST, RESPONSE_LOST, LATE, DONE_500}
UNSEEN: Final = "target: written over an unseen change"


def wanted_kinds(target: TargetKind) -> set[str]:
    """Return what has to occur in the seeds of `target`.

    Of `lambda-env` that is each crash at each service, each error of a table, and each action,
    degradation and end. Of another kind it is what concerns the target itself. Each fault of the
    other calls has a run of its own in `test_trace.py`, and the lost answers of a table are in
    `tests/e2e/test_interrupted.py`.
    """
    own = KINDS[target].service
    if target != "lambda-env":
        return {
            *(f"{own}: crash {when}" for when in Timing),
            *(f"action: {action}" for action in _CHANGES),
            f"degradation: {Degradation.TARGET}",
            *([UNSEEN] if KINDS[target].reads else []),
        }
    others = {kind.service for kind in KINDS.values()} - {own}
    services = {name.partition(":")[0] for name in FAULT_KINDS} - others
    of_a_table = {
        how for name, hows in FAULT_KINDS.items() if name.startswith("dynamodb:") for how in hows
    }
    return {
        *(f"dynamodb: {how}" for how in of_a_table - _LOST),
        *(f"{service}: crash {when}" for service in services for when in Timing),
        "clock: crash",
        "clock: wrong",
        *(f"action: {action}" for action in ActorAction),
        *(f"degradation: {degradation}" for degradation in Degradation),
        *(f"end: {end}" for end in ENDS),
    }


def kinds_of(trace: Trace) -> set[str]:
    """Return what went wrong in `trace`, in the words of `wanted_kinds`."""
    unseen = any(isinstance(event, TargetWrite) and event.unseen for event in trace.events)
    return {
        f"end: {trace.end}",
        *map(_kind, trace.fault_counts),
        *([UNSEEN] if unseen else []),
    }


def _kind(fault: str) -> str:
    """Return the kind of an injected fault, as in `store:save: conflict`."""
    operation, kind = fault.split(": ", 1)
    service = operation.partition(":")[0]
    if kind in set(Degradation):
        return f"degradation: {kind}"
    if kind.endswith(" s off"):
        return "clock: wrong"
    _, between, action = kind.partition(": ")
    if between:
        return f"action: {action}"
    # A crash before a sleep cannot be told from one during it.
    return "clock: crash" if service == "clock" else f"{service}: {kind}"


def choose() -> dict[Setting, KindsBySeed]:
    """Return a small sample in which each kind that is wanted occurs, where a candidate has it."""
    logging.disable()
    missing = {target: wanted_kinds(target) for target in KINDS}
    chosen = dict[Setting, KindsBySeed]()
    for (target, store), seeds in CANDIDATES.items():
        kinds = {seed: kinds_of(run_seed(seed, store, target)) for seed in seeds}
        chosen[target, store] = dict(sorted(_cover(kinds, missing[target])))
    return chosen


def _cover(kinds: Mapping[int, set[str]], missing: set[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the seed with most of the missing kinds, and these; remove them; and so on."""
    while True:
        seed = max(kinds, key=lambda seed: (len(kinds[seed] & missing), -seed))
        found = kinds[seed] & missing
        if not found:
            return
        yield seed, sorted(found)
        missing -= found


if __name__ == "__main__":
    for (target, store), seeds in choose().items():
        sys.stdout.write(f'    ("{target}", "{store}"): {{\n')
        for seed, kinds in seeds.items():
            sys.stdout.write(f"        {seed}: {list(kinds)},\n")
        sys.stdout.write("    },\n")
