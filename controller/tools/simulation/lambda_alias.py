"""The simulated target of the kind `lambda-alias`: an alias, and the versions of its function."""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.tools.simulation.fakes.errors import AwsResponse, client_error, outdated_revision
from controller.tools.simulation.fakes.lambda_ import ACCOUNT, REGION, code_digest
from controller.tools.simulation.scenario.fault_events import ManualChange
from controller.tools.simulation.target import (
    Operation,
    SimulatedTarget,
    TargetChange,
    refuse_raise,
    refuse_variables,
)

if TYPE_CHECKING:
    from controller.tools.simulation.world import World

_SPLIT: Final = "Function version on alias does not support this routing configuration"


class SimulatedLambdaAlias(SimulatedTarget):
    """`SimulatedTarget` on one alias of one function, both of the names in the policy.

    versions: the configuration of each published version, by number. provisioned: the status of the
    alias's provisioned concurrency; empty: it has none. version, weights: the routing. revision:
    the RevisionId of the alias.
    """

    def __init__(self, target: LambdaAlias, world: "World") -> None:
        refuse_variables(target, world)
        self._target, self._world = target, world
        versions = target.rehearsed().values
        self._stable, self._canary = versions["stable"], versions["canary"]
        self.arn = target.function
        if not self.arn.startswith("arn:"):
            self.arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{target.function}"
        self.versions = {one: self._published(one) for one in (self._stable, self._canary)}
        self.provisioned = ""
        self.version, self.weights = self._stable, dict[str, float]()
        self._rng = Random("revisions of the alias")
        self.revision = ""

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        answers: dict[str, Callable[[Mapping[str, Any]], AwsResponse]] = {
            "GetAlias": self._get_alias,
            "UpdateAlias": self._update_alias,
            "GetProvisionedConcurrencyConfig": self._get_provisioned,
            "ListVersionsByFunction": self._list_versions,
            "GetFunctionConfiguration": self._get_configuration,
        }
        return {("lambda", operation): answer for operation, answer in answers.items()}

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Route `weight`, or all requests to the canary."""
        self._route_weight(100 if adopted else weight)

    def perform(self, change: TargetChange) -> None:
        """Route the weight of a person, or what the template or a pipeline has: the old version."""
        if not isinstance(change, ManualChange):
            self._route_weight(0)
        elif change.weight is not None:
            self._route_weight(change.weight)

    def publish(self, version: str, **configuration: Any) -> None:
        """Publish `version`; configuration: what differs from the other versions."""
        self.versions[version] = {**self._published(version), **configuration}

    def _published(self, version: str) -> dict[str, Any]:
        return {
            "FunctionName": self.arn.rpartition(":")[2],
            "FunctionArn": f"{self.arn}:{version}",
            "Version": version,
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{self.arn.rpartition(':')[2]}",
            "CodeSha256": code_digest(version),
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }

    # --- calls ----------------------------------------------------------------------------------

    def _get_alias(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer GetAlias; without weights there is no routing configuration."""
        self._check_name("GetAlias", request.get("Name"))
        answer: AwsResponse = {
            "AliasArn": f"{self.arn}:{self._target.alias}",
            "Name": self._target.alias,
            "FunctionVersion": self.version,
            "Description": "what callers use",
            "RevisionId": self.revision,
        }
        if self.weights:
            answer["RoutingConfig"] = {"AdditionalVersionWeights": dict(self.weights)}
        return answer

    def _update_alias(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer UpdateAlias."""
        operation = "UpdateAlias"
        self._check_name(operation, request.get("Name"))
        if request.get("RevisionId", self.revision) != self.revision:
            raise outdated_revision(operation)
        version = str(request.get("FunctionVersion", self.version))
        weights = (request.get("RoutingConfig") or {}).get("AdditionalVersionWeights", self.weights)
        self._check_routing(version, weights)
        before = self._share(self.version, self.weights)
        refuse_raise(self._world, operation, before, self._share(version, weights))
        self._route(version, dict(weights))
        return self._get_alias(request)

    def _check_routing(self, version: str, weights: Mapping[str, float]) -> None:
        """Raise what Lambda answers to a routing that it does not take."""
        operation, refused = "UpdateAlias", "InvalidParameterValueException"
        missing = {version, *weights} - {*self.versions, "$LATEST"}
        if missing:
            message = f"Function not found: {self.arn}:{min(missing)}"
            raise client_error(operation, "ResourceNotFoundException", message)
        if not weights:
            return
        if len(weights) > 1 or "$LATEST" in (version, *weights) or version in weights:
            raise client_error(operation, refused, _SPLIT)
        if any(not 0 <= weight <= 1 for weight in weights.values()):
            raise client_error(operation, refused, "Weight must be between 0 and 1")
        if self.provisioned:
            message = "Alias with weights can not be used with Provisioned Concurrency"
            raise client_error(operation, refused, message)
        roles = {self.versions[one]["Role"] for one in (version, *weights)}
        if len(roles) > 1:
            raise client_error(operation, refused, f"{_SPLIT}: the roles differ")

    def _get_provisioned(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer GetProvisionedConcurrencyConfig of the alias."""
        if not self.provisioned:
            code = "ProvisionedConcurrencyConfigNotFoundException"
            message = "No Provisioned Concurrency Config found for this function"
            operation = "GetProvisionedConcurrencyConfig"
            raise client_error(operation, code, message, status=404)
        return {"RequestedProvisionedConcurrentExecutions": 1, "Status": self.provisioned}

    def _list_versions(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer ListVersionsByFunction, in pages of two."""
        self._check_function("ListVersionsByFunction", request)
        every = [{**self._published("$LATEST")}, *self.versions.values()]
        first = int(request.get("Marker", "0"))
        more = {"NextMarker": str(first + 2)} if first + 2 < len(every) else {}
        return {"Versions": every[first : first + 2], **more}

    def _get_configuration(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer GetFunctionConfiguration of a version or of the alias."""
        operation = "GetFunctionConfiguration"
        self._check_function(operation, request)
        qualifier = request.get("Qualifier", "$LATEST")
        version = self.version if qualifier == self._target.alias else qualifier
        if version == "$LATEST":
            return self._published(version)
        if version not in self.versions:
            message = f"Function not found: {self.arn}:{qualifier}"
            raise client_error(operation, "ResourceNotFoundException", message)
        return dict(self.versions[version])

    def _check_name(self, operation: str, name: Any) -> None:
        if name != self._target.alias:
            message = f"Cannot find alias arn: {self.arn}:{name}"
            raise client_error(operation, "ResourceNotFoundException", message)

    def _check_function(self, operation: str, request: Mapping[str, Any]) -> None:
        if request.get("FunctionName") not in (self.arn, self.arn.rpartition(":")[2]):
            message = f"Function not found: {request.get('FunctionName')}"
            raise client_error(operation, "ResourceNotFoundException", message)

    # --- routing --------------------------------------------------------------------------------

    def _route_weight(self, weight: int) -> None:
        if weight == 100:
            self._route(self._canary, {})
        else:
            self._route(self._stable, {self._canary: weight / 100} if weight else {})

    def _route(self, version: str, weights: dict[str, float]) -> None:
        self.version, self.weights = version, weights
        self.revision = str(UUID(int=self._rng.getrandbits(128), version=4))
        self._world.note_weight(round(self._share(version, weights) * 100))

    def _share(self, version: str, weights: Mapping[str, float]) -> float:
        """Return the share of requests that the canary gets."""
        if version == self._canary:
            return 1 - sum(weights.values())
        return weights.get(self._canary, 0)
