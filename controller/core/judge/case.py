"""What the sequential judge concludes from, beside the tally of the step."""

from dataclasses import dataclass

from controller.core.judge.bets import criterion_of
from controller.core.judge.minutes import Blamed
from controller.core.judge.slow import Limits
from controller.core.measured import Tally
from controller.core.sequential.trial import Fold


@dataclass(frozen=True, slots=True)
class Case:
    """What the whole rollout says about one criterion.

    fold: over all closed minutes. budget: of false rollbacks. blamed: the minutes that a failing
    criterion fails for; None where they are sealed, or it does not fail.
    limits: what slow means; None where the criterion does not count slow requests.
    usual: the share of slow requests that is allowed; statistic: of its metric, like p95.
    """

    fold: Fold
    budget: float
    blamed: Blamed | None = None
    limits: Limits | None = None
    usual: float = 0.0
    statistic: str = ""

    def against(self, name: str) -> bool:
        """Tell whether criterion `name` carried the evidence to its limit."""
        return self.fold.rejects(self.budget) and criterion_of(self.fold.carried) == name

    def fewest(self, tally: Tally) -> float:
        """Return the requests of the step, on the path that has fewer where two are compared."""
        beside = self.limits is not None and self.limits.beside
        return min(tally.samples, tally.control_samples) if beside else tally.samples
