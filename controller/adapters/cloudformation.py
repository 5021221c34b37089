"""The CloudFormation stack with the monitoring of a policy: alarms, dashboard and topic.

IAM: on the stack of a policy cloudformation:DescribeStacks, cloudformation:GetTemplate,
cloudformation:CreateChangeSet, cloudformation:DescribeChangeSet, cloudformation:DescribeEvents,
cloudformation:ExecuteChangeSet, cloudformation:DeleteChangeSet, cloudformation:DescribeStackEvents,
cloudformation:DeleteStack and, because it is made with a tag, cloudformation:TagResource.
CloudFormation works on the resources with the rights of its caller: on the alarms and the dashboard
of a policy cloudwatch:PutMetricAlarm, cloudwatch:DescribeAlarms, cloudwatch:DeleteAlarms,
cloudwatch:PutDashboard, cloudwatch:GetDashboard, cloudwatch:DeleteDashboards,
cloudwatch:TagResource, cloudwatch:UntagResource and cloudwatch:ListTagsForResource; on its topic
sns:CreateTopic, sns:GetTopicAttributes, sns:SetTopicAttributes, sns:GetDataProtectionPolicy,
sns:DeleteTopic, sns:TagResource, sns:UntagResource, sns:ListTagsForResource,
sns:ListSubscriptionsByTopic and sns:Subscribe; and on everything, because these have no finer
resource, sns:Unsubscribe and sns:GetSubscriptionAttributes.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.iam import (
    ALARM_TOPIC,
    ANY,
    DASHBOARD,
    POLICY_ALARMS,
    STACK,
    Job,
    Permission,
)
from controller.core.units import duration_text
from controller.errors import MonitoringError, UsageError
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.monitoring import NO_TEMPLATE, TAG, Change, Template, resource_name

_TAGS: Final = "TagResource UntagResource ListTagsForResource"
_GRANTS: Final = (
    ("cloudformation", STACK, "CreateChangeSet DescribeChangeSet DescribeEvents ExecuteChangeSet"),
    ("cloudformation", STACK, "DeleteChangeSet DescribeStackEvents DeleteStack TagResource"),
    ("cloudwatch", POLICY_ALARMS, f"PutMetricAlarm DescribeAlarms DeleteAlarms {_TAGS}"),
    ("cloudwatch", DASHBOARD, f"PutDashboard GetDashboard DeleteDashboards {_TAGS}"),
    ("sns", ALARM_TOPIC, f"CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic {_TAGS}"),
    ("sns", ALARM_TOPIC, "GetDataProtectionPolicy ListSubscriptionsByTopic Subscribe"),
    ("sns", ANY, "Unsubscribe GetSubscriptionAttributes"),
)
IAM: Final = (
    Permission("cloudformation:DescribeStacks", STACK, {Job.MONITORING, Job.DOCTOR}),
    Permission("cloudformation:GetTemplate", STACK, {Job.MONITORING, Job.DOCTOR}),
    *(
        Permission(f"{service}:{action}", on, {Job.MONITORING})
        for service, on, actions in _GRANTS
        for action in actions.split()
    ),
)

TEMPLATE_BYTES: Final = 51_200  # CloudFormation takes no more in a request
# Limits for CloudFormation, which takes seconds for a change set and a minute for a stack.
PREPARED_WITHIN: Final = timedelta(minutes=2)
DONE_WITHIN: Final = timedelta(minutes=10)
ASK_EVERY: Final = timedelta(seconds=2)

_EMPTY: Final = "REVIEW_IN_PROGRESS"  # its change set was created and never executed
_IN_PROGRESS: Final = ("_IN_PROGRESS", "_PENDING")
_GONE: Final = "DELETE_COMPLETE"
_DONE: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_CHANGEABLE: Final = (*_DONE, "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", _EMPTY)
# CloudFormation reports a change set without changes as a failure, in these words.
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")


class ExistingStack(Immutable):
    """A deployed stack. status: as CloudFormation spells it. template: the deployed one."""

    id: str
    status: str
    template: Template

    @property
    def empty(self) -> bool:
        """Whether no change set of it was ever executed."""
        return self.status == _EMPTY


class Stack:
    """The stack of a policy, on a boto3 client of CloudFormation whose GetTemplate returns text.

    Every method raises MonitoringError.
    """

    def __init__(self, client: Any, clock: Clock, policy: str) -> None:
        self._client, self._clock = client, clock
        self._tag = {"Key": TAG, "Value": policy}
        self.name = resource_name(policy)

    def find(self) -> ExistingStack | None:
        """Return the stack; None when there is none.

        Raises UsageError when a stack of that name does not carry the tag of the policy. An empty
        one may lack it: CloudFormation tags a stack when it creates the resources.
        """
        described = self._describe(self.name)
        if described is None:
            return None
        stack, status = described["StackId"], described["StackStatus"]
        if status == _EMPTY:
            return ExistingStack(stack, status, NO_TEMPLATE)
        if self._tag not in described.get("Tags", ()):
            raise UsageError(
                f"rolloutctl did not make the stack {self.name}: it has no tag "
                f"{TAG}={self._tag['Value']}; nothing was changed. Remove it, or rename the policy"
            )
        answer = self._ask("get_template", StackName=stack, TemplateStage="Original")
        return ExistingStack(stack, status, parsed(answer["TemplateBody"]))

    def change(
        self, existing: ExistingStack | None, template: Template, *, execute: bool
    ) -> tuple[list[Change], str]:
        """Return the changes from the `existing` stack to `template`, and the status afterwards.

        Without `execute`, or without changes, the change set is deleted and the status is empty.
        """
        if existing is not None and existing.status not in _CHANGEABLE:
            busy = existing.status.endswith(_IN_PROGRESS)
            remedy = "" if busy else " after `rolloutctl monitoring remove POLICY`"
            raise MonitoringError(
                f"stack {self.name} cannot be changed while it is {existing.status}: "
                f"run again{remedy}"
            )
        body = as_yaml(template)
        if (size := len(body.encode())) > TEMPLATE_BYTES:
            raise MonitoringError(
                f"the template of stack {self.name} has {size:,} bytes, and CloudFormation takes "
                f"{TEMPLATE_BYTES:,}: watch fewer criteria, or divide them between two policies"
            )
        # A stack whose creation failed can never be changed, so CloudFormation deletes it.
        new = {"ChangeSetType": "CREATE", "OnStackFailure": "DELETE"}
        token = f"rolloutctl-{uuid4()}"
        change_set = self._ask(
            "create_change_set",
            StackName=self.name,
            ChangeSetName=token,
            ClientToken=token,
            TemplateBody=body,
            Tags=[self._tag],
            **(new if existing is None or existing.empty else {}),
        )
        executed = False
        try:
            changes = self._changes(change_set["Id"])
            if changes and execute:
                executed = True
                self._ask(
                    "execute_change_set", ChangeSetName=change_set["Id"], ClientRequestToken=token
                )
                return changes, self._end(change_set["StackId"], token)
        finally:
            if not executed:
                stack = change_set["StackId"]
                self._ask("delete_change_set", ChangeSetName=change_set["Id"])
                if self._status(stack) == _EMPTY:  # it was never created
                    self._ask("delete_stack", StackName=stack)
                    self._end(stack, begins="DELETE_")
        return changes, ""

    def remove(self, existing: ExistingStack) -> None:
        """Delete the stack with all its resources."""
        token = f"rolloutctl-{uuid4()}"
        self._ask("delete_stack", StackName=existing.id, ClientRequestToken=token)
        self._end(existing.id, token, "DELETE_")

    def _changes(self, change_set: str) -> list[Change]:
        """Return the changes of a change set, after CloudFormation has prepared it."""

        def status() -> str:
            return str(self._ask("describe_change_set", ChangeSetName=change_set)["Status"])

        self._wait(status, PREPARED_WITHIN)
        answer = self._ask("describe_change_set", ChangeSetName=change_set)
        reason = answer.get("StatusReason", "")
        if answer["Status"] == "CREATE_COMPLETE":
            return [_change(one["ResourceChange"]) for one in answer.get("Changes", ())]
        if any(change in reason for change in _NO_CHANGES):
            return []
        causes = self._causes("describe_events", "OperationEvents", ChangeSetName=change_set)
        raise MonitoringError(
            f"CloudFormation refuses to change stack {self.name}: {reason}; fix what it names, and "
            "run again",
            *causes,
        )

    def _end(self, stack: str, token: str = "", begins: str = "") -> str:
        """Wait for the end of an operation, and return the status of its stack.

        begins: the prefix of the status to wait for. Raises MonitoringError, with the resources
        that failed, unless the operation succeeded.
        """
        status = self._wait(lambda: self._status(stack), DONE_WITHIN, begins)
        if status in ((_GONE,) if begins else _DONE):
            return status
        causes = self._causes("describe_stack_events", "StackEvents", token, StackName=stack)
        raise MonitoringError(
            f"CloudFormation failed, and stack {self.name} is {status} now; fix what failed, and "
            "run again",
            *causes,
        )

    def _causes(self, method: str, part: str, token: str = "", **request: str) -> Iterator[str]:
        """Yield the failed resources with their reasons, in order of time.

        token: of the only operation to look at; empty: all. One page is enough: it holds more
        events than a template has resources.
        """
        try:
            events = self._ask(method, **request).get(part, ())
        except MonitoringError as error:
            yield str(error)
            return
        for event in reversed(events):
            status = event.get("ValidationStatus") or event.get("ResourceStatus", "")
            reason = event.get("ValidationStatusReason") or event.get("ResourceStatusReason", "")
            matches = not token or event.get("ClientRequestToken") == token
            if matches and status.endswith("FAILED") and "cancelled" not in reason:
                yield f"{event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason}"

    def _status(self, stack: str) -> str:
        described = self._describe(stack)
        return _GONE if described is None else str(described["StackStatus"])

    def _describe(self, stack: str) -> Any:
        """Return the description of a stack; None when there is none."""
        try:
            return self._ask("describe_stacks", StackName=stack)["Stacks"][0]
        except MonitoringError as error:
            if error.context["code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise

    def _wait(self, read: Callable[[], str], within: timedelta, begins: str = "") -> str:
        """Poll `read` until the status begins with `begins` and no operation is in progress.

        Returns that status. Raises MonitoringError when `within` is over.
        """
        deadline = self._clock.now() + within
        while not (status := read()).startswith(begins) or status.endswith(_IN_PROGRESS):
            if self._clock.now() >= deadline:
                raise MonitoringError(
                    f"stack {self.name} is {status} after {duration_text(within)}; run again later"
                )
            self._clock.sleep(ASK_EVERY)
        return status

    def _ask(self, method: str, **request: Any) -> Any:
        try:
            return getattr(self._client, method)(**request)
        except AWS_ERRORS as error:
            action = "".join(map(str.title, method.split("_")))
            doing = f"stack {self.name} (cloudformation:{action})"
            raise MonitoringError(error_text(doing, error), code=code_of(error)) from error


def _change(change: Mapping[str, Any]) -> Change:
    """Return a change; one that may replace its resource counts as a replacement."""
    replaces = change.get("Replacement") in ("True", "Conditional")
    action = "replace" if replaces else change["Action"].lower()
    return Change(action, change["LogicalResourceId"], change["ResourceType"])


# --- Templates as text ----------------------------------------------------------------------------


def as_yaml(template: Template) -> str:
    """Return the template as YAML."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.indent(sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    text = io.StringIO()
    yaml.dump(template, text)
    return text.getvalue()


def parsed(text: str) -> Template:
    """Return the template in `text`; NO_TEMPLATE when it has tags, which rolloutctl never uses."""
    try:
        return dict(YAML(typ="safe").load(text))
    except YAMLError:
        return NO_TEMPLATE
