"""Counts of requests, on the canary and on its control."""

from controller.core.units import Amount, Real
from controller.immutable import Immutable


class Counts(Immutable, gc=False):
    """What some time shows of a criterion: a window, a step, a regression. Counts add up with `+`.

    samples: requests or datapoints. amount: what is summed over them: failures, slow requests, or
    value times samples. fail_amount: of the amount, what counts even where a baseline may have
    drifted meanwhile. hung: requests that took several times as long as a baseline.
    control_samples, control_amount, control_hung: the same for the control.
    """

    samples: Amount = 0.0
    amount: Real = 0.0
    control_samples: Amount = 0.0
    control_amount: Real = 0.0
    fail_amount: Real = 0.0
    hung: Real = 0.0
    control_hung: Real = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both times."""
        return Counts(
            self.samples + other.samples,
            self.amount + other.amount,
            self.control_samples + other.control_samples,
            self.control_amount + other.control_amount,
            self.fail_amount + other.fail_amount,
            self.hung + other.hung,
            self.control_hung + other.control_hung,
        )
