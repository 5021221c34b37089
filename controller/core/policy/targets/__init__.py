"""What holds the weight of a rollout, as a policy names it. One module for each kind of target."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Self, TypeAlias

from pydantic import Field

from controller.core.policy.field_types import AwsLocation, Model
from controller.core.policy.kind_registry import MissingKind, Registry
from controller.core.policy.metric import CountedPath, Metric, RequestSource
from controller.immutable import Immutable

# Long enough for the new environments of a Lambda function.
DEFAULT_WARMUP: Final = timedelta(minutes=2)


def lambda_environments(function: str) -> Metric:
    """Return what counts the execution environments of a Lambda function, by its name."""
    return Metric(
        namespace="AWS/Lambda",
        name="ConcurrentExecutions",
        statistic="Maximum",
        dimensions={"FunctionName": function},
    )


class ColdStarts(Immutable):
    """What a change of the weight makes cold.

    text: what happens at a change, and on which path. concurrency: counts the environments that
    are replaced, its maximum; None: none of the stable path are.
    """

    text: str
    concurrency: Metric | None = None


class PaidReads(Immutable):
    """How applications read the weight, where AWS bills each read.

    every: how often one environment of an application reads it. environments: counts those of the
    application, its maximum; None: nothing is known to count them.
    read_usd, change_usd: US dollars for a read, and for a changed weight that one brings.
    """

    every: timedelta
    environments: Metric | None
    read_usd: float
    change_usd: float


class TargetSpec(Model):
    """The target of a policy: what the rest of rolloutctl needs to know of it without reading it.

    opened_by: the path `module:function` of the function that returns the adapter; it takes the
        target and the `Account` (ports/account.py).
    simulated_by: the path `module:class` of the `SimulatedTarget` (tools/simulation/target.py);
        empty where there is none, and then no rehearsal is possible.
    permanent_by: the path of the `Guide` (tools/permanent) that says how 100% becomes
        permanent; empty where there is none.
    drafted_by: the path of the `Finder` (ports/target.py) of `init`; empty where there is none.
    init_options: the options of `init` that name the target, fields of the model or `version`, with
        their help. `init` takes the first kind that has every option that is given.
    observed: something else moves the weight. rolloutctl writes nothing: its decision is the answer
        whether to go on or to go back.
    resource_word: what a sentence calls it, like "function".
    bypass_hint: who may reach a path whatever the weight is, to be read after "look for".
    split_caveat: what else divides requests in another way than the weight; empty: nothing known.
    runs_code: the code and the token of a reading are those of what answers requests, on both
        paths: each of them changes with every release.
    names_revision: a reading names the revision; otherwise `start` needs `--revision`.
    placeholders: the names that dimensions of metrics may have as `${name}`; `values` has them.
    rollback_options: the fields that name the target for a rollback without a policy and a store,
        as options of `rollback`; the optional ones may be left out. Empty: it takes the policy
        file.
    """

    opened_by: ClassVar[str] = ""
    simulated_by: ClassVar[str] = ""
    permanent_by: ClassVar[str] = ""
    drafted_by: ClassVar[str] = ""
    init_options: ClassVar[Mapping[str, str]] = {}
    observed: ClassVar[bool] = False
    runs_code: ClassVar[bool] = False
    names_revision: ClassVar[bool] = True
    resource_word: ClassVar[str] = "target"
    bypass_hint: ClassVar[str] = "callers that reach a path in another way"
    split_caveat: ClassVar[str] = ""
    placeholders: ClassVar[tuple[str, ...]] = ()
    rollback_options: ClassVar[tuple[str, ...]] = ()

    kind: str

    @property
    def name(self) -> str:
        """The resource that holds the weight, as the policy writes it."""
        raise NotImplementedError

    def settings(self, weight: int) -> dict[str, str]:
        """Return what holds `weight`, by the names of the settings; the first one is the weight."""
        raise NotImplementedError

    def locks(self, identity: str) -> tuple[str, ...]:
        """Return the locks of a rollout of the target `identity`: one for each of its settings."""
        return tuple(f"{identity}#{name}" for name in self.settings(0))

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARNs for the names in braces in the permissions of its adapter.

        The one of `target` is what a reading calls `identity`.
        """
        raise NotImplementedError

    @classmethod
    def arns_of_any(cls, _where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return what `arns` would for any target: for a role that drafts the first policy."""
        return {}

    def requests_counted_by(self, metric: Metric) -> CountedPath | None:
        """Return whose requests `metric` counts, where the target knows it; else None."""
        return None

    @property
    def counted_by(self) -> RequestSource | None:
        """Return the metrics that count each path by itself; None: `init` searches for some."""
        return None

    @property
    def cold_starts(self) -> ColdStarts | None:
        """Return what a change of the weight makes cold; None: nothing that the target knows."""
        return None

    @property
    def kept_for(self) -> timedelta:
        """How long those who read the weight may go on with an earlier one."""
        return timedelta()

    @property
    def default_warmup(self) -> timedelta:
        """The `warmup` of a policy that names none."""
        return DEFAULT_WARMUP

    @property
    def paid_reads(self) -> PaidReads | None:
        """Return how applications read the weight, where that costs something; None: it is free."""
        return None

    def at_zero(self, metric: Metric) -> Metric:
        """Return what counts the requests of `metric` at weight 0.

        AWS may count the stable path by itself only while there is a weight.
        """
        return metric

    # --- what a start decides -------------------------------------------------------------------

    @property
    def unresolved(self) -> bool:
        """Whether the policy leaves something to the account, which a start reads and stores."""
        return False

    @property
    def values(self) -> Mapping[str, str]:
        """The value of each placeholder that is known."""
        return {}

    def resolved_as(self, other: "TargetSpec") -> "TargetSpec":
        """Return the target with what `other`, a resolved one, has and this one leaves open."""
        return self

    def serving(self, weight: int) -> str:
        """Return what answers all requests at a weight of 0 or 100; empty where nothing tells."""
        return ""

    def taken_out(self, code: str) -> str:
        """Return what 0% takes out, where neither the policy nor a rollout names it; else empty.

        code: of a reading.
        """
        return ""

    def rehearsed(self) -> "TargetSpec":
        """Return the target with what a start would find in a simulated account."""
        return self

    def with_version(self, version: str) -> Self:
        """Return the target whose canary is `version`. Raises ValueError with the reason."""
        raise ValueError(f"a {self.kind} target has no versions")

    # --- for people -----------------------------------------------------------------------------

    @property
    def short_name(self) -> str:
        """The name in a few letters, after which `init` calls a policy."""
        return self.name.rpartition(":")[2]

    @property
    def log_group(self) -> str:
        """The CloudWatch log group of the application; empty where the target has none."""
        return ""

    @property
    def rollback_command(self) -> str:
        """The command that lowers the target to 0% without a store."""
        given = ((f"--{name}", getattr(self, name)) for name in self.rollback_options)
        names = [word for pair in given if pair[1] is not None for word in pair]
        return shlex.join(["rolloutctl", "rollback", *(names or ["POLICY.yaml"])])

    def by_hand(self, weight: int, identity: str) -> str:
        """Return what an operator does in AWS for `weight`, in words; identity: of a reading."""
        assignments = (f"{name}={value}" for name, value in self.settings(weight).items())
        return f"set {' and '.join(assignments)} on {identity}"

    @property
    def display_name(self) -> str:
        """The target in one line: the resource and its settings."""
        return f"{self.name}: {', '.join(self.settings(0))}"


class MissingTarget(TargetSpec, MissingKind):
    """A stored target whose kind has no usable model here: it can be neither read nor written."""

    @property
    def name(self) -> str:
        """The kind, which is all that is known."""
        return f"a target of the kind {self.kind}"

    def settings(self, weight: int) -> dict[str, str]:
        """Return nothing: the settings are unknown."""
        return {}

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return nothing: the resources are unknown."""
        return {}


TARGETS: Final = Registry(
    "target",
    "rolloutctl.targets",
    {
        "lambda-env": "controller.core.policy.targets.lambda_env:LambdaEnv",
        "lambda-alias": "controller.core.policy.targets.lambda_alias:LambdaAlias",
        "alb-weights": "controller.core.policy.targets.alb_weights:AlbWeights",
        "appconfig": "controller.core.policy.targets.appconfig:AppConfigFlag",
    },
    TargetSpec,
    MissingTarget,
)

Target: TypeAlias = Annotated[TargetSpec, TARGETS, Field(description="What holds the weight.")]
