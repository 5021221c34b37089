"""Failures in spells: each hour one bad minute, or one minute in ten.

A minute of a spell proves little by itself, because a burst looks the same. Its share of an hour
does: blocks of minutes are judged by the mean of their failure shares, which bursts raise as little
as the objective allows them to. A bet of the part f of the capital against the objective multiplies
it by 1 + f (x / allowed - 1) for a block with the failure share x, which is at most 1 on average
while the mean is at most `allowed`, whatever the distribution of x (Waudby-Smith and Ramdas 2024).
"""

from collections.abc import Sequence
from math import log
from typing import Final

from controller.core.units import Amount, Count
from controller.immutable import Immutable

# Parts of the capital that are bet on the next block.
_BETS: Final = (0.3, 0.95)


class MinuteBlock(Immutable):
    """The counts of a block of minutes that is not over. minutes: how many it has so far."""

    requests: Amount = 0.0
    failed: Amount = 0.0
    minutes: Count = 0

    def plus(self, other: "MinuteBlock") -> "MinuteBlock":
        """Return the block with the minutes of `other`, too."""
        return MinuteBlock(
            self.requests + other.requests,
            self.failed + other.failed,
            self.minutes + other.minutes,
        )


NO_BLOCK: Final = MinuteBlock()


def block_log_ratios(block: MinuteBlock, allowed: float) -> Sequence[float]:
    """Return the log e-value of each bet for a block that is over."""
    if not (allowed and block.requests):
        return (0.0,) * len(_BETS)
    excess = block.failed / block.requests / allowed - 1
    return [log(1 + bet * excess) for bet in _BETS]
