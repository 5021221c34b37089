"""A Prometheus server, or what answers its HTTP API: Thanos, Mimir, Amazon Managed Prometheus."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.notify import SecretField, SecretReference
from controller.core.policy.sources import SourceSpec

URL_PATTERN = r"^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[!-\"$->@-~]*)?$"
# A query, or a path of the API: of `/api/v1/query`, but no longer path like that of a proxy.
_SURPLUS: Final = re.compile(r"(/api/v1(/[a-z_]*)?/?)?(\?.*)?$", re.DOTALL)
_AMAZON: Final = re.compile(
    r"https://aps-workspaces(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"/workspaces/([A-Za-z0-9-]+)/?"
)
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The last part of a counter's name, by the conventions of Prometheus.
_COUNTERS: Final = ("_total", "_count")
_PERCENTILE: Final = "a percentile"

Type: TypeAlias = Literal["counter", "gauge", "histogram"]
_STATISTICS: Final[Mapping[Type, tuple[str, ...]]] = {
    "counter": ("Sum",),
    "gauge": ("Average", "Minimum", "Maximum"),
    "histogram": ("Average", "SampleCount", _PERCENTILE),
}


def _of_the_server(url: object) -> object:
    """Return `url`, which the pattern checks. Raises ValueError that says what to write for it."""
    if not isinstance(url, str):
        return url
    needed = _SURPLUS.sub("", re.sub("^http://", "https://", url), count=1)
    if needed == url or not re.search(URL_PATTERN, needed):
        return url
    if url.startswith("http://"):
        raise ValueError(f"HTTPS is needed: write {needed}")
    raise ValueError(f"leave the query and the path /api/v1 out: write {needed}")


class PrometheusSource(SourceSpec):
    """A server that answers `/api/v1/query`."""

    example: ClassVar[str] = '{prometheus: "https://prometheus.example.com"}'
    kind: ClassVar[str] = "prometheus"
    opened_by: ClassVar[str] = "controller.adapters.metrics.prometheus.source:open_source"

    prometheus: Annotated[
        str,
        Field(max_length=2_000, pattern=URL_PATTERN),
        Form("a URL like https://host:9090, without a user, a query and a fragment"),
        BeforeValidator(_of_the_server),
    ] = Field(
        description="URL of the server, by HTTPS, without /api/v1. Requests to a workspace of "
        "Amazon Managed Service for Prometheus are signed."
    )
    type: Type | None = Field(
        default=None,
        examples=["gauge"],
        description="What the metric is. When left out: a counter by a name that ends in _total or "
        "_count, else a histogram.",
    )
    token: SecretField | None = Field(
        default=None,
        description="Where the token is kept that the server asks for; a policy never contains it.",
    )
    user: Annotated[str, Field(min_length=1, max_length=200, pattern="^[^:]+$")] | None = Field(
        default=None,
        examples=["123456"],
        description="User of basic authentication, with the token as the password; a bearer token "
        "when left out.",
    )

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.user is not None and self.token is None:
            raise ValueError("`user` needs a `token`, which is its password")
        if self.workspace is not None and self.token is not None:
            raise ValueError(
                "requests to Amazon Managed Service for Prometheus are signed: leave `token` out"
            )
        return self

    @property
    def host(self) -> str:
        """The host of the URL, as it is written there."""
        return re.split("[/:]", self.prometheus.removeprefix("https://"))[0]

    @property
    def secret_reference(self) -> SecretReference | None:
        return self.token

    @property
    def workspace(self) -> tuple[str, str] | None:
        """Region and id of the Amazon Managed Service for Prometheus workspace; None: another."""
        found = _AMAZON.fullmatch(self.prometheus)
        return None if found is None else (found[1], found[2])

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        if self.workspace is None:
            return {}
        region, workspace = self.workspace
        arn = f"arn:{where.partition}:aps:{region}:{where.account}:workspace/{workspace}"
        return {"workspace": [arn]}

    def type_of(self, name: str) -> Type:
        """Return what the metric `name` is."""
        return self.type or ("counter" if name.endswith(_COUNTERS) else "histogram")

    def counts_requests(self, name: str) -> bool:
        """Tell whether the metric `name` is no gauge, which has a value at each scrape."""
        return self.type_of(name) != "gauge"

    def metric_problems(
        self, name: str, statistic: str, dimensions: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield a statistic that the type does not have, and labels that no series can have."""
        kind = self.type_of(name)
        known = _STATISTICS[kind]
        if (_PERCENTILE if statistic.startswith("p") else statistic) not in known:
            yield (
                "statistic",
                f"a {kind} has {' or '.join(known)}, not {statistic}. {name} is taken for a {kind} "
                f"{'as its source says' if self.type else 'by its name'}; `type` of the source "
                "says what it is",
            )
        if name.endswith("_bucket"):
            yield "name", f"name the histogram: {name.removesuffix('_bucket')}"
        for label, value in dimensions.items():
            if not _LABEL.fullmatch(label):
                yield "dimensions", f"{label} is no name of a label: letters, digits and _"
            elif value.startswith(("~", "!~")) and (problem := _pattern_problem(value)):
                yield "dimensions", f"{label}: {problem}"


def _pattern_problem(value: str) -> str:
    try:
        re.compile(value.lstrip("!").removeprefix("~"))
    except re.error as error:
        return f"{value} is no regular expression: {error}"
    return ""
