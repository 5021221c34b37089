"""The valid parts of a policy file that has mistakes, and what its other parts say for certain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.core.policy.criteria import CRITERIA
from controller.core.policy.judge_settings import Criterion
from controller.core.policy.kind_registry import KindError
from controller.core.policy.metric import Metric
from controller.core.policy.metric_uses import Reference, references_in
from controller.core.policy.model import Step
from controller.core.policy.targets import TARGETS, Target, TargetSpec
from controller.core.policy.verify_rollback import VerifyRollback
from controller.immutable import Immutable

T = TypeVar("T")


class PartialPolicy(Immutable):
    """The valid parts of a document, and its raw items as they are written.

    An item is None where it has a mistake of its own; a section is, where the whole section has.
    target: `of_target` reads it. target_is_valid: False where it has only the valid fields.
    valid_metrics, valid_criteria: those without one; empty where the section has.
    references: the metrics that each criterion names, with their places, of an invalid one as well.
    gates: of each step its criteria by id, None for one that is unknown or invalid.
    weights: of each step as it is written; None where it is none.
    raw_criteria, raw_steps: the items as written.
    zone: that of the freeze, whatever else is wrong there; None where none is named.
    max_bad_requests: that of the policy as it is written; None where it has none.
    """

    target: TargetSpec | None
    target_is_valid: bool
    metrics: Mapping[str, Metric | None] | None
    valid_metrics: Mapping[str, Metric]
    criteria: Mapping[str, Criterion | None] | None
    valid_criteria: Mapping[str, Criterion]
    references: Mapping[str, Sequence[Reference]]
    steps: Sequence[Step | None] | None
    gates: Sequence[Mapping[str, Criterion | None]]
    weights: Sequence[int | None]
    raw_criteria: Mapping[str, object]
    raw_steps: Sequence[object]
    zone: str | None
    verify: VerifyRollback | None
    max_bad_requests: object

    def of_target(self, read: Callable[[TargetSpec], T], unknown: T) -> T:
        """Return what `read` finds in the target; `unknown` where that needs an invalid field."""
        if self.target is None:
            return unknown
        if self.target_is_valid:
            return read(self.target)
        try:
            return read(self.target)
        except Exception:  # noqa: BLE001 - a target without some of its fields may raise anything
            return unknown


def parse_partial(data: Mapping[Any, Any]) -> PartialPolicy:
    """Return the valid parts of `data`."""
    raw_criteria = _items(data.get("criteria"))
    raw_steps = data.get("steps") if isinstance(data.get("steps"), list) else None
    zone = _written(data.get("freeze"), "zone")
    metrics = _valid_items(Metric, _items(data.get("metrics")))
    criteria = _valid_items(Annotated[Criterion, CRITERIA], raw_criteria)
    valid_criteria = {
        name: criterion for name, criterion in (criteria or {}).items() if criterion is not None
    }
    steps = None if raw_steps is None else [_valid_or_none(Step, step) for step in raw_steps]
    weights = [_written(step, "weight") for step in raw_steps or ()]
    target = _valid_or_none(Target, data.get("target"))
    return PartialPolicy(
        target=target or _partial_target(data.get("target")),
        target_is_valid=target is not None,
        metrics=metrics,
        valid_metrics={
            name: metric for name, metric in (metrics or {}).items() if metric is not None
        },
        criteria=criteria,
        valid_criteria=valid_criteria,
        references={
            name: list(_references(valid_criteria.get(name), raw))
            for name, raw in (raw_criteria or {}).items()
        },
        steps=steps,
        gates=[_gate(step, criteria or {}) for step in steps or ()],
        weights=[weight if type(weight) is int else None for weight in weights],
        raw_criteria=raw_criteria or {},
        raw_steps=raw_steps or (),
        zone=zone if isinstance(zone, str) else None,
        verify=_valid_or_none(VerifyRollback, data.get("verify_rollback")),
        max_bad_requests=data.get("max_bad_requests"),
    )


def _partial_target(raw: object) -> TargetSpec | None:
    """Return a target with the valid fields of `raw` alone; None where its kind is not known.

    A field with a mistake has its default. One that is required is absent, so that reading it
    raises AttributeError.
    """
    if not isinstance(raw, Mapping):
        return None
    try:
        model = TARGETS.model_of(raw)
    except KindError:
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        places = [one["loc"] for one in error.errors(include_url=False, include_input=False)]
        fields = {name: one for name, one in model.model_fields.items() if name in raw}
        if not all(places):  # a mistake of several fields: only those without a default are kept
            fields = {name: one for name, one in fields.items() if one.is_required()}
        wrong = {place[0] for place in places if place}
        return model.model_construct(**{name: raw[name] for name in fields.keys() - wrong})


def _items(section: object) -> dict[str, object] | None:
    if not isinstance(section, Mapping):
        return None
    return {name: value for name, value in section.items() if isinstance(name, str)}


def _written(part: object, field: str) -> object:
    return part.get(field) if isinstance(part, Mapping) else None


def _valid_items(kind: Any, items: Mapping[str, object] | None) -> dict[str, Any] | None:
    if items is None:
        return None
    return {name: _valid_or_none(kind, value) for name, value in items.items()}


def _valid_or_none(kind: Any, value: object) -> Any:
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError:
        return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of one part."""
    return TypeAdapter(kind)


def _gate(
    step: Step | None, criteria: Mapping[str, Criterion | None]
) -> Mapping[str, Criterion | None]:
    if step is None or step.criteria is None:
        return {} if step is None else criteria
    return {name: criteria.get(name) for name in step.criteria}


def _references(valid: Criterion | None, raw: object) -> Iterator[Reference]:
    """Yield the metrics that a criterion names, with their places, of an invalid one as well."""
    if valid is not None:
        yield from valid.references
    elif isinstance(raw, Mapping):
        try:
            model = CRITERIA.model_of(raw)
        except KindError:
            return  # which of its fields name metrics is not known
        yield from references_in(model, raw)
