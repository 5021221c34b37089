"""Calls AWS, and keeps of each request and its answer what a recording may contain.

That is the fields of `FIELDS`, and nothing else. A number, a boolean and the time since the
recording began are written as they are. Text is written only where AWS chose it: a value that
botocore's model lists, the name of one of AWS's own metrics, or the number of a version. Every
other text becomes a name made from its field, the same one each time: `RevisionId-2`; in an ARN,
each part of the resource does, and region and account are left out. Of a map of texts, such as an
environment, only the number of keys is left.

Which calls a recording makes is in `calls`, and the verb in `tools/record.py`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from botocore import xform_name
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of
from controller.immutable import Immutable, field, fields_of
from controller.ports.clock import Clock

Tree: TypeAlias = dict[str, "Tree"]

_CONFIGURATION: Final = """FunctionName FunctionArn Version RevisionId State StateReasonCode
    LastUpdateStatus LastUpdateStatusReasonCode PackageType Timeout SnapStart.ApplyOn
    SnapStart.OptimizationStatus Environment.Variables Environment.Error.ErrorCode"""
_ALIAS: Final = """Name AliasArn FunctionVersion RevisionId
    RoutingConfig.AdditionalVersionWeights"""
_CONCURRENCY: Final = """FunctionName Qualifier Status
    RequestedProvisionedConcurrentExecutions AvailableProvisionedConcurrentExecutions
    AllocatedProvisionedConcurrentExecutions"""
_GROUPS: Final = "ForwardConfig.TargetGroups.TargetGroupArn ForwardConfig.TargetGroups.Weight"

# By operation: fields of request and answer, as paths; lists are passed over.
FIELDS: Final[Mapping[str, str]] = {
    "GetCallerIdentity": "Account Arn",
    "ListFunctions": "MaxItems Functions.FunctionName Functions.RevisionId Functions.Version",
    "GetFunctionConfiguration": _CONFIGURATION,
    "UpdateFunctionConfiguration": _CONFIGURATION,
    "ListAliases": " ".join(["FunctionName", *(f"Aliases.{one}" for one in _ALIAS.split())]),
    "GetAlias": f"FunctionName {_ALIAS}",
    "UpdateAlias": f"FunctionName {_ALIAS}",
    "ListVersionsByFunction": "FunctionName Versions.Version Versions.RevisionId Versions.State",
    "GetProvisionedConcurrencyConfig": _CONCURRENCY,
    "ListProvisionedConcurrencyConfigs": "FunctionName ProvisionedConcurrencyConfigs.Status",
    "DescribeLoadBalancers": """PageSize LoadBalancers.LoadBalancerArn LoadBalancers.Type
        LoadBalancers.State.Code""",
    "DescribeListeners": """LoadBalancerArn Listeners.ListenerArn Listeners.Protocol
        Listeners.DefaultActions.Type""",
    "DescribeRules": f"""ListenerArn RuleArns Rules.RuleArn Rules.IsDefault Rules.Actions.Type
        {" ".join(f"Rules.Actions.{one}" for one in _GROUPS.split())}""",
    "ModifyRule": f"""RuleArn Actions.Type {" ".join(f"Actions.{one}" for one in _GROUPS.split())}
        Rules.RuleArn Rules.IsDefault Rules.Actions.Type
        {" ".join(f"Rules.Actions.{one}" for one in _GROUPS.split())}""",
    "DescribeTargetHealth": """TargetGroupArn TargetHealthDescriptions.TargetHealth.State
        TargetHealthDescriptions.TargetHealth.Reason""",
    "ListDeploymentStrategies": """MaxResults Items.DeploymentDurationInMinutes
        Items.FinalBakeTimeInMinutes Items.GrowthType Items.GrowthFactor""",
    "ListApplications": "MaxResults Items.Id",
    "ListEnvironments": "ApplicationId MaxResults Items.Id Items.State",
    "ListDeployments": """ApplicationId EnvironmentId MaxResults Items.DeploymentNumber
        Items.ConfigurationProfileId Items.State Items.PercentageComplete
        Items.DeploymentDurationInMinutes Items.FinalBakeTimeInMinutes Items.StartedAt
        Items.CompletedAt""",
    "ListMetrics": """Namespace MetricName RecentlyActive Metrics.Namespace Metrics.MetricName
        Metrics.Dimensions.Name""",
    "GetMetricData": """StartTime EndTime MetricDataQueries.Id
        MetricDataQueries.MetricStat.Metric.Namespace
        MetricDataQueries.MetricStat.Metric.MetricName
        MetricDataQueries.MetricStat.Metric.Dimensions.Name MetricDataQueries.MetricStat.Period
        MetricDataQueries.MetricStat.Stat MetricDataResults.Id MetricDataResults.StatusCode
        MetricDataResults.Timestamps""",
    "DescribeAlarms": """AlarmNames AlarmTypes MaxRecords MetricAlarms.StateValue
        MetricAlarms.StateUpdatedTimestamp MetricAlarms.TreatMissingData
        MetricAlarms.EvaluationPeriods MetricAlarms.DatapointsToAlarm CompositeAlarms.StateValue""",
    "FilterLogEvents": "startTime endTime limit events.timestamp events.ingestionTime",
    "DescribeTable": "TableName Table.TableStatus Table.DeletionProtectionEnabled",
    "SimulatePrincipalPolicy": """ActionNames ResourceArns EvaluationResults.EvalActionName
        EvaluationResults.EvalResourceName EvaluationResults.EvalDecision
        EvaluationResults.ResourceSpecificResults.EvalResourceName
        EvaluationResults.ResourceSpecificResults.EvalResourceDecision IsTruncated""",
    "DescribeStacks": "StackName Stacks.StackStatus",
}

# Text that AWS chose, although botocore's model does not list it. Each is read of AWS's own
# namespaces alone, and the actions and statistics are those that the recording asks for.
_OF_AWS: Final = frozenset(
    {
        *("Namespace", "MetricName", "Stat", "Protocol", "ActionNames", "Id"),
        *("Dimensions.Name", "ErrorCode", "EvalActionName"),
    }
)
# Of an ARN, the parts of its resource that are the same in every account.
_ARN: Final = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]+):[a-z0-9-]*:[0-9]*:(.+)")
_RESOURCES: Final = frozenset(
    {
        *("function", "loadbalancer", "listener", "listener-rule", "targetgroup", "app", "net"),
        *("role", "assumed-role", "user", "root"),
    }
)
_WORD: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,60}")
_VERSION: Final = re.compile(r"\$LATEST|[0-9]{1,6}")
# What a recording asks for to see how AWS answers that it does not exist.
MISSING: Final = "rolloutctl-recording-of-nothing"
_VERSIONED: Final = frozenset({"Version", "FunctionVersion", "Qualifier"})
_MOST_ITEMS: Final = 20  # of a list; an account may have thousands


class Names:
    """The names that stand for texts of an account: the same text has the same name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, member: str, text: str) -> str:
        """Return the name of `text`, which was first seen in the field `member`."""
        if text not in self._names:
            self._counts[member] = self._counts.get(member, 0) + 1
            self._names[text] = f"{member}-{self._counts[member]}"
        return self._names[text]


