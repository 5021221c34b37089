"""What is said about a gate before a start: see power.py, which finds it out."""

from dataclasses import dataclass
from enum import StrEnum


class Lack(StrEnum):
    """Why a criterion cannot decide: it overlooks large faults, or a pass asks for more."""

    FAULTS = "faults"
    SAMPLES = "samples"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Found:
    """A fault, and the minutes of its step until it is rolled back for; None: never in the step."""

    effect: float
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why a criterion cannot decide within a bake, and what would help.

    needed: the fault that is overlooked, or the samples or requests that are lacking.
    bake: minutes that would do. per_minute: requests in all that would. probes: as many more on
    the canary. None where that does not help, or nobody knows how much.
    held: the gate decides later, while it holds after the bake.
    """

    what: Lack
    needed: float
    bake: int | None
    per_minute: float | None
    probes: float | None
    held: bool


@dataclass(frozen=True, slots=True)
class Power:
    """What one criterion can decide in one step; None where there is no such thing.

    samples: by the end of the bake; least: that a pass asks for, after so many minutes of the bake.
    found: the faults that are asked for by name; smallest: the one that is found within the bake.
    proof: requests without a failure that prove the rate, and requests a minute, of both paths,
    in which the bake has them.
    window: requests in a window, where windows are compared; telling: with fewer, one failure is a
    breach.
    """

    criterion: str
    samples: float
    least: int
    least_after: float
    found: tuple[Found, ...] = ()
    smallest: float | None = None
    proof: float | None = None
    proof_per_minute: float | None = None
    window: float | None = None
    telling: float | None = None
    lacking: tuple[Lacking, ...] = ()


@dataclass(frozen=True, slots=True)
class StepPower:
    """What the gate of a step can decide; requests of its bake, on the canary and beside it."""

    step: int
    requests: float
    control: float
    criteria: tuple[Power, ...]
