"""The metrics that a criterion names: which fields of its model name one, and what for.

A kind marks such a field by its type. From the marks follow what is read, whose requests a metric
counts, what a rehearsal publishes, and which metrics an invalid criterion of a file would use.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field

from controller.core.policy.field_types import Model, Name, at_least_one
from controller.immutable import Immutable

Purpose: TypeAlias = Literal["judged", "compared", "frozen"]
# A place inside a criterion.
Place: TypeAlias = tuple[str | int, ...]


class MetricUse(Immutable):
    """Marks a field that names a metric, or several, with what the criterion reads there.

    purpose: judged: the criterion judges it. compared: the canary is compared with it, minute by
    minute. frozen: a baseline is read from it before the start. On a field that holds a model, it
    is the purpose of every metric in there.
    measures: what such a metric counts, or `latency`; empty: the field does not tell.
    """

    purpose: Purpose = "judged"
    measures: Literal["requests", "failures", "successes", "latency", ""] = ""

    @property
    def is_count(self) -> bool:
        """True where such a metric counts requests, or some of them."""
        return self.measures in ("requests", "failures", "successes")


MetricName: TypeAlias = Annotated[Name, MetricUse()]
RequestsMetric: TypeAlias = Annotated[Name, MetricUse(measures="requests")]
StableRequestsMetric: TypeAlias = Annotated[Name, MetricUse("compared", "requests")]
StableLatencyMetric: TypeAlias = Annotated[Name, MetricUse("compared", "latency")]
FrozenLatencyMetric: TypeAlias = Annotated[Name, MetricUse("frozen", "latency")]
_Names: TypeAlias = Annotated[
    tuple[Name, ...], Field(json_schema_extra={"minItems": 1}), at_least_one("metric", hint="")
]
FailureMetrics: TypeAlias = Annotated[_Names, MetricUse(measures="failures")]
SuccessMetrics: TypeAlias = Annotated[_Names, MetricUse(measures="successes")]


class Reference(NamedTuple):
    """A metric's name, its place inside the criterion, and what it is read for."""

    place: Place
    metric: str
    use: MetricUse


def references_in(model: type[Model], value: Mapping[str, Any]) -> Iterator[Reference]:
    """Yield every metric that the fields of `model` name in `value`, which may be invalid."""
    for field, (use, inner) in _metric_fields(model).items():
        part = value.get(field)
        if inner:
            for place, metric, own in _references_inside(inner, part):
                purpose = own.purpose if use.purpose == "judged" else use.purpose
                yield Reference((field, *place), metric, MetricUse(purpose, own.measures))
        elif isinstance(part, str):
            yield Reference((field,), part, use)
        elif isinstance(part, list | tuple):
            named = ((index, name) for index, name in enumerate(part) if isinstance(name, str))
            yield from (Reference((field, index), name, use) for index, name in named)


def _references_inside(models: list[type[Model]], part: object) -> Iterator[Reference]:
    """Yield the metrics of a field that holds one of `models`, or raw text for one."""
    if isinstance(part, Model):
        yield from references_in(type(part), part.__dict__)
    elif isinstance(part, Mapping):
        for model in models:
            yield from references_in(model, part)


@cache
def _metric_fields(model: type[Model]) -> Mapping[str, tuple[MetricUse, list[type[Model]]]]:
    """Return the fields of `model` that name metrics, each with its use and the models in it."""
    fields = {}
    for name, field in model.model_fields.items():
        parts = [*_parts(field.annotation), *field.metadata]
        uses = [part for part in parts if isinstance(part, MetricUse)]
        models = [part for part in parts if isinstance(part, type) and _metric_fields(part)]
        if uses or models:
            fields[name] = (uses[0] if uses else MetricUse(), models)
    return fields


def _parts(annotation: object) -> Iterator[MetricUse | type[Model]]:
    """Yield the marks and the models in an annotation, however deep they are."""
    if isinstance(annotation, MetricUse):
        yield annotation
        return
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
