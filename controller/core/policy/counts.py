"""Whose requests a metric counts: those of the canary, of the stable path, or of both.

A policy says it with `counts`, and it follows from the use of a metric where it does not. What a
metric of the target or of the application's flag counts is known, whatever a policy says.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from controller.core.policy.aws_metrics import FLAG
from controller.core.policy.metric import PLACEHOLDER, CountedPath, Metric
from controller.core.policy.metric_uses import Purpose, Reference
from controller.core.policy.targets import TargetSpec
from controller.immutable import Immutable

# The paths by name: in the dimension Path of the flag's metrics, and as ${canary} and ${stable}.
_PATHS: Final[Mapping[str, CountedPath]] = {"canary": "canary", "stable": "stable"}


class Uses(Immutable):
    """The criteria that use one metric, each for one purpose.

    judged: it is what they judge. compared: they compare the canary with it, minute by minute.
    frozen: they read a baseline from it before the start.
    """

    judged: tuple[str, ...]
    compared: tuple[str, ...]
    frozen: tuple[str, ...]

    @classmethod
    def of(
        cls,
        metric: Metric,
        metrics: Mapping[str, Metric | None],
        references: Mapping[str, Iterable[Reference]],
    ) -> "Uses":
        """Return the uses of `metric`, under any name.

        metrics: all of the policy, by name; None for one that is invalid. references: those of each
        criterion, by id.
        """
        uses: dict[Purpose, list[str]] = {"judged": [], "compared": [], "frozen": []}
        names = {name for name, one in metrics.items() if one and one.is_same_series(metric)}
        for name, named in references.items():
            for one in named:
                if one.metric in names:
                    uses[one.use.purpose].append(name)
        return cls(**{purpose: tuple(names) for purpose, names in uses.items()})

    @property
    def inferred(self) -> CountedPath:
        """Whose requests the metric counts, by its uses alone."""
        if self.judged:
            return "both" if self.frozen else "canary"
        return "stable" if self.compared or self.frozen else "canary"


def known_counts(target: TargetSpec | None, metric: Metric) -> CountedPath | None:
    """Return whose requests `metric` counts by its dimensions; None where that is not known."""
    if metric.namespace == FLAG:
        return _PATHS.get(metric.dimensions.get("Path", ""))
    known = None if target is None else target.requests_counted_by(metric)
    if known is not None:
        return known
    values = " ".join(metric.dimensions.values())
    paths = {_PATHS[name] for name in PLACEHOLDER.findall(values) if name in _PATHS}
    return paths.pop() if len(paths) == 1 else None


def counts_of(metric: Metric, known: CountedPath | None, uses: Uses) -> CountedPath:
    """Return whose requests `metric` counts, as the policy has it.

    That is what it states; else what is known of a single path; else what follows from its uses. A
    metric that is known to count both paths has to be stated as such, so it is not inferred.
    """
    if metric.counts is not None:
        return metric.counts
    return known if known in ("canary", "stable") else uses.inferred
