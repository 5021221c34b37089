"""Fake of Lambda's control plane: revisions, updates that take time, and refused updates.

While an update is in progress, and after one that failed, the answer shows the new environment
but traffic is served with the old one.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import (
    client_error,
    outdated_revision,
    validation_error,
)
from controller.tools.simulation.scenario.timeline import UpdateRules

MAX_BYTES = 4_096

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RESERVED = re.compile(r"_HANDLER|TZ|AWS_(?!LAMBDA_EXEC_WRAPPER$).*|LAMBDA_.*")
_CODE = "InvalidParameterValueException"
_UNABLE = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def check_environment(operation: str, variables: Mapping[str, str]) -> None:
    """Raise the ClientError of `operation` for variables that Lambda does not accept."""
    for name in variables:
        if _RESERVED.fullmatch(name):
            message = (
                f"{_UNABLE}contains reserved keys that are currently not supported for "
                f"modification. Reserved keys used in this request: {name}"
            )
            raise client_error(operation, _CODE, message)
        if not _NAME.fullmatch(name):
            raise client_error(operation, _CODE, f"environment variable name {name!r} is not valid")
    measured = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    if len(measured.encode()) > MAX_BYTES:
        message = f"{_UNABLE}exceeded the 4KB limit. String measured: {measured}"
        raise client_error(operation, _CODE, message)


REGION = "us-east-1"
ACCOUNT = "123456789012"

_ARN = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:")
_KMS_ERROR = {
    "ErrorCode": "AccessDeniedException",
    "Message": "Lambda was unable to decrypt your environment variables because the KMS access was "
    "denied. Please check your KMS permissions.",
}


@dataclass(slots=True)
class Function:
    """A Lambda function: its configuration, and the environment that serves requests.

    provisioned, aliases: as ListProvisionedConcurrencyConfigs and ListAliases answer them.
    served: the environment of the last successful update.
    log_group: the configured log group; empty: not in the configuration.
    pinned: environment of the version that callers get by an alias; None: they get $LATEST.
    """

    name: str
    arn: str
    revision: str
    code_sha256: str
    variables: dict[str, str]
    served: dict[str, str]
    modified: str
    status: str = "Successful"
    reason: str = ""
    reason_code: str = ""
    snap_start: str = "None"
    capacity_provider: str = ""
    log_group: str = ""
    aliases: list[dict[str, Any]] = field(default_factory=list)
    provisioned: list[dict[str, Any]] = field(default_factory=list)
    pinned: Mapping[str, str] | None = None

    @property
    def effective_environment(self) -> Mapping[str, str]:
        """The environment that serves requests."""
        return self.served if self.pinned is None else self.pinned


class FakeLambda:
    """Fake Lambda API for the functions that were added.

    rules: returns the update rules, at each update and each read. on_traffic_change: called when
    requests of a function get another environment.
    """

    def __init__(
        self,
        clock: VirtualClock,
        rules: Callable[[], UpdateRules],
        seed: int,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self.on_traffic_change: Callable[[Function], None] = lambda _function: None
        self._rng = Random(f"{seed}:revisions")
        self._functions: dict[str, Function] = {}

    def add(self, name: str, variables: Mapping[str, str]) -> Function:
        """Add a function by name or ARN, or replace it; its environment serves requests at once."""
        bare = name.rpartition(":")[2]
        arn = name if ":" in name else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{bare}"
        function = Function(
            name=bare,
            arn=arn,
            revision=self._revision(),
            code_sha256=code_digest(f"{bare}-1"),
            variables=dict(variables),
            served=dict(variables),
            modified=self._stamp(),
        )
        self._functions[bare] = function
        self.on_traffic_change(function)
        return function

    def function(self, name: str) -> Function:
        """Return a function by name or ARN. Raises KeyError when it was not added."""
        return self._functions[name.rpartition(":")[2]]

    def change(self, function: Function, variables: Mapping[str, str]) -> None:
        """Begin an update to `variables`, unconditionally; it takes as long as the rules say."""
        rules = self._rules()
        function.variables = dict(variables)
        function.revision = self._revision()
        function.modified = self._stamp()
        function.status = "InProgress"
        function.reason = "The function is being updated."
        function.reason_code = ""
        new_environment = dict(variables)
        self._clock.at(
            self._clock.now() + rules.takes,
            lambda: self._finish(function, new_environment, rules.fails),
        )

    def pin(self, function: Function, variables: Mapping[str, str]) -> None:
        """Send callers to an alias, of a version with these `variables`; $LATEST stays as it is."""
        function.pinned = dict(variables)
        arn = f"{function.arn}:live"
        function.aliases.append({"AliasArn": arn, "Name": "live", "FunctionVersion": "1"})
        self.on_traffic_change(function)

    def get_function_configuration(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer GetFunctionConfiguration."""
        return self._configuration(self._find("GetFunctionConfiguration", request))

    def update_function_configuration(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer UpdateFunctionConfiguration; only changes of the environment are simulated."""
        operation = "UpdateFunctionConfiguration"
        if unknown := request.keys() - {"FunctionName", "Environment", "RevisionId"}:
            raise NotImplementedError(f"{operation} is not simulated for {sorted(unknown)}")
        function = self._find(operation, request)
        if function.status == "InProgress":
            message = (
                "The operation cannot be performed at this time. An update is in progress for "
                f"resource: {function.arn}"
            )
            raise client_error(operation, "ResourceConflictException", message)
        if request.get("RevisionId", function.revision) != function.revision:
            raise outdated_revision(operation)
        environment = request.get("Environment")
        if environment is None:
            variables = function.variables
        else:
            variables = dict(environment.get("Variables", {}))
            check_environment(operation, variables)
        self.change(function, variables)
        return self._configuration(function)

    def list_aliases(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ListAliases, in one page."""
        return {"Aliases": list(self._find("ListAliases", request).aliases)}

    def list_provisioned_concurrency_configs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ListProvisionedConcurrencyConfigs, in one page."""
        function = self._find("ListProvisionedConcurrencyConfigs", request)
        return {"ProvisionedConcurrencyConfigs": list(function.provisioned)}

    def _find(self, operation: str, request: Mapping[str, Any]) -> Function:
        name = request.get("FunctionName")
        if not isinstance(name, str):
            raise validation_error("FunctionName is required, and a string")
        function = self._functions.get(_ARN.sub("", name))
        qualifier = request.get("Qualifier", "$LATEST")
        if function is None or qualifier != "$LATEST" or (":" in name and name != function.arn):
            bare = _ARN.sub("", name)
            message = f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:{bare}"
            raise client_error(operation, "ResourceNotFoundException", message)
        return function

    def _finish(self, function: Function, environment: dict[str, str], fails: bool) -> None:
        # AWS changes the revision when an update finishes: a chained write must read it again.
        function.revision = self._revision()
        if fails:
            function.status = "Failed"
            function.reason = "An internal error occurred. Please retry."
            function.reason_code = "InternalError"
            return
        function.status, function.reason = "Successful", ""
        function.served = environment
        self.on_traffic_change(function)

    def _configuration(self, function: Function) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "FunctionName": function.name,
            "FunctionArn": function.arn,
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "CodeSize": 1_024,
            "Timeout": 30,
            "MemorySize": 256,
            "LastModified": function.modified,
            "CodeSha256": function.code_sha256,
            "Version": "$LATEST",
            "RevisionId": function.revision,
            "State": "Active",
            "LastUpdateStatus": function.status,
            "PackageType": "Zip",
            "Architectures": ["arm64"],
            "SnapStart": {"ApplyOn": function.snap_start, "OptimizationStatus": "Off"},
        }
        if function.reason:
            answer["LastUpdateStatusReason"] = function.reason
        if function.log_group:
            answer["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": function.log_group}
        if function.reason_code:
            answer["LastUpdateStatusReasonCode"] = function.reason_code
        if function.capacity_provider:
            managed = {"CapacityProviderArn": function.capacity_provider}
            answer["CapacityProviderConfig"] = {
                "LambdaManagedInstancesCapacityProviderConfig": managed
            }
        if function.variables:  # without variables there is no environment at all
            denied = self._rules().kms_denied
            environment = (
                {"Error": dict(_KMS_ERROR)} if denied else {"Variables": dict(function.variables)}
            )
            answer["Environment"] = environment
        return answer

    def _revision(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _stamp(self) -> str:
        return f"{self._clock.now():%Y-%m-%dT%H:%M:%S}.000+0000"


def code_digest(code: str) -> str:
    """Return a stand-in for a package's CodeSha256: in base64, as Lambda answers it."""
    return b64encode(hashlib.sha256(code.encode()).digest()).decode()
