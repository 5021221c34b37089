"""How the variables of a function become permanent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.render.text_templates import text_of
from controller.tools.permanent.guide import TEMPLATES, keep_the_record, old_path_is_unused

# STACK-LOGICALID-RANDOM: the name that CloudFormation generates for an unnamed resource.
_GENERATED_NAME: Final = re.compile(
    r"(?P<stack>[A-Za-z0-9-]+)-(?P<id>[A-Za-z0-9]+)-[A-Za-z0-9]{12,13}"
)

# What resets the variables to those of the template, until it has 100.
RESETS: Final = (
    "a change of any other variable of the function in its template: CloudFormation and CDK send "
    "the whole environment, with the old values or without these",
    "cdk deploy --revert-drift, and a change set with DeploymentMode REVERT_DRIFT",
    "terraform apply, unless lifecycle.ignore_changes names both variables",
    "a stack that fails and rolls back to its last template",
)


class LambdaEnvGuide:
    """`Guide` for the environment of a Lambda function."""

    def __init__(self, policy: Policy, target: LambdaEnv) -> None:
        self._policy = policy
        self.resource: str = target.name.rpartition(":")[2]
        self.values: Mapping[str, str] = target.settings(100)
        self.resets: Sequence[str] = RESETS

    def change(self, form: str) -> str:
        generated = _GENERATED_NAME.fullmatch(self.resource)
        return text_of(
            TEMPLATES / f"lambda-env.{form}.txt",
            function=self.resource,
            id=generated["id"] if generated else "Function",
            stack=generated["stack"] if generated else "",
            values=self.values,
            width=max(map(len, self.values)),
        )

    def checklist(self, until: str) -> Iterator[str]:
        name = self._policy.name
        yield (
            "see that the template has every other variable of the function: a deployment replaces "
            "its environment as a whole"
        )
        yield "deploy the change; `rolloutctl doctor POLICY` then shows 100% applied"
        yield (
            f"keep the old path{until}: `rolloutctl rollback {name}` needs it. After a rollback "
            "revert the change too, or the next deployment undoes the rollback"
        )
        yield from old_path_is_unused(self._policy)
        yield f"remove the flag and the old path from the code of {self.resource}, and deploy it"
        yield f"remove {' and '.join(self.values)} from the template, and deploy that"
        yield (
            "remove from the function's role what only the old path needed (lambda:InvokeFunction "
            "on what was called directly), and the alarms, dashboards and filters of that path"
        )
        yield keep_the_record(self._policy)
        yield (
            "run rolloutctl monitoring remove POLICY; then remove the policy from the repository, "
            "and the schedule and its role where no other rollout needs them"
        )
