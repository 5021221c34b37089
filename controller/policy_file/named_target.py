"""A target from names on the command line."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import ValidationError

from controller.core.policy.targets import TargetSpec
from controller.errors import UsageError
from controller.policy_file.shape import field_message

VERSION: Final = "version"  # names the canary of a target that has versions; no field of a model

T = TypeVar("T", bound=TargetSpec)


def named_target(model: type[T], names: Mapping[str, str]) -> T:
    """Return the target of the kind of `model` that `names` name, by field.

    Raises UsageError with every option that is missing or wrong.
    """
    target, problems = _read(model, names)
    if target is None:
        raise UsageError("; ".join(problems.values()))
    return target


def check_names(model: type[TargetSpec], names: Mapping[str, str]) -> None:
    """Raise UsageError for a name that is wrong; a name that is missing is no mistake."""
    _, problems = _read(model, names)
    if given := [text for name, text in problems.items() if name in names]:
        raise UsageError("; ".join(given))


def _read(model: type[T], names: Mapping[str, str]) -> tuple[T | None, dict[str, str]]:
    """Return the target, or what is wrong by the name of the option."""
    fields: dict[str, Any] = {name: value for name, value in names.items() if name != VERSION}
    (fields["kind"],) = get_args(model.model_fields["kind"].annotation)
    try:
        target = model.model_validate(fields)
    except ValidationError as error:
        problems = dict[str, str]()
        for item in error.errors(include_url=False):
            name = str(next(iter(item["loc"]), ""))  # empty: about several of them
            problems[name] = f"--{name}: {field_message(model, item)}" if name else item["msg"]
        return None, problems
    try:
        return (target.with_version(names[VERSION]) if VERSION in names else target), {}
    except ValueError as error:
        return None, {VERSION: f"--{VERSION}: {error}"}
