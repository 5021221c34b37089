"""Read a policy from plain data and report every mistake at once, each with its place.

Two passes: the shape of each part (pydantic), then the parts against each other. The second pass
runs over whatever can be read of a bad file, so that one bad step hides no bad criterion.
"""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.core.policy.base import Model
from controller.core.policy.baseline import ConcurrentBaseline, FixedBaseline, FrozenBaseline
from controller.core.policy.check import wording
from controller.core.policy.check.crosscheck import crosscheck
from controller.core.policy.check.partial_policy import parse_partial
from controller.core.policy.check.printable import unprintable_texts
from controller.core.policy.check.problem import Place, Problem
from controller.core.policy.criteria import (
    Alarm,
    Attestation,
    BurnRate,
    BurnWindow,
    LatencyIncrease,
    LogEvents,
    Share,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.policy.freeze import DailyWindow, DateWindow, Freeze, WeeklyWindow
from controller.core.policy.hooks import Hooks, HttpsHook, LambdaHook
from controller.core.policy.judging import Control
from controller.core.policy.model import LambdaEnv, Metric, Policy, Step
from controller.core.policy.notify import (
    EventBridgeChannel,
    SecretReference,
    SlackChannel,
    SnsChannel,
)
from controller.core.policy.verify_rollback import VerifyRollback
from controller.core.units import quote_value


class PolicyProblems(Exception):  # noqa: N818 - many mistakes; the error people see is PolicyError
    """Everything that is wrong with a policy."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse(data: object) -> Policy:
    """Return the policy that `data` (mappings, sequences, scalars) describes.

    Raises PolicyProblems with every mistake of shape, of reference and of text that is no printable
    line.
    """
    policy: Policy | None = None
    problems: list[Problem] = []
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
    unprintable = list(unprintable_texts(data))
    known = {(one.place, one.at_key) for one in unprintable}
    problems = [*unprintable, *(one for one in problems if (one.place, one.at_key) not in known)]
    if isinstance(data, Mapping):
        bad_places = {one.place for one in problems}
        crosschecked = crosscheck(parse_partial(data))
        problems.extend(one for one in crosschecked if one.place not in bad_places)
    if policy is None or problems:
        raise PolicyProblems(tuple(problems))
    return policy


def _problem(item: ErrorDetails) -> Problem:
    place, owner = _document_place(item["loc"])
    what, kinds = _UNIONS.get(str(place[0]) if place else "", ("criterion", _CRITERION_KINDS))
    if item["type"] == "union_tag_not_found":
        return Problem((*place, "kind"), f"is required; one of {', '.join(kinds)}")
    if item["type"] == "union_tag_invalid":
        kind = item["input"]["kind"]
        hint = wording.suggestion(str(kind), kinds)
        message = f"no kind of {what} is called {quote_value(kind)}; {hint}"
        return Problem((*place, "kind"), message)
    if item["type"] == "extra_forbidden":
        return Problem(place, wording.message(item, _field_names(owner)), at_key=True)
    if place and place[-1] == _KEY_MARK:
        return Problem(place[:-1], wording.message(item), at_key=True)
    return Problem(place, wording.message(item))


# How pydantic marks that the key of a mapping is wrong, not its value.
_KEY_MARK = "[key]"

_CRITERION_KINDS: dict[str, type[Model]] = {
    "success_rate": SuccessRate,
    "latency_increase": LatencyIncrease,
    "threshold": Threshold,
    "traffic": Traffic,
    "share": Share,
    "burn_rate": BurnRate,
    "alarm": Alarm,
    "log_events": LogEvents,
    "attestation": Attestation,
}
_CHANNEL_KINDS: dict[str, type[Model]] = {
    "sns": SnsChannel,
    "slack": SlackChannel,
    "eventbridge": EventBridgeChannel,
}
_HOOK_KINDS: dict[str, type[Model]] = {"lambda": LambdaHook, "https": HttpsHook}
# The union whose kind is missing or unknown, by the section of the file; elsewhere, a criterion.
_UNIONS: dict[str, tuple[str, dict[str, type[Model]]]] = {
    "notify": ("channel", _CHANNEL_KINDS),
    "hooks": ("hook", _HOOK_KINDS),
}
_SECTIONS: dict[str, type[Model]] = {
    "target": LambdaEnv,
    "freeze": Freeze,
    "hooks": Hooks,
    "verify_rollback": VerifyRollback,
}
_BASELINES: dict[str, type[Model]] = {
    "fixed": FixedBaseline,
    "frozen": FrozenBaseline,
    "concurrent": ConcurrentBaseline,
}
_WINDOWS: dict[str, type[Model]] = {
    "weekly": WeeklyWindow,
    "daily": DailyWindow,
    "dates": DateWindow,
}


def _document_place(loc: Place) -> tuple[Place, type[Model]]:
    """Return the place in the document that `loc` means, and the model that holds it.

    Pydantic puts the kind of a criterion and of a baseline into its path; the document has no
    such level.
    """
    match loc:
        case ("criteria", name, str(kind), "baseline", str(tag), *rest) if kind in _CRITERION_KINDS:
            return ("criteria", name, "baseline", *rest), _BASELINES[tag]
        case ("criteria", name, str(kind), *rest) if kind in _CRITERION_KINDS:
            return ("criteria", name, *rest), _criterion_model(kind, rest)
        case ("notify", _, str(kind), *rest) if kind in _CHANNEL_KINDS:
            return (*loc[:2], *rest), _channel_or_hook_model(rest, _CHANNEL_KINDS[kind])
        case ("hooks", _, _, str(kind), *rest) if kind in _HOOK_KINDS:
            return (*loc[:3], *rest), _channel_or_hook_model(rest, _HOOK_KINDS[kind])
        case ("metrics" | "steps", _, _, *_):
            return loc, Metric if loc[0] == "metrics" else Step
        case ("freeze", str(kind), _, _, *_) if kind in _WINDOWS:
            return loc, _WINDOWS[kind]
        case _:
            return loc, _SECTIONS.get(str(loc[0]), Policy) if len(loc) > 1 else Policy


def _channel_or_hook_model(inside: Sequence[str | int], model: type[Model]) -> type[Model]:
    """Return the model that holds the last part of a place inside a channel or a hook."""
    return SecretReference if len(inside) > 1 and inside[0] in ("webhook", "secret") else model


def _criterion_model(kind: str, place: list[str | int]) -> type[Model]:
    """Return the model that holds the last part of `place` inside a criterion of this `kind`."""
    match kind, place:
        case "success_rate", ["control", _, *_]:
            return Control
        case "burn_rate", ["windows", _, _, *_]:
            return BurnWindow
        case _:
            return _CRITERION_KINDS[kind]


def _field_names(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
