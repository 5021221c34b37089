"""How a percentage in AWS AppConfig becomes permanent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.render.text_templates import text_of
from controller.tools.permanent.guide import TEMPLATES, keep_the_record, old_path_is_unused

# What deploys another weight than the one that the rollout left.
RESETS: Final = (
    "a template or pipeline that saves and deploys a version of the profile: it sends the whole "
    "document, with the old weight (CloudFormation, CDK, Terraform, CodePipeline)",
    "a person who deploys an earlier version, or one that was saved from it",
    "StopDeployment with AllowRevert on the last deployment, for 72 hours",
)


class AppConfigGuide:
    """`Guide` for a hosted configuration."""

    def __init__(self, policy: Policy, target: AppConfigFlag) -> None:
        self._policy, self._target = policy, target
        self.resource = target.name
        self.values: Mapping[str, str] = target.settings(100)
        self.resets: Sequence[str] = RESETS

    def change(self, form: str) -> str:
        """Return the change of the template in one form."""
        return text_of(
            TEMPLATES / f"appconfig.{form}.txt",
            profile=self._target.profile,
            flag=self._target.flag,
            attribute=self._target.attribute,
        )

    def checklist(self, until: str) -> Iterator[str]:
        """Yield what is left to do, in order."""
        name, setting = self._policy.name, self._target.setting
        yield (
            "see that the template has every other flag and setting of the profile: a deployment "
            "replaces all of it; without a template there is nothing to change, the account has it"
        )
        yield "deploy the change; `rolloutctl doctor POLICY` then shows 100% applied"
        yield (
            f"keep the old path{until}: `rolloutctl rollback {name}` needs it. After a rollback "
            "revert the change too, or the next deployment undoes the rollback"
        )
        yield from old_path_is_unused(self._policy)
        yield "remove the flag and the old path from the code, and deploy it"
        yield f"remove {setting} from the profile, and deploy that"
        yield (
            "remove from the function's role what only the old path and the flag needed "
            "(appconfig:StartConfigurationSession and appconfig:GetLatestConfiguration)"
        )
        yield keep_the_record(self._policy)
        yield (
            "run rolloutctl monitoring remove POLICY; then remove the policy from the repository, "
            "and the schedule and its role where no other rollout needs them"
        )
