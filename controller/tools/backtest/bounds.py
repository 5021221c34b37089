"""The bounds under which a policy would have rolled back no more starts than asked for."""

from collections.abc import Sequence
from typing import Any, Final

from controller.core.policy import Criterion, Policy
from controller.core.policy.comparison import Ratio
from controller.immutable import Immutable, replace
from controller.ports.json_view import Count
from controller.tools.backtest.outcome import Outcome
from controller.tools.backtest.play import BacktestSetup
from controller.tools.backtest.run import play_starts

# How much wider a bound is tried to be: its allowance times these.
_FACTORS: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
# Starts that were rolled back and are tried again with each bound; more take minutes.
_MAX_TRIED: Final = 120


class BoundChange(Immutable):
    """One bound as it is, and as it would have held."""

    criterion: str
    """Id of the criterion."""
    field: str
    """Key of the bound in the policy, such as min."""
    before: float | str
    """The bound as the policy has it."""
    after: float | str
    """The bound that would have held."""


class Suggestion(Immutable):
    """Bounds with which no more starts would have been rolled back than asked for."""

    changes: Sequence[BoundChange]
    """What changes in the policy."""
    rolled_back_rate: float
    """The share of all starts that would have been rolled back, estimated."""
    tried: Count
    """Rolled back starts that were played again with these bounds."""


def wider_bounds(setup: BacktestSetup, outcome: Outcome, max_rate: float) -> Suggestion | None:
    """Return bounds with which at most `max_rate` of the starts would be rolled back.

    The criterion that rolled back most is widened first. A start that was not rolled back is taken
    not to be with a wider bound. None where no bound holds.
    """
    back = [run.start for run in outcome.runs if run.ending == "rolled_back"]
    tried = back[:: -(-len(back) // _MAX_TRIED)]
    allowed = max_rate * len(outcome.runs) / len(back)
    policy, found = setup.subject.policy, outcome
    for _ in policy.criteria:
        name = next(
            (cause for cause in found.causes() if cause not in _changed(setup, policy)), None
        )
        if name is None:
            return None
        for factor in _FACTORS:
            wider = widened(setup.subject.policy.criteria[name], factor)
            if wider is None:
                break
            criteria = {**policy.criteria, name: wider}
            policy = policy.model_copy(update={"criteria": criteria})
            found = _played(setup, policy, tried)
            if found.rolled_back_rate <= allowed:
                rate = found.rolled_back_rate * len(back) / len(outcome.runs)
                return Suggestion(_changes(setup.subject.policy, policy), rate, len(tried))
            if found.causes().get(name, 0) <= allowed * len(tried):
                break  # the rest has other causes
    return None


def widened(criterion: Criterion, factor: float) -> Criterion | None:
    """Return `criterion` with an allowance `factor` times as wide; None where it has none."""
    one = next(iter(criterion.comparisons), None)
    if one is None or not one.field:
        return None
    bound = getattr(criterion, one.field)
    if isinstance(one.measured, Ratio) and one.measured.judges_failures:
        failures = (1 - bound) * factor
        return _copy(criterion, one.field, 1 - failures) if 0 < failures < 1 else None
    if not one.is_maximum:
        return _copy(criterion, one.field, bound / factor) if bound > 0 else None
    wider = bound * factor
    if isinstance(one.measured, Ratio):
        wider = min(wider, 1.0)
    return _copy(criterion, one.field, wider) if wider > bound else None


def _copy(criterion: Criterion, name: str, value: float) -> Criterion:
    return criterion.model_copy(
        update={name: float(f"{value:.4g}") if value < 0.9 else round(value, 6)}
    )


def _changed(setup: BacktestSetup, policy: Policy) -> set[str]:
    before = setup.subject.policy.criteria
    return {name for name, criterion in policy.criteria.items() if criterion != before[name]}


def _played(setup: BacktestSetup, policy: Policy, starts: Sequence[int]) -> Outcome:
    subject = replace(setup.subject, policy=policy)
    return play_starts(replace(setup, subject=subject), starts, lambda *_: None)


def _changes(before: Policy, after: Policy) -> list[BoundChange]:
    changes: list[BoundChange] = []
    for name, criterion in after.criteria.items():
        old: dict[str, Any] = before.criteria[name].model_dump(mode="json")
        new: dict[str, Any] = criterion.model_dump(mode="json")
        changes += [
            BoundChange(name, key, _bound(old[key]), _bound(value))
            for key, value in new.items()
            if value != old[key]
        ]
    return changes


def _bound(value: object) -> float | str:
    return value if isinstance(value, int | float) else str(value)
