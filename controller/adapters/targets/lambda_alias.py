"""The weight of a version in the routing of a Lambda alias.

IAM: lambda:GetAlias, lambda:UpdateAlias and lambda:GetProvisionedConcurrencyConfig on the alias;
lambda:ListVersionsByFunction and lambda:GetFunctionConfiguration on the function, before a start.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of, error_text
from controller.adapters.iam import METRIC_JOBS, TRAFFIC_JOBS, Job, Permission
from controller.adapters.targets.resource_target import Resource, ResourceTarget, raise_unreadable
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import LogsError, TargetError, UsageError, WriteRefusedError
from controller.immutable import Immutable, field, replace
from controller.policy_file.named_target import named_target
from controller.ports.account import Account
from controller.ports.clock import Clock
from controller.ports.target import Chooser, FoundTarget, Obstacle

_ALIAS: Final = "{alias}"
_VERSIONS: Final = "{versions}"
_CHECK_JOBS: Final = frozenset({Job.START, Job.OPERATE, Job.INVESTIGATE, Job.DOCTOR, Job.INIT})

IAM: Final = (
    Permission("lambda:GetAlias", _ALIAS, METRIC_JOBS),
    Permission("lambda:UpdateAlias", _ALIAS, TRAFFIC_JOBS),
    Permission("lambda:GetProvisionedConcurrencyConfig", _ALIAS, METRIC_JOBS),
    Permission("lambda:ListVersionsByFunction", _VERSIONS, _CHECK_JOBS),
    Permission("lambda:GetFunctionConfiguration", _VERSIONS, _CHECK_JOBS),
)

LATEST: Final = "$LATEST"
_UNPUBLISHED: Final = (
    "has $LATEST, and Lambda splits an alias between published versions only: publish a version, "
    "and give it to the alias"
)
PAGES_READ: Final = 40  # of 50 versions each
# Shares that differ by less are the same percent: AWS keeps them as binary fractions.
_ROUNDING: Final = 1e-6


def open_target(target: LambdaAlias, account: Account) -> "LambdaAliasTarget":
    """Return the adapter of `target` in `account`."""
    client = account.lowering_client("lambda")
    return LambdaAliasTarget(client, target, account.clock, account.jitter)


def find_target(account: Account, names: Mapping[str, str], _chooser: Chooser) -> FoundTarget:
    """Find the versions of an alias, as a `Finder` does; none is asked for."""
    target = named_target(LambdaAlias, names)
    opened = open_target(target, account)
    weight = opened.read().weight
    try:
        live = opened.resolved(None)
    except UsageError as error:  # the draft leaves the versions to the start
        return FoundTarget(target, weight, notes=[str(error)])
    notes = [obstacle.text for obstacle in open_target(live, account).obstacles()]
    return FoundTarget(target, weight, live, notes)


# --- the alias ------------------------------------------------------------------------------------


class Routing(Immutable):
    """Where an alias sends requests: its version, and the shares (0 to 1) of other versions."""

    version: str
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The routing for people: `version 3, version 4 at 10%`."""
        others = (f", version {name} at {share * 100:g}%" for name, share in self.others.items())
        return f"version {self.version}{''.join(others)}"

    def share_of(self, version: str | None) -> float:
        """Return the share of requests that `version` gets."""
        if version == self.version:
            return 1 - sum(self.others.values())
        return self.others.get(version or "", 0)


class Versions(Immutable):
    """The two versions of a rollout.

    stable: None where the alias does not show it any more. command: the rollback that names it.
    """

    canary: str
    stable: str | None
    command: str

    def weight(self, routing: Routing) -> int | None:
        """Return the percent of requests on the canary; None where that is no clear weight.

        A weight is a whole percent, and the other requests are on the stable version. Where the
        canary gets no request, it is 0, whatever other versions get.
        """
        if self.canary == self.stable:  # nothing newer is published
            return 0 if routing == Routing(self.canary) else None
        share = routing.share_of(self.canary) * 100
        weight = round(share)
        if share < _ROUNDING:
            return 0
        is_whole = abs(share - weight) < _ROUNDING
        return weight if is_whole and not self.foreign(routing) else None

    def foreign(self, routing: Routing) -> list[str]:
        """Return the versions that get requests and are neither of these two."""
        return [
            version
            for version in (routing.version, *routing.others)
            if version not in (self.canary, self.stable) and routing.share_of(version) > 0
        ]

    def routing(self, weight: int, current: Routing) -> Routing:
        """Return the routing for `weight`.

        At 0% the canary is taken out, and everything else stays: a version that was deployed
        meanwhile is not taken back. Raises WriteRefusedError where the stable version is unknown.
        """
        if weight == 100:
            return Routing(self.canary)
        if weight > 0:
            return Routing(self._known_stable, {self.canary: weight / 100})
        version = self._known_stable if current.version == self.canary else current.version
        others = current.others.items()
        kept = {name: share for name, share in others if name not in (version, self.canary)}
        return Routing(version, kept)

    @property
    def _known_stable(self) -> str:
        if self.stable is None:
            raise WriteRefusedError(
                f"the alias has version {self.canary} alone, and the version before it is not "
                f"known; nothing was written. Give its number: {self.command}"
            )
        return self.stable


