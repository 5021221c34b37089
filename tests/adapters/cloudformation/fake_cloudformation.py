"""A fake of CloudFormation for single stacks; requests and answers fit botocore's model."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from ruamel.yaml import YAML

from controller.tools.simulation.fakes.errors import client_error
from tests.support.emulator import REGION
from tests.tools.simulation.service_model import hold_to_model

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_SAME = "The submitted information didn't contain changes. Submit different information to create."
_REFUSED = "The following validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."
_numbers = count(1)
TEMPLATE_BYTES = 51_200


@dataclass(slots=True)
class FakeStack:
    """A stack. then: the final status of its operation, after a number of polls."""

    name: str
    id: str
    status: str
    tags: list[dict[str, str]] = field(default_factory=list)
    template: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    looks: int = 0
    then: str = ""

    def note(self, resource: tuple[str, str], status: str, why: str, token: str) -> None:
        """Add an event, the newest first."""
        logical, kind = resource
        event: dict[str, Any] = {
            "StackId": self.id,
            "StackName": self.name,
            "EventId": str(next(_numbers)),
        }
        event |= {"LogicalResourceId": logical, "ResourceType": kind, "ResourceStatus": status}
        event |= {"ResourceStatusReason": why, "ClientRequestToken": token, "Timestamp": NOON}
        self.events.insert(0, {name: one for name, one in event.items() if one})


@dataclass(slots=True)
class FakeCloudFormation:
    """A boto3 client of CloudFormation.

    looks: how many polls see the operation of a stack in progress. prepares: the same for a change
    set. fails: why a resource cannot be created or removed, by its logical id. taken: the same,
    reported when a change set is created. denied: operations that the role may not call. calls: the
    operations that were called.
    """

    looks: int = 1
    prepares: int = 1
    fails: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    denied: Collection[str] = ()
    calls: list[str] = field(default_factory=list)
    stacks: dict[str, FakeStack] = field(default_factory=dict)
    change_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: Any = field(
        default_factory=lambda: SimpleNamespace(events=SimpleNamespace(unregister=lambda *_: None))
    )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        handle: Callable[..., Any] = object.__getattribute__(self, f"_{name}")
        operation = "".join(map(str.title, name.split("_")))

        def call(**request: Any) -> dict[str, Any]:
            self.calls.append(operation)
            if operation in self.denied:
                raise an_error("AccessDenied", "not you", operation)
            return hold_to_model(
                "cloudformation", operation, request, lambda: handle(**request) or {}
            )

        return call

    @property
    def statuses(self) -> dict[str, str]:
        """The stacks that the console lists, with their statuses."""
        stacks = self.stacks.values()
        return {stack.name: stack.status for stack in stacks if stack.status != "DELETE_COMPLETE"}

    def a_stack(self, name: str, status: str, tags: Mapping[str, str], template: str) -> FakeStack:
        """Add an existing stack."""
        stack = f"arn:aws:cloudformation:{REGION}:123456789012:stack/{name}/{next(_numbers)}"
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.stacks[stack] = FakeStack(name, stack, status, listed, template)
        return self.stacks[stack]

    def _stack_of(self, name: str) -> FakeStack:
        for stack in self.stacks.values():
            if stack.id == name or (stack.name == name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise an_error("ValidationError", f"Stack with id {name} does not exist", "Any")

    # --- operations -----------------------------------------------------------------------------

    def _describe_stacks(self, StackName: str) -> Any:
        stack = self._stack_of(StackName)
        if stack.then and stack.looks == 0:
            stack.status, stack.then = stack.then, ""
            stack.note((stack.name, "AWS::CloudFormation::Stack"), stack.status, "", "")
        stack.looks -= 1
        shown = {"StackName": stack.name, "StackId": stack.id, "StackStatus": stack.status}
        return {"Stacks": [{**shown, "CreationTime": NOON, "Tags": stack.tags}]}

    def _get_template(self, StackName: str, TemplateStage: str) -> Any:
        return {
            "TemplateBody": self._stack_of(StackName).template,
            "StagesAvailable": [TemplateStage],
        }

    def _create_change_set(
        self, StackName: str, ChangeSetName: str, ChangeSetType: str = "UPDATE", **more: Any
    ) -> Any:
        if len(more["TemplateBody"].encode()) > TEMPLATE_BYTES:
            message = "'templateBody' failed to satisfy constraint"
            raise client_error("CreateChangeSet", "ValidationError", message)
        if ChangeSetType == "UPDATE":
            stack = self._stack_of(StackName)
        else:
            there = [one for one in self.stacks.values() if one.name == StackName]
            stack = next((one for one in there if one.status == "REVIEW_IN_PROGRESS"), None) or (
                self.a_stack(StackName, "REVIEW_IN_PROGRESS", {}, "")
            )
        identity = f"arn:aws:cloudformation:{REGION}:123456789012:changeSet/{ChangeSetName}/1"
        changes = _differences(_resources(stack.template), _resources(more["TemplateBody"]))
        made = {"stack": stack, "changes": changes, "looks": self.prepares, **more}
        self.change_sets[identity] = made
        return {"Id": identity, "StackId": stack.id}

    def _describe_change_set(self, ChangeSetName: str) -> Any:
        made = self.change_sets[ChangeSetName]
        made["looks"] -= 1
        if made["looks"] >= 0:
            return {"Status": "CREATE_IN_PROGRESS"}
        if self.taken:
            return {"Status": "FAILED", "StatusReason": _REFUSED}
        if not made["changes"]:
            return {"Status": "FAILED", "StatusReason": _SAME}
        changes = [{"Type": "Resource", "ResourceChange": one} for one in made["changes"]]
        return {"Status": "CREATE_COMPLETE", "Changes": changes}

    def _delete_change_set(self, ChangeSetName: str) -> Any:
        del self.change_sets[ChangeSetName]

    def _execute_change_set(self, ChangeSetName: str, ClientRequestToken: str) -> Any:
        made = self.change_sets.pop(ChangeSetName)
        stack: FakeStack = made["stack"]
        new = stack.status == "REVIEW_IN_PROGRESS"
        doing, failed = ("CREATE", "DELETE_COMPLETE") if new else (
            "UPDATE", "UPDATE_ROLLBACK_COMPLETE",
        )  # fmt: skip
        stack.status, stack.looks, stack.tags = f"{doing}_IN_PROGRESS", self.looks, made["Tags"]
        touched = [(one["LogicalResourceId"], one["ResourceType"]) for one in made["changes"]]
        wrong = [one for one in touched if one[0] in self.fails]
        for one in wrong:
            stack.note(one, f"{doing}_FAILED", self.fails[one[0]], ClientRequestToken)
        if wrong:
            others = [one for one in touched if one not in wrong]
            for other in others:
                stack.note(
                    other, f"{doing}_FAILED", "Resource creation cancelled", ClientRequestToken
                )
            stack.then = failed
        else:
            stack.template, stack.then = made["TemplateBody"], f"{doing}_COMPLETE"

    def _delete_stack(self, StackName: str, ClientRequestToken: str = "") -> Any:
        stack = self._stack_of(StackName)
        for logical, why in self.fails.items():
            kind = _resources(stack.template).get(logical, {}).get("Type", "")
            stack.note((logical, kind), "DELETE_FAILED", why, ClientRequestToken)
        stack.status, stack.looks = "DELETE_IN_PROGRESS", self.looks
        stack.then = "DELETE_FAILED" if self.fails else "DELETE_COMPLETE"

    def _describe_stack_events(self, StackName: str) -> Any:
        return {"StackEvents": self._stack_of(StackName).events}

    def _describe_events(self, ChangeSetName: str) -> Any:
        resources = _resources(self.change_sets[ChangeSetName]["TemplateBody"])
        failed = {"EventType": "VALIDATION_ERROR", "ValidationStatus": "FAILED"}
        events = [
            {
                **failed,
                "LogicalResourceId": logical,
                "ResourceType": resources[logical]["Type"],
                "ValidationStatusReason": why,
            }
            for logical, why in self.taken.items()
        ]
        return {"OperationEvents": [*events, {"EventType": "STACK_EVENT"}]}


def an_error(code: str, message: str, operation: str) -> ClientError:
    """Return an error as botocore builds it from an answer."""
    status = {"HTTPStatusCode": 403 if code == "AccessDenied" else 400}
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": status}
    return ClientError(answer, operation)


def _resources(template: str) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(template)["Resources"]) if template else {}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the changes of a change set; a new address replaces its subscription."""
    changes = []
    for name in sorted({**old, **new}):
        kind = {"LogicalResourceId": name, "ResourceType": {**old, **new}[name]["Type"]}
        if name not in new:
            changes.append({"Action": "Remove", **kind})
        elif name not in old:
            changes.append({"Action": "Add", **kind})
        elif old[name] != new[name]:
            replaced = "True" if kind["ResourceType"] == "AWS::SNS::Subscription" else "False"
            changes.append({"Action": "Modify", "Replacement": replaced, **kind})
    return changes
