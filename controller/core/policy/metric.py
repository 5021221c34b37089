"""A metric that a policy names, and where the requests of a target are counted."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticKnownError

from controller.core.policy.field_types import Form, Model
from controller.core.policy.sources import Source
from controller.immutable import Immutable, field

STATISTIC_PATTERN = r"^(Sum|Average|Minimum|Maximum|SampleCount|p([0-9]{1,2}(\.[0-9]{1,2})?|100))$"

# A value that the target of the policy has, like ${canary}.
PLACEHOLDER: Final = re.compile(r"\$\{([^{}]*)\}")

AwsName: TypeAlias = Annotated[str, Field(min_length=1, max_length=255)]
CountedPath: TypeAlias = Literal["canary", "stable", "both"]


class Metric(Model):
    """One metric with one statistic, of CloudWatch or of another source."""

    example: ClassVar[str] = (
        "{namespace: AWS/ApiGateway, name: Count, statistic: Sum, dimensions: {ApiName: checkout}}"
    )

    source: Source | None = Field(
        default=None,
        examples=[{"prometheus": "https://prometheus.example.com"}],
        description="Where it is read, when that is not CloudWatch.",
    )
    namespace: AwsName = Field(
        default="",
        validate_default=True,
        description="CloudWatch namespace, like AWS/ApiGateway. Other sources have none.",
    )
    name: AwsName = Field(description="Name of the metric, like Latency.")
    statistic: Annotated[
        str,
        Field(pattern=STATISTIC_PATTERN),
        Form("Sum, Average, Minimum, Maximum, SampleCount or a percentile like p95"),
    ] = Field(description="Sum, Average, Minimum, Maximum, SampleCount, or a percentile like p95.")
    dimensions: dict[AwsName, Annotated[str, Field(min_length=1, max_length=1_024)]] = Field(
        default_factory=dict,
        max_length=30,
        description="Exactly the dimensions of the metric, because CloudWatch matches no subset; "
        "the labels of another source.",
    )
    unit: Annotated[str, Field(max_length=20)] = Field(
        default="",
        examples=["ms"],
        description="Unit shown in sentences, like ms. Never sent to CloudWatch.",
    )
    missing: Literal["unknown", "zero"] = Field(
        default="unknown",
        description="What an absent datapoint means while others have data. `zero` is for metrics "
        "that are published only when something happens.",
    )
    counts: CountedPath | None = Field(
        default=None,
        description="Whose requests it counts. When left out: stable where criteria only compare "
        "with it, canary elsewhere.",
    )

    @field_validator("namespace", mode="wrap")
    @classmethod
    def _check_namespace(
        cls, value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        if info.data.get("source", True) is not None:  # a mistake in it is one mistake
            if value:
                raise ValueError("only CloudWatch has namespaces: leave it out beside `source`")
            return ""
        if value == "":
            raise PydanticKnownError("missing")
        return check(value)

    def is_same_series(self, other: "Metric") -> bool:
        """Tell whether both are the same metric of a source, of which each takes a statistic."""
        return (
            self.name == other.name
            and self.namespace == other.namespace
            and self.dimensions == other.dimensions
            and self.source == other.source
        )

    @property
    def place(self) -> str:
        """Where it is, for people: its namespace in CloudWatch, or its source."""
        return self.namespace if self.source is None else self.source.display_name

    def resolved(self, values: Mapping[str, str]) -> "Metric":
        """Return the metric with `values` for `${name}` in its dimensions."""
        dimensions = {
            name: PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
            for name, value in self.dimensions.items()
        }
        return self.model_copy(update={"dimensions": dimensions})

    @property
    def is_count(self) -> bool:
        """True for a statistic that adds up over time, and over a period only grows."""
        return self.statistic in ("Sum", "SampleCount")

    @property
    def percentile(self) -> float | None:
        """The share of values that the statistic leaves below, like 0.95; None for another kind."""
        return float(self.statistic[1:]) / 100 if self.statistic.startswith("p") else None

    @property
    def has_slow_requests(self) -> bool:
        """True for a percentile that leaves a share of values above it, at most half of them."""
        return self.percentile is not None and 0.5 <= self.percentile < 1


class RequestMetrics(NamedTuple):
    """The metrics of one service that count requests.

    kind: how `init --metrics` calls it. requests, failures, client_errors, latency: names of
    metrics; an empty one does not exist. dimensions: exactly those of a metric. named_by: those
    that tell one resource from another. unit: of the latency. zero: whether failures are published
    only when there are any. both: whether it counts every request, on whatever path. paths: how it
    counts each path by itself, in a sentence; empty: it does not.
    successes: what counts the answers that are no failures, by a name for it, where failures are
    not all that fails.
    refused: what counts requests, on any path, that failures do not count, with refused_by as its
    dimensions and refused_text as its meaning; empty: there is no such count.
    """

    kind: str
    title: str
    namespace: str
    requests: str
    failures: str
    client_errors: str
    latency: str
    dimensions: tuple[str, ...]
    named_by: tuple[str, ...] = ()
    unit: str = "ms"
    zero: bool = False
    both: bool = False
    paths: str = ""
    successes: tuple[tuple[str, str], ...] = ()
    refused: str = ""
    refused_by: tuple[str, ...] = ()
    refused_text: str = ""


class RequestSource(Immutable):
    """One place that counts requests.

    dimensions: of the canary, where each path is counted by itself. stable: of the stable path;
    empty: it is not counted by itself. whole: of both paths together, where the metrics of the
    canary end at 100%; empty: they go on.
    """

    metrics: RequestMetrics
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stable: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """What `--resource` calls it: the values of its dimensions; empty for an unnamed one."""
        named_by = self.metrics.named_by
        return ",".join(self.dimensions[one] for one in named_by if one in self.dimensions)

    @property
    def title(self) -> str:
        """The source for people: `API Gateway (REST) checkout`."""
        return f"{self.metrics.title} {self.resource}".rstrip()

    def ends_at_100(self, metric: Metric) -> bool:
        """Tell whether `metric` counts one path, and is counted below 100% only."""
        return (
            bool(self.whole)
            and metric.namespace == self.metrics.namespace
            and metric.dimensions.keys() == self.dimensions.keys()
            and metric.dimensions.items() >= self.whole.items()
        )

    @property
    def refusing(self) -> Mapping[str, str]:
        """The dimensions of what counts refused requests."""
        return {name: self.dimensions[name] for name in self.metrics.refused_by}

    def count(self, name: str, dimensions: Mapping[str, str] | None = None) -> Metric:
        """Return the metric `name` as a count; dimensions: of a path, by default the canary."""
        return Metric(
            namespace=self.metrics.namespace,
            name=name,
            statistic="Sum",
            dimensions=dict(self.dimensions if dimensions is None else dimensions),
        )
