"""What was measured of a rollout and is kept with it: its baselines, the evidence of its step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrozenValue:
    """A baseline read before the start: its value, samples, and window in unix seconds.

    share: of its requests that were slower than the value, at least what its percentile leaves
        above it; None where nobody needs it.
    dispersion: how many times more that share varied between blocks than chance explains.
    """

    value: float
    samples: float
    start: int
    end: int
    share: float | None = None
    dispersion: float = 1.0


@dataclass(frozen=True, slots=True)
class Signature:
    """What a person has said of a criterion: yes, or no. at: unix seconds."""

    by: str
    at: int
    note: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of whole minutes in which one step's weight was in force, in unix seconds.

    judged_from: end of its warm-up. end: 0 while it lasts.
    """

    step: int
    begin: int
    judged_from: int
    end: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Breaching windows with none within the bound between them; silence may lie between.

    length: how many; start, end: from the first to the last, unix seconds; value: of the last.
    """

    length: int = 0
    start: int = 0
    end: int = 0
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """The fold of one criterion over closed windows of a step.

    through: end of the last folded window, unix seconds; 0 before the first.
    windows, empty, unknown: windows with data, without, and with data that make no sense together.
    lost: windows that were given up, because their queries were never answered.
    samples, amount: requests seen, and what is summed over them (failures, latency x samples, ...).
    control_samples, control_amount: the same for the concurrent control.
    run, worst: the run of breaches that goes on now, and the longest of the step.
    last, last_end, last_breach: newest window with data: value, end, whether it breached.
    tail_empty, tail_unfit: the newest closed window had no data, or data that make no sense.
    recent: requests and failures of the newest windows, where a criterion looks back over them.
    """

    through: int = 0
    windows: int = 0
    empty: int = 0
    unknown: int = 0
    lost: int = 0
    samples: float = 0.0
    amount: float = 0.0
    control_samples: float = 0.0
    control_amount: float = 0.0
    run: Run = Run()
    worst: Run = Run()
    last: float | None = None
    last_end: int = 0
    last_breach: bool = False
    tail_empty: bool = True
    tail_unfit: bool = False
    recent: tuple[tuple[float, float], ...] = ()
