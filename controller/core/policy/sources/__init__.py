"""Where a metric is read, when that is not CloudWatch. One module for each kind of source.

A policy names a source by the key of its address: `source: {prometheus: https://...}`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import Field

from controller.core.policy.field_types import AwsLocation, Model
from controller.core.policy.kind_registry import MissingKind, Registry
from controller.core.policy.notify import SecretReference


class SourceSpec(Model):
    """A source of metrics beside CloudWatch.

    kind: the key of its address in a policy, a field of the model.
    opened_by: the path `module:function` of the function that returns the adapter, a `MetricSource`
        (ports/metrics.py); it takes the source and the `Account` (ports/account.py).
    counts_above: whether it counts the requests above a limit (`TC(400:)`); else a criterion on a
        latency takes `exceedance: percentiles`.
    """

    kind: ClassVar[str]
    opened_by: ClassVar[str] = ""
    counts_above: ClassVar[bool] = True

    @property
    def host(self) -> str:
        """The host that answers, and that gets the secret."""
        return ""

    @property
    def display_name(self) -> str:
        """The kind and the host."""
        return f"{self.kind} {self.host}".rstrip()

    @property
    def secret_reference(self) -> SecretReference | None:
        """The secret that is read for each answer; None without one."""
        return None

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARNs for the names in braces in the permissions of its adapter."""
        return {}

    def counts_requests(self, name: str) -> bool:
        """Tell whether the metric `name` may be a number of requests, or have a value of each."""
        return True

    def metric_problems(
        self, name: str, statistic: str, dimensions: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield each field of a metric that the source has no answer for, and what to do."""
        yield from ()


class MissingSource(SourceSpec, MissingKind):
    """A stored source whose kind has no usable model here: none of its metrics are read."""

    kind: ClassVar[str] = "missing"


class _SourceRegistry(Registry[SourceSpec]):
    """The kinds of sources: the one of a value is the key that names a kind."""

    key = ""

    def kind_of(self, value: Mapping[Any, Any]) -> str | None:
        names = self.names()
        keys = [key for key in value if isinstance(key, str)]
        return next((key for key in keys if key in names), next(iter(keys), None))


SOURCES: Final = _SourceRegistry(
    "source",
    "rolloutctl.sources",
    {"prometheus": "controller.core.policy.sources.prometheus:PrometheusSource"},
    SourceSpec,
    MissingSource,
)

Source: TypeAlias = Annotated[
    SourceSpec,
    SOURCES,
    Field(description="Where the metric is read; CloudWatch when left out."),
]