class Writer:
    """Writes requests and answers as what may be recorded of them. start: of the recording."""

    def __init__(self, start: datetime) -> None:
        self._names, self._start = Names(), start

    def fields(self, operation: str, shape: Any, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the recorded fields of `value`, a request or an answer of `operation`.

        shape: botocore's shape of it; None where the operation answers nothing.
        """
        if shape is None:
            return {}
        found: dict[str, Any] = self._written(shape, value, _tree(FIELDS[operation]), "")
        return found

    def _written(self, shape: Any, value: Any, tree: Tree, path: str) -> Any:
        match shape.type_name:
            case "structure":
                return {
                    name: self._written(shape.members[name], value[name], below, f"{path}.{name}")
                    for name, below in tree.items()
                    if name in shape.members and value.get(name) is not None
                }
            case "list":
                return [self._written(shape.member, one, tree, path) for one in value[:_MOST_ITEMS]]
            case "map":
                return self._written_map(shape, value)
            case "string":
                return self._text(shape, value, path)
            case "timestamp":
                return self.seconds(value)
            case "blob":
                return ""
            case _:
                return value

    def _written_map(self, shape: Any, value: Mapping[str, Any]) -> dict[str, Any]:
        if shape.value.type_name == "string":  # an environment
            return {f"key-{number}": "" for number, _ in enumerate(value, 1)}
        return {
            key if _VERSION.fullmatch(key) else self._names.of("key", key): number
            for key, number in value.items()
        }

    def _text(self, shape: Any, text: str, path: str) -> str:
        *_, parent, member = path.split(".")
        of_aws = {member, f"{parent}.{member}"} & _OF_AWS and _WORD.fullmatch(text)
        version = member in _VERSIONED and _VERSION.fullmatch(text)
        if of_aws or version or text in shape.enum:
            return text
        if arn := _ARN.fullmatch(text):
            resource = "".join(self._part(member, one) for one in re.split("([:/])", arn[3]))
            return f"arn:{arn[1]}:{arn[2]}:region:000000000000:{resource}"
        return text if MISSING in text else self._names.of(member, text)

    def _part(self, member: str, text: str) -> str:
        known = text in _RESOURCES or text in ":/" or MISSING in text or _VERSION.fullmatch(text)
        return text if known else self._names.of(member, text)

    def seconds(self, moment: datetime) -> int:
        """Return the seconds from the start of the recording to `moment`; below 0: before it."""
        return round((moment - self._start).total_seconds())


def _tree(paths: str) -> Tree:
    """Return the fields that `paths` lead through, as tables within tables."""
    tree: Tree = {}
    for path in paths.split():
        place = tree
        for name in path.split("."):
            place = place.setdefault(name, {})
    return tree


# --- Calls ----------------------------------------------------------------------------------------

Answer = Mapping[str, Any]
_NOTHING: Final[Answer] = {}


def target_groups(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """Yield each target group, with its weight, that the rules of an answer forward to."""
    for rule in answer.get("Rules", ()):
        for action in rule.get("Actions", ()):
            yield from action.get("ForwardConfig", {}).get("TargetGroups", ())


class RecordedCall(Immutable):
    """One call of a recording, without anything that is not in `FIELDS`.

    after_s: seconds from the start of the recording to the answer.
    error: status, code and the form of the message of a refusal; empty where AWS answered.
    not_valid: why rolloutctl takes the answer for none of AWS; empty for one that it takes.
    """

    service: str
    operation: str
    after_s: int
    request: dict[str, Any]
    answer: dict[str, Any] = field(default_factory=dict)
    error: dict[str, int | str] = field(default_factory=dict)
    not_valid: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """What a file says of the call, without the service that the file is about."""
        fields = {name: value for name, value in fields_of(self).items() if name != "service"}
        return {name: value for name, value in fields.items() if value != "" and value != {}}


class Recorder:
    """Records calls. open_client: returns the client of a service."""

    def __init__(self, open_client: Callable[[str], Any], clock: Clock) -> None:
        self.calls: list[RecordedCall] = []
        self.clock = clock
        self._open_client = open_client
        self._writer = Writer(clock.now())

    def call(self, service: str, operation: str, **request: Any) -> Answer:
        """Make one call, record it, and return the answer; empty when there is none."""
        model = self._open_client(service).meta.service_model.operation_model(operation)
        recorded: dict[str, Any] = {}
        answer = _NOTHING
        try:
            answer = self.answer_of(service, operation, **request)
            recorded["answer"] = self._writer.fields(operation, model.output_shape, answer)
        except StrangeAnswerError as error:
            recorded["not_valid"] = error.problem
        except AWS_ERRORS as error:
            recorded["error"] = _refusal(error)
        self.calls.append(
            RecordedCall(
                service,
                operation,
                self._writer.seconds(self.clock.now()),
                self._writer.fields(operation, model.input_shape, request),
                **recorded,
            )
        )
        return answer

    def answer_of(self, service: str, operation: str, **request: Any) -> Answer:
        """Return the answer to a call that is not recorded. Raises what boto3 raises."""
        answer: Answer = getattr(self._open_client(service), xform_name(operation))(**request)
        return answer


def _refusal(error: Exception) -> dict[str, int | str]:
    """Return status and code of an error, and whether its message is a text, null or missing."""
    if not isinstance(error, ClientError):
        return {"code": code_of(error)}
    details: Mapping[str, object] = error.response.get("Error", {})
    message = details.get("Message", "missing")
    form = "null" if message is None else "missing" if message == "missing" else "text"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return {"status": status, "code": code_of(error), "message": form}
