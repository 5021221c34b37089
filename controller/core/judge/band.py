"""How many of a number of requests a share of them may be, by chance alone."""

from bisect import bisect_right

from controller.core.sequential.rate import at_most


def band(trials: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the fewest and the most of `trials` that a `share` in [0, 1] leaves likely.

    Each of the two tails outside has a probability of at most (1 - confidence) / 2: the exact
    equal-tailed region of the binomial test (Clopper and Pearson, Biometrika 26, 1934), for
    requests that are drawn independently. Without trials it is (0, 0): nothing is unlikely.
    confidence: above 0 and below 1, for one look.
    """
    tail = (1 - confidence) / 2
    return _fewest(trials, share, tail), trials - _fewest(trials, 1 - share, tail)


def _fewest(trials: int, share: float, tail: float) -> int:
    """Return the smallest number below which at most `tail` of the probability lies."""

    def up_to(number: int) -> float:
        return at_most(number, trials, share)

    return bisect_right(range(trials), tail, key=up_to)
