"""The simulated target of the kind `appconfig`: the versions of a profile, and their deployments.

As at AWS, an environment takes one deployment at a time, and refuses one that names another latest
deployment than its own. A function keeps what it read, so a new weight reaches all requests when
the `cache` of the policy is over.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import PolicyError
from controller.flag import percentage_in
from controller.tools.simulation.fakes.errors import AwsResponse, client_error
from controller.tools.simulation.scenario.fault_events import ManualChange, StackUpdate
from controller.tools.simulation.target import (
    Operation,
    SimulatedTarget,
    TargetChange,
    refuse_variables,
)

if TYPE_CHECKING:
    from controller.tools.simulation.world import World

_MINUTE: Final = timedelta(minutes=1)
_IN_PROGRESS: Final = ("DEPLOYING", "BAKING")
_REVERTED_WITHIN: Final = timedelta(hours=72)
_OTHER_FLAG: Final = "search"
_PAGE: Final = 50
# A list of deployments names no strategy; the one of a person has this ID.
ANOTHER_STRATEGY: Final = "slow999"
# A profile of another team, which deploys to the same environment.
OTHER_PROFILE: Final = "oth1234"


@dataclass
class Deployment:
    """A deployment. grows, bakes: how long; state: as AppConfig spells it."""

    number: int
    profile: str
    version: int
    started: datetime
    grows: timedelta = timedelta()
    bakes: timedelta = timedelta()
    state: str = "DEPLOYING"

    @property
    def end(self) -> datetime:
        """When it is complete, if nothing stops it."""
        return self.started + self.grows + self.bakes

    @property
    def is_live(self) -> bool:
        """Whether all functions get its version."""
        return self.state in ("COMPLETE", "BAKING")

    def advance(self, now: datetime) -> None:
        """Bring its state up to `now`."""
        if self.state in _IN_PROGRESS and now >= self.started + self.grows:
            self.state = "COMPLETE" if now >= self.end else "BAKING"


class SimulatedAppConfig(SimulatedTarget):
    """`SimulatedTarget` on one profile of one environment.

    versions: the document of each version, by number; descriptions: of those that have one.
    most_versions: that the profile takes. deployments: oldest first. strategies: the minutes of
    growth and of bake of each, by ID. monitors: the alarms of the environment. kind: of the
    profile, as AppConfig spells it. location: where it has its content.
    """

    def __init__(self, target: AppConfigFlag, world: "World") -> None:
        refuse_variables(target, world)
        self._target, self._world = target, world
        self.versions: dict[int, Any] = {}
        self.descriptions: dict[int, str] = {}
        self.most_versions: int | None = None
        self.deployments: list[Deployment] = []
        self.strategies = {target.strategy: (0, 0), ANOTHER_STRATEGY: (30, 10)}
        self.monitors: list[str] = []
        self.kind = "AWS.AppConfig.FeatureFlags" if target.flag else "AWS.Freeform"
        self.location = "hosted"
        self._original: dict[str, Any] = {}

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        calls: Mapping[str, Callable[[Mapping[str, Any]], AwsResponse]] = {
            "ListDeployments": self._list_deployments,
            "GetDeployment": self._get_deployment,
            "GetHostedConfigurationVersion": self._get_version,
            "ListHostedConfigurationVersions": self._list_versions,
            "CreateHostedConfigurationVersion": self._create_version,
            "StartDeployment": self._start_deployment,
            "StopDeployment": self._stop_deployment,
            "GetDeploymentStrategy": self._get_strategy,
            "ListDeploymentStrategies": self._list_strategies,
            "GetEnvironment": self._get_environment,
            "ListConfigurationProfiles": self._list_profiles,
            "GetConfigurationProfile": self._get_profile,
        }
        return {("appconfig", operation): call for operation, call in calls.items()}

    @property
    def busy(self) -> bool:
        """Whether a deployment is in progress, of this profile or another one."""
        self._advance()
        return any(one.state in _IN_PROGRESS for one in self.deployments)

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Deploy the first version, which every function has read."""
        self._original = self._first_document(100 if adopted else weight)
        self.deploy(self.save(self._original))
        self._world.note_weight(self.weight)

    def perform(self, change: TargetChange) -> None:
        """Let a person deploy a weight, or a stack deploy the document of the start."""
        match change:
            case ManualChange(weight=int(weight)):
                self.set_weight(weight)
            case StackUpdate():
                self.deploy(self.save(self._original))
            case _:
                raise PolicyError(f"the event {change.kind} does not fit an appconfig target")

    # --- what others than rolloutctl do ---------------------------------------------------------

    @property
    def document(self) -> Any:
        """What is deployed: to all functions, or to all but those of a deployment that grows."""
        self._advance()
        own = [one for one in self.deployments if one.profile == self._target.profile]
        live = next(one for one in reversed(own) if one.is_live)
        return self.versions[live.version]

    @property
    def weight(self) -> int:
        """The percent of the deployed document."""
        return self._weight_in(self.document)

    def save(self, document: Any) -> int:
        """Save a version, and return its number."""
        number = max(self.versions, default=0) + 1
        self.versions[number] = deepcopy(document)
        return number

    def with_weight(self, weight: int) -> Any:
        """Return the deployed document with another weight."""
        document = deepcopy(self.document)
        settings = document["values"][self._target.flag] if self._target.flag else document
        settings[self._target.attribute] = weight
        if self._target.flag:
            settings["enabled"] = True
        return document

    def set_weight(
        self, weight: int, *, grows: timedelta = timedelta(), bakes: timedelta = timedelta()
    ) -> Deployment:
        """Save and deploy a weight, as a person does."""
        return self.deploy(self.save(self.with_weight(weight)), grows=grows, bakes=bakes)

    def deploy(
        self,
        version: int,
        *,
        profile: str = "",
        grows: timedelta = timedelta(),
        bakes: timedelta = timedelta(),
    ) -> Deployment:
        """Deploy a version. profile: another one than that of the target.

        Raises ClientError while another deployment is in progress.
        """
        self._refuse_second("StartDeployment")
        profile = profile or self._target.profile
        now = self._world.clock.now()
        made = Deployment(len(self.deployments) + 1, profile, version, now, grows, bakes)
        self.deployments.append(made)
        made.advance(now)
        self._read_again(after=grows)
        return made

    # --- calls ----------------------------------------------------------------------------------

    def _list_deployments(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check_environment("ListDeployments", request)
        self._advance()
        newest_first = self.deployments[::-1]
        first, size = int(request.get("NextToken", "0")), request.get("MaxResults", _PAGE)
        more = {"NextToken": str(first + size)} if first + size < len(newest_first) else {}
        listed = newest_first[first : first + size]
        items = [{"ConfigurationName": "flags", **self._shown(one)} for one in listed]
        return {"Items": items, **more}

    def _get_deployment(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check_environment("GetDeployment", request)
        self._advance()
        return self._answer(self._deployment("GetDeployment", request))

    def _get_version(self, request: Mapping[str, Any]) -> AwsResponse:
        operation = "GetHostedConfigurationVersion"
        self._check_profile(operation, request)
        number = request["VersionNumber"]
        document = self.versions.get(number)
        if document is None:
            raise _not_found(operation, f"version {number}")
        content = BytesIO(json.dumps(document).encode())
        return {**self._version(number, "application/json"), "Content": content}

    def _list_versions(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check_profile("ListHostedConfigurationVersions", request)
        newest_first = sorted(self.versions, reverse=True)
        return {"Items": [self._version(number, "application/json") for number in newest_first]}

    def _create_version(self, request: Mapping[str, Any]) -> AwsResponse:
        operation = "CreateHostedConfigurationVersion"
        self._check_profile(operation, request)
        latest = max(self.versions)
        if request.get("LatestVersionNumber", latest) != latest:
            raise client_error(operation, "ConflictException", "There is a newer version")
        if self.most_versions is not None and len(self.versions) >= self.most_versions:
            raise client_error(operation, "ServiceQuotaExceededException", "Too many versions")
        content = request["Content"]
        number = self.save(json.loads(content))
        if description := request.get("Description"):
            self.descriptions[number] = description
        return {**self._version(number, request["ContentType"]), "Content": BytesIO(content)}

    def _version(self, number: int, content_type: str) -> AwsResponse:
        known = self.descriptions.get(number)
        return {
            "ApplicationId": self._target.application,
            "ConfigurationProfileId": self._target.profile,
            "VersionNumber": number,
            "ContentType": content_type,
            **({} if known is None else {"Description": known}),
        }

    def _start_deployment(self, request: Mapping[str, Any]) -> AwsResponse:
        operation = "StartDeployment"
        self._check_environment(operation, request)
        strategy = self.strategies.get(request["DeploymentStrategyId"])
        if strategy is None:
            raise _not_found(operation, f"strategy {request['DeploymentStrategyId']}")
        version, profile = int(request["ConfigurationVersion"]), request["ConfigurationProfileId"]
        if profile != OTHER_PROFILE and version not in self.versions:
            raise _not_found(operation, f"version {version}")
        latest = len(self.deployments)
        if request.get("LatestDeploymentNumber", latest) != latest:
            message = f"The latest deployment is number {latest}"
            raise client_error(operation, "ConflictException", message)
        self._refuse_second(operation)
        own = profile == self._target.profile
        raised = own and self._weight_in(self.versions[version]) > self.weight
        if raised and self._world.refuses_raises():
            message = f"not authorized to perform: appconfig:{operation}"
            raise client_error(operation, "AccessDeniedException", message)
        grows, bakes = (minutes * _MINUTE for minutes in strategy)
        return self._answer(self.deploy(version, profile=profile, grows=grows, bakes=bakes))

    def _stop_deployment(self, request: Mapping[str, Any]) -> AwsResponse:
        operation = "StopDeployment"
        self._check_environment(operation, request)
        self._advance()
        stopped, revert = self._deployment(operation, request), request.get("AllowRevert", False)
        since = self._world.clock.now() - stopped.end
        if stopped.state == "DEPLOYING" or (stopped.state == "BAKING" and revert):
            stopped.state = "ROLLED_BACK"
        elif stopped.state == "COMPLETE" and revert and since <= _REVERTED_WITHIN:
            stopped.state = "REVERTED"
        else:
            message = f"Deployment {stopped.number} is {stopped.state}"
            raise client_error(operation, "BadRequestException", message)
        self._read_again()
        return self._answer(stopped)

    def _get_strategy(self, request: Mapping[str, Any]) -> AwsResponse:
        name = request["DeploymentStrategyId"]
        if name not in self.strategies:
            raise _not_found("GetDeploymentStrategy", f"strategy {name}")
        return self._strategy(name)

    def _list_strategies(self, _request: Mapping[str, Any]) -> AwsResponse:
        return {"Items": [self._strategy(name) for name in self.strategies]}

    def _strategy(self, name: str) -> AwsResponse:
        grows, bakes = self.strategies[name]
        return {
            "Id": name,
            "Name": f"{grows} min, then {bakes} min",
            "DeploymentDurationInMinutes": grows,
            "FinalBakeTimeInMinutes": bakes,
            "GrowthFactor": 100.0,
            "GrowthType": "LINEAR",
            "ReplicateTo": "NONE",
        }

    def _get_environment(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check_environment("GetEnvironment", request)
        return {
            "ApplicationId": self._target.application,
            "Id": self._target.environment_id,
            "Name": "production",
            "State": "DEPLOYING" if self.busy else "READY_FOR_DEPLOYMENT",
            "Monitors": [{"AlarmArn": arn} for arn in self.monitors],
        }

    def _get_profile(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check_profile("GetConfigurationProfile", request)
        return self._profile()

    def _list_profiles(self, _request: Mapping[str, Any]) -> AwsResponse:
        return {"Items": [self._profile()]}

    def _profile(self) -> AwsResponse:
        return {
            "ApplicationId": self._target.application,
            "Id": self._target.profile,
            "Name": "flags",
            "LocationUri": self.location,
            "Type": self.kind,
        }

    # --- state ----------------------------------------------------------------------------------

    def _first_document(self, weight: int) -> dict[str, Any]:
        """Return a document with `weight`, and something beside it."""
        attribute, flag = self._target.attribute, self._target.flag
        if flag is None:
            return {attribute: weight, "banner": {"text": "hello"}, "limits": [1, 2.5]}
        number = {"constraints": {"type": "number", "minimum": 0, "maximum": 100}}
        return {
            "version": "1",
            "flags": {
                flag: {"name": flag, "attributes": {attribute: number}},
                _OTHER_FLAG: {"name": _OTHER_FLAG},
            },
            "values": {
                flag: {"enabled": True, attribute: weight},
                _OTHER_FLAG: {"enabled": False},
            },
        }

    def _weight_in(self, document: Any) -> int:
        """Return what the application's flag reads."""
        if not isinstance(document, dict):
            return 0
        values = document if self._target.flag is None else document.get("values", {})
        return percentage_in(values, self._target.flag, self._target.attribute)

    def _advance(self) -> None:
        for one in self.deployments[-2:]:  # no earlier one can be in progress
            one.advance(self._world.clock.now())

    def _read_again(self, after: timedelta = timedelta()) -> None:
        """Let functions have what is live `after` this time, when their cache is over."""
        clock = self._world.clock

        def read() -> None:
            weight = self.weight
            clock.at(clock.now() + self._target.cache, lambda: self._world.note_weight(weight))

        if after:
            clock.at(clock.now() + after, read)
        else:
            read()

    def _refuse_second(self, operation: str) -> None:
        if self.busy:
            message = "Another deployment is in progress in this environment"
            raise client_error(operation, "ConflictException", message)

    def _deployment(self, operation: str, request: Mapping[str, Any]) -> Deployment:
        number: int = request["DeploymentNumber"]
        if not 1 <= number <= len(self.deployments):
            raise _not_found(operation, f"deployment {number}")
        return self.deployments[number - 1]

    def _shown(self, one: Deployment) -> AwsResponse:
        return {
            "DeploymentNumber": one.number,
            "ConfigurationProfileId": one.profile,
            "ConfigurationVersion": str(one.version),
            "DeploymentDurationInMinutes": int(one.grows / _MINUTE),
            "FinalBakeTimeInMinutes": int(one.bakes / _MINUTE),
            "GrowthType": "LINEAR",
            "GrowthFactor": 100.0,
            "State": one.state,
            "PercentageComplete": 100.0 if one.is_live else 1.0,
            "StartedAt": one.started,
        }

    def _answer(self, one: Deployment) -> AwsResponse:
        return {
            "ApplicationId": self._target.application,
            "EnvironmentId": self._target.environment_id,
            **self._shown(one),
        }

    def _check_environment(self, operation: str, request: Mapping[str, Any]) -> None:
        named = (request["ApplicationId"], request["EnvironmentId"])
        if named != (self._target.application, self._target.environment_id):
            raise _not_found(operation, f"environment {request['EnvironmentId']}")

    def _check_profile(self, operation: str, request: Mapping[str, Any]) -> None:
        named = (request["ApplicationId"], request["ConfigurationProfileId"])
        if named != (self._target.application, self._target.profile):
            raise _not_found(operation, f"profile {request['ConfigurationProfileId']}")


def _not_found(operation: str, what: str) -> Exception:
    return client_error(operation, "ResourceNotFoundException", f"Could not find {what}")
