"""A percentage in a hosted configuration of AWS AppConfig: one version for each weight, deployed.

What functions read is the deployed version. A write saves a version that is the deployed one with
another weight, and deploys it under the number of the environment's latest deployment; AppConfig
refuses it when there is a newer one, or one in progress. A version that is not deployed changes
nothing, so saving needs no condition. Where the version with 0% cannot be saved, an earlier one
with the same other settings is deployed again; a raise sees to it that there is one.

IAM: appconfig:ListDeployments, appconfig:GetDeployment, appconfig:GetHostedConfigurationVersion,
appconfig:ListHostedConfigurationVersions, appconfig:CreateHostedConfigurationVersion,
appconfig:StartDeployment and appconfig:StopDeployment.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from controller.adapters.aws.clients import (
    AWS_ERRORS,
    StrangeAnswerError,
    code_of,
    error_text,
    is_transient,
    pages,
    redact,
)
from controller.adapters.iam import METRIC_JOBS, TRAFFIC_JOBS, Permission
from controller.adapters.targets.appconfig_document import (
    Document,
    is_at_zero,
    shown_in,
    weight_in,
    with_weight,
)
from controller.adapters.targets.resource_target import Resource, raise_unreadable
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import TargetError, WriteRefusedError
from controller.immutable import Immutable

_DEPLOYMENTS: Final = "{appconfig_stop}"
IAM: Final = (
    Permission("appconfig:ListDeployments", "{appconfig_environment}", METRIC_JOBS),
    Permission("appconfig:GetDeployment", _DEPLOYMENTS, METRIC_JOBS),
    Permission("appconfig:GetHostedConfigurationVersion", "{appconfig_versions}", METRIC_JOBS),
    Permission("appconfig:ListHostedConfigurationVersions", "{appconfig_profile}", METRIC_JOBS),
    Permission("appconfig:CreateHostedConfigurationVersion", "{appconfig_profile}", TRAFFIC_JOBS),
    Permission("appconfig:StartDeployment", "{appconfig_start}", TRAFFIC_JOBS),
    Permission("appconfig:StopDeployment", _DEPLOYMENTS, TRAFFIC_JOBS),
)

PAGE: Final = 50  # deployments of a page, the most that the API gives
PAGES: Final = 20  # that are searched for one of the profile
# Versions that are read to find one with 0%; most are left out by their descriptions.
_MOST_READ: Final = 20

_COMPLETE: Final = "COMPLETE"
_ROLLING_BACK: Final = "ROLLING_BACK"
_STOPPABLE: Final = ("VALIDATING", "DEPLOYING", "BAKING")
_IN_PROGRESS: Final = (*_STOPPABLE, _ROLLING_BACK)


class Deployment(Immutable):
    """A deployment of the environment. at_once: all functions get its version, and no part yet."""

    number: int
    profile: str
    version: str
    state: str
    at_once: bool

    @property
    def text(self) -> str:
        """The deployment and its state, for people."""
        return f"deployment {self.number} of profile {self.profile} is {self.state}"


class Version(Immutable):
    """A version of the profile. key: its customer managed key; empty: none."""

    document: Document
    content_type: str
    key: str
    description: str


class ConfigurationState(Immutable):
    """What is deployed, and the reading of its weight.

    number: of `version`, which a write has to keep.
    latest: the number of the newest deployment of the environment, whatever its profile.
    newest, settled: the newest deployment of this profile, and the newest that is complete.
    busy: the deployment in progress, of any profile. others: further profiles of the environment.
    """

    reading: TargetReading
    version: Version
    number: str
    latest: int
    newest: Deployment
    settled: Deployment | None
    busy: Deployment | None
    others: Sequence[str]

    @property
    def document(self) -> Document:
        """The document that is deployed."""
        return self.version.document


class HostedConfiguration(Resource[ConfigurationState]):
    """The configuration of `target`: how its weight is read and deployed.

    environment, profile: how requests name them.
    """

    def __init__(self, client: Any, target: AppConfigFlag) -> None:
        self.name = target.name
        self._client, self._target = client, target
        self.environment = {
            "ApplicationId": target.application,
            "EnvironmentId": target.environment_id,
        }
        self.profile = {
            "ApplicationId": target.application,
            "ConfigurationProfileId": target.profile,
        }
        # The version that was saved last: another attempt to deploy it does not save it again.
        self._saved: tuple[bytes, int] = (b"", 0)

    # --- reading --------------------------------------------------------------------------------

    def read(self) -> ConfigurationState:
        """Return what is deployed. While one version replaces another, the higher weight counts.

        Raises NoAnswerError or TargetError when AppConfig does not answer, and WriteRefusedError
        when nothing of the profile is deployed, or what is deployed is no JSON object.
        """
        deployments = self._deployments()
        own = [one for one in deployments if one.profile == self._target.profile]
        settled = next((one for one in own if one.state == _COMPLETE), None)
        live = _live(own, settled)
        if not live:
            raise WriteRefusedError(
                f"no version of profile {self._target.profile} is deployed to "
                f"{self._target.environment}, so nothing is known that a write has to keep: deploy "
                f"one with {self._target.setting} 0"
            )
        versions = [self._version(one.version) for one in live]
        newest = own[0]
        return ConfigurationState(
            reading=self._reading(newest, live, [one.document for one in versions]),
            version=versions[0],
            number=live[0].version,
            latest=max(one.number for one in deployments),
            newest=newest,
            settled=settled,
            busy=next((one for one in deployments if one.state in _IN_PROGRESS), None),
            others=sorted({one.profile for one in deployments} - {self._target.profile}),
        )

    def _deployments(self) -> Sequence[Deployment]:
        """Return the deployments, newest first, down to one of the profile that is complete."""
        found: list[Deployment] = []
        request: dict[str, Any] = {**self.environment, "MaxResults": PAGE}
        for _ in range(PAGES):
            page = self.call("ListDeployments", self._client.list_deployments, **request)
            found += map(self._deployment, page.get("Items", ()))
            is_found = any(
                one.profile == self._target.profile and one.state == _COMPLETE for one in found
            )
            if is_found or not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        else:
            raise TargetError(
                f"none of the newest {len(found):,} deployments to {self._target.environment} has "
                f"left profile {self._target.profile} deployed, and older ones are not looked at: "
                "deploy it again"
            )
        return sorted(found, key=lambda one: one.number, reverse=True)

    def _deployment(self, item: Mapping[str, Any]) -> Deployment:
        """Return a deployment of a list, which may not name its profile."""
        number, profile = int(item["DeploymentNumber"]), item.get("ConfigurationProfileId")
        if profile is None:
            whole = {**self.environment, "DeploymentNumber": number}
            answer = self.call("GetDeployment", self._client.get_deployment, **whole)
            profile = answer.get("ConfigurationProfileId", "")
        grows = (
            item.get("DeploymentDurationInMinutes", 0) and item.get("PercentageComplete", 0) < 100
        )
        return Deployment(
            number=number,
            profile=str(profile),
            version=str(item.get("ConfigurationVersion", "")),
            state=str(item.get("State", "")),
            at_once=not grows,
        )

    def _version(self, number: str) -> Version:
        """Return a version.

        Raises WriteRefusedError where it is no JSON object, or one without flags for a flag.
        """
        if not number.isdecimal():
            raise WriteRefusedError(f"{self.name} is no hosted configuration: {number!r} is live")
        answer = self.call(
            "GetHostedConfigurationVersion",
            self._client.get_hosted_configuration_version,
            **self.profile,
            VersionNumber=int(number),
        )
        return Version(
            document=self._document(number, answer),
            content_type=str(answer.get("ContentType", "")),
            key=str(answer.get("KmsKeyArn", "")),
            description=str(answer.get("Description", "")),
        )

    def _document(self, number: str, answer: Mapping[str, Any]) -> Document:
        """Return the document of a version. Raises WriteRefusedError as `_version` does."""
        try:
            document = json.loads(answer["Content"].read())
        except (ValueError, RecursionError, KeyError):
            document = None
        if not isinstance(document, dict):
            raise WriteRefusedError(
                f"version {number} of profile {self._target.profile} is no JSON object, so a "
                "write would lose what it is: name a profile that is one"
            )
        if self._target.flag is not None and not isinstance(document.get("values", {}), dict):
            raise WriteRefusedError(
                f"version {number} of profile {self._target.profile} has no feature flags: leave "
                "`flag` out for a document of another form"
            )
        return document

    def _reading(
        self, newest: Deployment, live: Sequence[Deployment], documents: Sequence[Document]
    ) -> TargetReading:
        weights = [weight_in(document, self._target) for document in documents]
        moving = newest.state in _IN_PROGRESS
        # A deployment that was taken back makes an earlier one the live one again.
        token = str(newest.number) if newest in live else f"{newest.number}:{live[0].number}"
        return TargetReading(
            identity=self._target.identity,
            weight=None if None in weights else max(one for one in weights if one is not None),
            variables=" and ".join(shown_in(document, self._target) for document in documents),
            token=token,
            update=UpdateStatus.IN_PROGRESS if moving else UpdateStatus.SUCCESSFUL,
            detail=newest.text if moving else "",
        )

    def call(self, operation: str, method: Any, **request: Any) -> Mapping[str, Any]:
        """Return the answer to a read. Raises NoAnswerError and TargetError."""
        try:
            answer: Mapping[str, Any] = method(**request)
        except AWS_ERRORS as error:
            raise_unreadable(self.name, f"appconfig:{operation}", error)
        return answer

    def newer_version(self, snapshot: ConfigurationState) -> int:
        """Return the newest version, if it is newer than the deployed one; else 0."""
        operation = "ListHostedConfigurationVersions"
        method = self._client.list_hosted_configuration_versions
        listed = self._listed_versions(partial(self.call, operation, method))
        newest = max((int(one["VersionNumber"]) for one in listed), default=0)
        return newest if newest > int(snapshot.number) else 0

    # --- writing --------------------------------------------------------------------------------

    def write(self, snapshot: ConfigurationState, weight: int) -> None:
        """Save the document of `snapshot` with `weight`, and deploy it.

        AppConfig refuses a deployment where another one is in progress, or was made since
        `snapshot`. Raises what boto3 raises, without what it may quote of the document.
        """
        version = (
            self._lower_version(snapshot) if weight == 0 else self._raise_version(snapshot, weight)
        )
        failure: Exception | None = None
        try:
            self._client.start_deployment(
                **self.environment,
                ConfigurationProfileId=self._target.profile,
                ConfigurationVersion=str(version),
                DeploymentStrategyId=self._target.strategy,
                LatestDeploymentNumber=snapshot.latest,
                Description=self._description(weight),
            )
        except AWS_ERRORS as error:
            if code_of(error) != "BadRequestException":
                raise
            failure = redact(error, {})  # a validator may quote other settings
        if failure is not None:
            raise failure  # outside of `except`: its context would quote what was redacted

    def _raise_version(self, snapshot: ConfigurationState, weight: int) -> int:
        """Save a version with `weight`, and one with 0% before it where there may be none.

        A version that was saved here was made of one with 0%, or after one.
        """
        is_ours = snapshot.version.description.startswith(self._description())
        if not (is_ours or snapshot.reading.weight == 0 or self._version_at_zero(snapshot)):
            self._saved_version(snapshot, 0)
        return self._saved_version(snapshot, weight)

    def _lower_version(self, snapshot: ConfigurationState) -> int:
        """Save a version with 0%, or return an earlier one where AppConfig takes no other."""
        try:
            return self._saved_version(snapshot, 0)
        except AWS_ERRORS as error:
            earlier = None if is_transient(error) else self._version_at_zero(snapshot)
            if earlier is None:
                raise
            return earlier

    def _version_at_zero(self, snapshot: ConfigurationState) -> int | None:
        """Return the newest version that is what is deployed with 0%; None: none was found.

        Raises what boto3 raises where another attempt may find one.
        """
        for number in self._numbers_for_zero():
            try:
                answer = self._client.get_hosted_configuration_version(
                    **self.profile, VersionNumber=number
                )
                document = self._document(str(number), answer)
            except AWS_ERRORS as error:
                if is_transient(error):
                    raise
            except WriteRefusedError:
                continue
            else:
                if is_at_zero(document, snapshot.document, self._target):
                    return number
        return None

    def _numbers_for_zero(self) -> Sequence[int]:
        """Return the versions that may have 0%, newest first; none where they cannot be listed."""
        try:
            listed = list(self._listed_versions(self._client.list_hosted_configuration_versions))
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            return ()
        own, zero = self._description(), self._description(0)
        numbers = [
            int(one["VersionNumber"])
            for one in listed
            if one.get("Description") == zero or not one.get("Description", "").startswith(own)
        ]
        return sorted(numbers, reverse=True)[:_MOST_READ]

    def _listed_versions(self, method: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the versions of the profile, without their documents."""
        for page in pages(method, PAGES, **self.profile):
            yield from page.get("Items", ())

    def _description(self, weight: int | str = "") -> str:
        return f"rolloutctl: {self._target.setting} {weight}"

    def _saved_version(self, snapshot: ConfigurationState, weight: int) -> int:
        """Return the number of a version of the document with `weight`, which is saved once."""
        document = with_weight(snapshot.document, self._target, weight)
        content = json.dumps(document, separators=(",", ":")).encode()
        if self._saved[0] != content:
            number = self._save(content, snapshot.version.content_type, self._description(weight))
            self._saved = content, number
        return self._saved[1]

    def _save(self, content: bytes, content_type: str, text: str) -> int:
        """Return the number of a new version."""
        failure: Exception | None = None
        answer: Mapping[str, Any] = {}
        try:
            answer = self._client.create_hosted_configuration_version(
                **self.profile,
                Content=content,
                ContentType=content_type or "application/json",
                Description=text,
            )
        except AWS_ERRORS as error:
            failure = redact(error, {})  # a validator may quote other settings
        if failure is not None:
            raise failure  # outside of `except`: its context would quote what was redacted
        if "VersionNumber" not in answer:
            raise StrangeAnswerError
        return int(answer["VersionNumber"])

    def stop_update(self, snapshot: ConfigurationState) -> str:
        """Stop a deployment of the profile that would hold up 0%; another profile's goes on.

        So does one whose end by a stop would bring a higher weight back: a process that dies then
        would leave that.
        """
        newest = snapshot.newest
        if newest.state not in _STOPPABLE:
            return newest.text
        try:
            earlier, weight = self._earlier_weight(snapshot), snapshot.reading.weight
        except TargetError as error:
            return str(error)
        if weight_in(snapshot.document, self._target) == 0 and earlier != 0:
            return f"{newest.text}, and it brings 0%"
        if weight is not None and (earlier is None or earlier > weight):
            shown = "an unclear weight" if earlier is None else f"{earlier}%"
            return f"{newest.text}, and stopping it would bring {shown} back"
        # While a deployment bakes, it ends only by a revert.
        revert = {"AllowRevert": True} if newest.state == "BAKING" else {}
        try:
            self._client.stop_deployment(
                **self.environment, DeploymentNumber=newest.number, **revert
            )
        except AWS_ERRORS as error:
            action = f"deployment {newest.number} was not stopped (appconfig:StopDeployment)"
            return error_text(action, error)
        return ""

    def _earlier_weight(self, snapshot: ConfigurationState) -> int | None:
        """Return the weight that functions get when the newest deployment is stopped."""
        if snapshot.settled is None:
            return 0
        return weight_in(self._version(snapshot.settled.version).document, self._target)

    def write_problem(self, weight: int, error: Exception, snapshot: ConfigurationState) -> str:
        operation = getattr(error, "operation_name", "StartDeployment")
        text = error_text(f"{self.name} was not set to {weight}% (appconfig:{operation})", error)
        if code_of(error) == "ServiceQuotaExceededException":
            text += "; delete versions of the profile that are not deployed"
        if snapshot.busy is not None:
            text += (
                f"; {snapshot.busy.text}, and an environment takes one deployment at a time: wait "
                "for it, or stop it"
            )
        return text


def _live(own: Sequence[Deployment], settled: Deployment | None) -> Sequence[Deployment]:
    """Return the deployments whose versions functions may have: one, or two while it changes."""
    if not own:
        return ()
    newest = own[0]
    before = [settled] if settled else []
    if newest.state == _COMPLETE or (newest.state in _STOPPABLE and newest.at_once):
        return [newest]
    if newest.state in _STOPPABLE:
        return [newest, *before]
    # What is being taken back, or was: the earlier one is what a write has to keep.
    return [*before, newest] if newest.state == _ROLLING_BACK else before