class AliasState(Immutable):
    """An alias as Lambda describes it: the reading, and the routing that a write starts from."""

    reading: TargetReading
    routing: Routing
    versions: Versions


class LambdaAliasResource(Resource[AliasState]):
    """The alias of `target`: read by GetAlias, written by UpdateAlias under its RevisionId."""

    def __init__(self, client: Any, target: LambdaAlias) -> None:
        self.name = target.name
        self._client, self._target = client, target
        self._request = {"FunctionName": target.function, "Name": target.alias}

    def read(self) -> AliasState:
        answer = self.call("lambda:GetAlias", self._client.get_alias, **self._request)
        if "AliasArn" not in answer or "FunctionVersion" not in answer:
            raise TargetError(error_text(f"{self.name} could not be read", StrangeAnswerError()))
        weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        routing = Routing(answer["FunctionVersion"], dict(weights))
        versions = self._versions(routing)
        moving = bool(weights) and self._is_provisioning()
        weight = versions.weight(routing)
        if moving:  # the weights are AWS's own, until the new version has its environments
            weight = versions.weight(Routing(routing.version))
        reading = TargetReading(
            identity=answer["AliasArn"],
            weight=weight,
            variables=f"{self._target.alias}: {routing.text}",
            token=answer.get("RevisionId", ""),
            update=UpdateStatus.IN_PROGRESS if moving else UpdateStatus.SUCCESSFUL,
            code=versions.canary,
            detail="Lambda allocates provisioned concurrency" if moving else "",
            may_be_full=weight is None and routing.version == versions.canary,
            others=" and ".join(f"version {one}" for one in versions.foreign(routing)),
        )
        return AliasState(reading, routing, versions)

    def write(self, snapshot: AliasState, weight: int) -> None:
        routing = snapshot.versions.routing(weight, snapshot.routing)
        token = snapshot.reading.token
        self._client.update_alias(
            **self._request,
            FunctionVersion=routing.version,
            RoutingConfig={"AdditionalVersionWeights": dict(routing.others)},
            **({"RevisionId": token} if token else {}),
        )

    def write_problem(self, weight: int, error: Exception, snapshot: AliasState) -> str:
        return error_text(f"{self.name} was not set to {weight}% (lambda:UpdateAlias)", error)

    def call(
        self, action: str, method: Callable[..., Mapping[str, Any]], **request: str
    ) -> Mapping[str, Any]:
        """Return the answer of a call that reads. Raises NoAnswerError and TargetError."""
        try:
            return method(**request)
        except AWS_ERRORS as error:
            raise_unreadable(self.name, action, error)

    def _versions(self, routing: Routing) -> Versions:
        """Return the versions of the target; those that the policy leaves out, by the alias."""
        canary = self._target.canary or self._live_canary(routing)
        if canary is None:
            canary = max([self.newest(), routing.version], key=_number)
        stable = self._target.stable
        if stable is None and routing.version != canary:
            stable = routing.version
        function, alias = self._target.function, self._target.alias
        return Versions(
            canary,
            stable or _only(routing.others),
            f"rolloutctl rollback --function {function} --alias {alias} --stable VERSION",
        )

    def _live_canary(self, routing: Routing) -> str | None:
        """Return the version that the alias shows to be the canary; None where it shows none."""
        if self._target.stable is not None and routing.version != self._target.stable:
            return routing.version
        other = _only(routing.others)
        is_known = self._target.stable is not None or _number(other) > _number(routing.version)
        return other if is_known else None

    def newest(self) -> str:
        """Return the newest published version; `$LATEST` where there is none."""
        newest, request = LATEST, {"FunctionName": self._target.function}
        for _ in range(PAGES_READ):
            page = self.call(
                "lambda:ListVersionsByFunction", self._client.list_versions_by_function, **request
            )
            found = [str(one.get("Version", LATEST)) for one in page.get("Versions", ())]
            newest = max([newest, *found], key=_number)
            if not page.get("NextMarker"):
                return newest
            request["Marker"] = page["NextMarker"]
        raise TargetError(
            f"{self.name} has too many versions to find the newest one: name it with --version"
        )

    def _is_provisioning(self) -> bool:
        """Tell whether the alias moves its provisioned concurrency to another version.

        Weights and provisioned concurrency exclude each other, but for those that AWS sets itself
        meanwhile. A failed call says nothing, and then the weights count as they are.
        """
        try:
            answer = self._client.get_provisioned_concurrency_config(
                FunctionName=self._target.function, Qualifier=self._target.alias
            )
        except AWS_ERRORS:
            return False
        return bool(answer.get("Status") == "IN_PROGRESS")


def _number(version: str | None) -> int:
    """Return the number of a version; 0 for `$LATEST` and for none."""
    return int(version) if version is not None and version.isdecimal() else 0


def _only(others: Mapping[str, float]) -> str | None:
    """Return the only version in `others`; None where there is none, or more than one."""
    return next(iter(others)) if len(others) == 1 else None


# --- the target -----------------------------------------------------------------------------------


