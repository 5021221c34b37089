"""The valid parts of a policy file that has mistakes, and the raw items of the rest."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from controller.core.policy.criteria import CRITERIA
from controller.core.policy.judge_settings import Criterion, Reference
from controller.core.policy.kinds import KindError
from controller.core.policy.metric import Metric
from controller.core.policy.model import Step
from controller.core.policy.targets import Target, TargetSpec
from controller.core.policy.verify_rollback import VerifyRollback
from controller.immutable import Immutable


class PartialPolicy(Immutable):
    """The valid parts of a document, and its raw items as they are written.

    An item is None where it has a mistake of its own; a section is, where the whole section has.
    raw_criteria, raw_steps: the items as written, so that the names and the weight of an invalid
        item can be checked.
    zone: that of the freeze, whatever else is wrong there; None where none is named.
    max_bad_requests: that of the policy as it is written; None where it has none.
    """

    target: TargetSpec | None
    metrics: Mapping[str, Metric | None] | None
    criteria: Mapping[str, Criterion | None] | None
    steps: Sequence[Step | None] | None
    raw_criteria: Mapping[str, object]
    raw_steps: Sequence[object]
    zone: str | None
    verify: VerifyRollback | None
    max_bad_requests: object = None

    def valid_criteria(self) -> Iterator[tuple[str, Criterion]]:
        """Yield the valid criteria with their ids."""
        for name, criterion in (self.criteria or {}).items():
            if criterion is not None:
                yield name, criterion


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of one part, built on demand: a valid policy needs none."""
    return TypeAdapter(kind)


def parse_partial(data: Mapping[Any, Any]) -> PartialPolicy:
    """Return the valid parts of `data`."""
    metrics, criteria = _items(data.get("metrics")), _items(data.get("criteria"))
    steps = data.get("steps") if isinstance(data.get("steps"), list) else None
    return PartialPolicy(
        target=_valid_or_none(Target, data.get("target")),
        metrics=_valid_items(Metric, metrics),
        criteria=_valid_items(Annotated[Criterion, CRITERIA], criteria),
        steps=None if steps is None else [_valid_or_none(Step, step) for step in steps],
        raw_criteria=criteria or {},
        raw_steps=steps or (),
        zone=_zone(data.get("freeze")),
        verify=_valid_or_none(VerifyRollback, data.get("verify_rollback")),
        max_bad_requests=data.get("max_bad_requests"),
    )


def _items(section: object) -> dict[str, object] | None:
    if not isinstance(section, Mapping):
        return None
    return {name: value for name, value in section.items() if isinstance(name, str)}


def _zone(freeze: object) -> str | None:
    zone = freeze.get("zone") if isinstance(freeze, Mapping) else None
    return zone if isinstance(zone, str) else None


def _valid_or_none(kind: Any, value: object) -> Any:
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError:
        return None


def _valid_items(kind: Any, items: Mapping[str, object] | None) -> dict[str, Any] | None:
    if items is None:
        return None
    return {name: _valid_or_none(kind, value) for name, value in items.items()}


def raw_references(criterion: object) -> Iterator[Reference]:
    """Yield the metrics that an invalid criterion names, with their places."""
    if not isinstance(criterion, Mapping) or not _names_metrics(criterion.get("kind")):
        return
    for field in ("total", "metric", "per", "control"):
        if isinstance(criterion.get(field), str):
            yield (field,), criterion[field]
    for place, name in raw_references(criterion.get("control")):
        yield ("control", *place), name
    for field in ("failures", "successes", "baseline"):
        inner = criterion.get(field)
        named = enumerate(inner) if isinstance(inner, list) else (_items(inner) or {}).items()
        for key, metric in named:
            if isinstance(metric, str) and (field != "baseline" or key in ("frozen", "concurrent")):
                yield (field, key), metric


def _names_metrics(kind: object) -> bool:
    """Tell whether criteria of `kind` name metrics: the fields of others hold events and alarms."""
    try:
        model = CRITERIA.model(kind) if isinstance(kind, str) else Criterion
    except KindError:
        return True
    return model is Criterion or model.references is not Criterion.references


def raw_weight(step: object) -> int | None:
    """Return the weight of a step that may be invalid; None without one."""
    weight = step.get("weight") if isinstance(step, Mapping) else None
    return weight if type(weight) is int else None
