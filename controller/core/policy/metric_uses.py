"""The metrics that a criterion names: which fields of its model name one, and what for.

A kind marks such a field by its type. From the marks follow what is read, whose requests a metric
counts, what a rehearsal publishes, and which metrics an invalid criterion of a file would use.

Whose requests a metric counts, those of the canary, of the stable path, or of both, a policy says
with `counts`. It follows from the use of a metric where it does not. What a metric of the target or
of the application's flag counts is known, whatever a policy says.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field

from controller.core.policy.aws_metrics import FLAG
from controller.core.policy.field_types import Model, Name, at_least_one
from controller.core.policy.metric import PLACEHOLDER, CountedPath, Metric
from controller.core.policy.targets import TargetSpec
from controller.immutable import Immutable

Purpose: TypeAlias = Literal["judged", "compared", "frozen"]
# What a metric measures, where the field that names it tells.
Measures: TypeAlias = Literal["requests", "failures", "successes", "latency"]
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
    measures: Measures | Literal[""] = ""

    @property
    def is_count(self) -> bool:
        """True where such a metric counts requests, or some of them."""
        return self.measures not in ("latency", "")

    @property
    def shows_failures(self) -> bool:
        """True where a canary that fails its requests may change such a metric."""
        return self.measures in ("failures", "successes", "latency", "")


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
