"""How the version of an alias becomes permanent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.render.text_templates import text_of
from controller.tools.permanent.guide import TEMPLATES, keep_the_record, old_path_is_unused

# What gives the alias another version than the one that the rollout left it with.
RESETS: Final = (
    "AutoPublishAlias of SAM, and currentVersion of CDK: a deployment of other code gives the "
    "alias the new version at once, with all requests",
    "a CodeDeploy deployment of the alias, as DeploymentPreference of SAM makes it",
    "a change of the alias in its template: CloudFormation and CDK send its version, and its "
    "weights or none",
    "cdk deploy --revert-drift, and a change set with DeploymentMode REVERT_DRIFT",
    "terraform apply, unless lifecycle.ignore_changes names function_version and routing_config",
    "a stack that fails and rolls back to its last template",
)


class LambdaAliasGuide:
    """`Guide` for an alias of a Lambda function."""

    def __init__(self, policy: Policy, target: LambdaAlias) -> None:
        self._policy = policy
        self._function, self._alias = target.function.rpartition(":")[2], target.alias
        self._canary, self._stable = target.canary or "VERSION", target.stable or "the old version"
        self.resource = f"{self._function}:{self._alias}"
        self.values: Mapping[str, str] = {"FunctionVersion": self._canary}
        self.resets: Sequence[str] = RESETS

    def change(self, form: str) -> str:
        return text_of(
            TEMPLATES / f"lambda-alias.{form}.txt",
            function=self._function,
            alias=self._alias,
            version=self._canary,
        )

    def checklist(self, until: str) -> Iterator[str]:
        yield (
            "remove AutoPublishAlias and DeploymentPreference from the template where it has them: "
            "publish versions by AWS::Lambda::Version, and let rolloutctl move the alias"
        )
        yield (
            f"deploy the change; the alias has version {self._canary} before and after: "
            f"aws lambda get-alias --function-name {self._function} --name {self._alias}"
        )
        yield (
            f"keep version {self._stable}{until}: `rolloutctl rollback {self._policy.name}` needs "
            "it. After a rollback revert the change too, or the next deployment undoes the rollback"
        )
        yield from old_path_is_unused(self._policy)
        yield (
            f"take provisioned concurrency from version {self._stable}, and delete it where "
            "nothing else names it"
        )
        yield keep_the_record(self._policy)
        yield (
            "keep the policy: the next published version is its next rollout (rolloutctl start "
            "POLICY)"
        )