class LambdaAliasTarget(ResourceTarget[AliasState]):
    """`InspectableTarget` on one alias. client: a boto3 Lambda client."""

    def __init__(
        self,
        client: Any,
        target: LambdaAlias,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._client, self._target = client, target
        self._alias = LambdaAliasResource(client, target)
        super().__init__(self._alias, target.by_hand(0, target.name), clock, jitter)

    def resolved(self, earlier: TargetSpec | None) -> LambdaAlias:
        """Return the target with both versions.

        They are those of the policy, else those that the alias shows, else the version of the alias
        and the newest published one. Raises UsageError where no version is newer.
        """
        state = self._alias.read()
        versions = state.versions
        if versions.stable is None and isinstance(earlier, LambdaAlias):
            is_last = self._target.is_same_alias(earlier) and earlier.canary == versions.canary
            versions = replace(versions, stable=earlier.stable if is_last else None)
        if LATEST in (versions.canary, versions.stable):
            raise UsageError(f"{self._alias.name} {_UNPUBLISHED}")
        if versions.stable in (None, versions.canary):
            raise UsageError(
                f"{self._alias.name} has version {versions.canary}, and no newer one is published: "
                f"publish one (aws lambda publish-version --function-name {self._target.function}),"
                " or name the canary with --version; to adopt the weight of version "
                f"{versions.canary}, name the version before it as target.stable"
            )
        return self._target.with_versions(versions.canary, versions.stable)

    def check_lowering(self) -> None:
        state = self._alias.read()
        state.versions.routing(0, state.routing)

    def _check_raise(self, snapshot: AliasState, weight: int) -> None:
        """Raise WriteRefusedError where the alias has another version than those of the rollout."""
        versions, live = snapshot.versions, snapshot.routing.version
        if live not in (versions.canary, versions.stable):
            raise WriteRefusedError(
                f"{self._alias.name} has version {live}, and the rollout moves requests from "
                f"version {versions.stable} to {versions.canary}; nothing was written"
            )

    def log_group(self) -> str:
        try:
            answer = self._configuration(self._target.alias)
        except TargetError as error:
            raise LogsError(str(error), **error.context) from error
        configured: str = (answer.get("LoggingConfig") or {}).get("LogGroup") or ""
        return configured or self._target.log_group

    # --- before a start -------------------------------------------------------------------------

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why requests may not reach the canary, fatal obstacles first."""
        found: list[Obstacle] = []
        for check in (self._version_obstacles, self._provisioned_obstacles):
            try:
                found.extend(check())
            except TargetError as error:
                found.append(Obstacle(fatal=False, text=str(error), unread=True))
        return sorted(found, key=lambda one: not one.fatal)

    def _version_obstacles(self) -> Iterator[Obstacle]:
        """Yield what keeps Lambda from splitting the alias between the two versions."""
        state = self._alias.read()
        name, versions = self._alias.name, state.versions
        if LATEST in (state.routing.version, versions.canary, versions.stable):
            yield Obstacle(fatal=True, text=f"{name} {_UNPUBLISHED}")
            return
        if versions.stable is None:
            return  # the rollout is over, and there is nothing to split
        canary, stable = (self._configuration(one) for one in (versions.canary, versions.stable))
        for what, path in (("role", ("Role",)), ("dead-letter queue", _DEAD_LETTERS)):
            if _at(canary, path) != _at(stable, path):
                yield Obstacle(
                    fatal=True,
                    text=f"versions {versions.stable} and {versions.canary} of "
                    f"{self._target.function} have another {what}, and Lambda splits an alias only "
                    "between versions with the same one",
                )
        if (canary_state := str(canary.get("State") or "Active")) != "Active":
            text = f"version {versions.canary} of {self._target.function} is {canary_state}"
            yield Obstacle(fatal=True, text=f"{text}: wait until it is Active, or invoke it once")

    def _provisioned_obstacles(self) -> Iterator[Obstacle]:
        """Yield what provisioned concurrency of the alias, which excludes weights, is to it."""
        try:
            self._client.get_provisioned_concurrency_config(
                FunctionName=self._target.function, Qualifier=self._target.alias
            )
        except AWS_ERRORS as error:
            if code_of(error) == "ProvisionedConcurrencyConfigNotFoundException":
                return
            action = "lambda:GetProvisionedConcurrencyConfig"
            text = f"provisioned concurrency of {self._alias.name} could not be checked ({action})"
            yield Obstacle(fatal=False, text=error_text(text, error), unread=True)
            return
        yield Obstacle(
            fatal=True,
            text=f"{self._alias.name} has provisioned concurrency, and then its alias takes "
            "no weights: give it to the two versions instead",
        )

    def _configuration(self, qualifier: str) -> Mapping[str, Any]:
        return self._alias.call(
            "lambda:GetFunctionConfiguration",
            self._client.get_function_configuration,
            FunctionName=self._target.function,
            Qualifier=qualifier,
        )


_DEAD_LETTERS: Final = ("DeadLetterConfig", "TargetArn")


def _at(answer: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at `path`; empty where a part of the path is missing."""
    value: Any = answer
    for part in path:
        value = (value or {}).get(part)
    return value or ""
