"""The calls of a recording: what exists in the account, and writes that change nothing for long.

The writes are on a function, an alias and a rule without requests, and each is written back as it
was. A function or an alias is written under its RevisionId, so what another program changes
meanwhile is kept; a rule has no such condition. An environment that cannot be read is never
written: the API replaces it as a whole.

IAM: on every resource, because nothing is named beforehand: appconfig:ListApplications,
appconfig:ListDeploymentStrategies, appconfig:ListDeployments, appconfig:ListEnvironments,
cloudformation:DescribeStacks, cloudwatch:DescribeAlarms, cloudwatch:GetMetricData,
cloudwatch:ListMetrics, dynamodb:DescribeTable,
elasticloadbalancing:DescribeListeners, elasticloadbalancing:DescribeLoadBalancers,
elasticloadbalancing:DescribeRules, elasticloadbalancing:DescribeTargetHealth,
iam:SimulatePrincipalPolicy, lambda:GetAlias, lambda:GetFunctionConfiguration,
lambda:GetProvisionedConcurrencyConfig, lambda:ListAliases, lambda:ListFunctions,
lambda:ListProvisionedConcurrencyConfigs, lambda:ListVersionsByFunction, logs:FilterLogEvents. On
resources with the tag rolloutctl-recording: lambda:UpdateFunctionConfiguration, lambda:UpdateAlias
and elasticloadbalancing:ModifyRule.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of
from controller.adapters.iam import ANY, Job, Permission
from controller.adapters.recorder import MISSING, Answer, Recorder, target_groups

_JOBS: Final = {Job.RECORD, Job.RECORD_WRITE}
_READS: Final = tuple(
    Permission(action, ANY, _JOBS)
    for action in (
        "appconfig:ListApplications",
        "appconfig:ListDeploymentStrategies",
        "appconfig:ListDeployments",
        "appconfig:ListEnvironments",
        "cloudformation:DescribeStacks",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "cloudwatch:ListMetrics",
        "dynamodb:DescribeTable",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetHealth",
        "iam:SimulatePrincipalPolicy",
        "lambda:GetAlias",
        "lambda:GetFunctionConfiguration",
        "lambda:GetProvisionedConcurrencyConfig",
        "lambda:ListAliases",
        "lambda:ListFunctions",
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:ListVersionsByFunction",
        "logs:FilterLogEvents",
    )
)

TAG: Final = "rolloutctl-recording"
_WRITES: Final = tuple(
    Permission(action, ANY, {Job.RECORD_WRITE}, tag=TAG)
    for action in (
        "lambda:UpdateFunctionConfiguration",
        "lambda:UpdateAlias",
        "elasticloadbalancing:ModifyRule",
    )
)
IAM: Final = (*_READS, *_WRITES)

_PAGE: Final = 10
_PAST: Final = timedelta(minutes=30)
_COUNTS: Final = (
    ("AWS/Lambda", "Invocations"),
    ("AWS/ApplicationELB", "RequestCount"),
    ("AWS/ApiGateway", "Count"),
)


def record_reads(recorder: Recorder) -> None:
    """Record what Lambda, load balancers, AppConfig, CloudWatch and others answer to readers."""
    caller = recorder.call("sts", "GetCallerIdentity")
    _read_function(recorder)
    _read_load_balancer(recorder)
    _read_appconfig(recorder)
    _read_metrics(recorder)
    recorder.call("cloudwatch", "DescribeAlarms", MaxRecords=_PAGE)
    recorder.call("cloudwatch", "DescribeAlarms", AlarmNames=[MISSING])
    recorder.call("dynamodb", "DescribeTable", TableName=MISSING)
    recorder.call("cloudformation", "DescribeStacks", StackName=MISSING)
    if arn := str(caller.get("Arn", "")):
        recorder.call(
            "iam",
            "SimulatePrincipalPolicy",
            PolicySourceArn=arn,
            ActionNames=["lambda:GetAlias", "lambda:UpdateAlias"],
            ResourceArns=[f"arn:aws:lambda:*:*:function:{MISSING}-{one}" for one in "ab"],
        )


def _read_function(recorder: Recorder) -> None:
    recorder.call("lambda", "GetFunctionConfiguration", FunctionName=MISSING)
    recorder.call("lambda", "GetAlias", FunctionName=MISSING, Name="live")
    functions = recorder.call("lambda", "ListFunctions", MaxItems=_PAGE).get("Functions", ())
    aliased = False
    for function in list(functions)[:3]:
        name = {"FunctionName": function["FunctionName"]}
        recorder.call("lambda", "GetFunctionConfiguration", **name)
        aliases = _items(recorder.call("lambda", "ListAliases", **name), "Aliases")
        if aliases and not aliased:
            aliased = True
            recorder.call("lambda", "GetAlias", **name, Name=aliases[0]["Name"])
            recorder.call(
                "lambda", "GetProvisionedConcurrencyConfig", **name, Qualifier=aliases[0]["Name"]
            )
            recorder.call("lambda", "ListVersionsByFunction", **name)
            recorder.call("lambda", "ListProvisionedConcurrencyConfigs", **name)
    if functions:
        _read_logs(recorder, f"/aws/lambda/{functions[0]['FunctionName']}")
    _read_logs(recorder, f"/{MISSING}")


def _read_logs(recorder: Recorder, group: str) -> None:
    end = recorder.clock.now()
    recorder.call(
        "logs",
        "FilterLogEvents",
        logGroupName=group,
        startTime=int((end - _PAST).timestamp() * 1000),
        endTime=int(end.timestamp() * 1000),
        limit=1,
    )


def _read_load_balancer(recorder: Recorder) -> None:
    found = recorder.call("elbv2", "DescribeLoadBalancers", PageSize=_PAGE)
    for balancer in _items(found, "LoadBalancers")[:1]:
        arn = balancer["LoadBalancerArn"]
        listeners = _items(
            recorder.call("elbv2", "DescribeListeners", LoadBalancerArn=arn), "Listeners"
        )
        for listener in listeners[:1]:
            answer = recorder.call("elbv2", "DescribeRules", ListenerArn=listener["ListenerArn"])
            for group in list(target_groups(answer))[:2]:
                recorder.call(
                    "elbv2", "DescribeTargetHealth", TargetGroupArn=group["TargetGroupArn"]
                )


def _read_appconfig(recorder: Recorder) -> None:
    recorder.call("appconfig", "ListDeploymentStrategies", MaxResults=_PAGE)
    listed = recorder.call("appconfig", "ListApplications", MaxResults=_PAGE)
    for application in _items(listed, "Items")[:3]:
        named = {"ApplicationId": application["Id"], "MaxResults": _PAGE}
        for environment in _items(recorder.call("appconfig", "ListEnvironments", **named), "Items"):
            recorder.call("appconfig", "ListDeployments", **named, EnvironmentId=environment["Id"])


def _read_metrics(recorder: Recorder) -> None:
    end = recorder.clock.now()
    for namespace, name in _COUNTS:
        metric = {"Namespace": namespace, "MetricName": name}
        listed = _items(recorder.call("cloudwatch", "ListMetrics", **metric), "Metrics")
        dimensions = listed[0]["Dimensions"] if listed else [{"Name": "None", "Value": MISSING}]
        query = {"Metric": {**metric, "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"}
        recorder.call(
            "cloudwatch",
            "GetMetricData",
            StartTime=end - _PAST,
            EndTime=end,
            MetricDataQueries=[{"Id": "count", "MetricStat": query}],
        )


def _items(answer: Answer, name: str) -> Sequence[Mapping[str, Any]]:
    items: Sequence[Mapping[str, Any]] = answer.get(name) or ()
    return items


# --- Writes ---------------------------------------------------------------------------------------

VARIABLE: Final = "ROLLOUTCTL_RECORDING"
_WEIGHT: Final = 0.01
_PAGES: Final = 5
_WRITABLE: Final = ("Type", "Order", "ForwardConfig")
_PAUSE: Final = timedelta(seconds=1)
_UPDATE_LIMIT: Final = timedelta(seconds=90)


def record_function_writes(recorder: Recorder, function: str) -> Iterator[str]:
    """Record updates of a function: one during another, a stale one, and one without a change.

    Yields what it left.
    """
    name = {"FunctionName": function}
    before = recorder.call("lambda", "GetFunctionConfiguration", **name)
    variables = _variables(before)
    if variables is None or before.get("LastUpdateStatus") != "Successful":
        yield f"{function}: not written, because its configuration could not be read, or it updates"
        return

    def update(variables: Mapping[str, str], revision: str) -> Answer:
        written = {"Variables": dict(variables)}
        return recorder.call(
            "lambda",
            "UpdateFunctionConfiguration",
            **name,
            Environment=written,
            RevisionId=revision,
        )

    revision = str(before["RevisionId"])
    try:
        first = update({**variables, VARIABLE: "1"}, revision)
        update({**variables, VARIABLE: "2"}, str(first.get("RevisionId", revision)))
        _wait_for_update(recorder, function)
        update(variables, revision)  # refused: the revision is an old one
        applied = recorder.call("lambda", "GetFunctionConfiguration", **name)
        if (same := _variables(applied)) is not None:
            update(same, str(applied["RevisionId"]))
            _wait_for_update(recorder, function)
    finally:
        problem = _remove_variable(recorder, function)
    _wait_for_update(recorder, function)
    yield problem or f"{function}: its variables as before, with a new RevisionId"


def _variables(configuration: Answer) -> dict[str, str] | None:
    """Return the variables of a function; None where there is no answer that shows them."""
    environment = configuration.get("Environment", {})
    if not configuration or "Error" in environment:
        return None
    return dict(environment.get("Variables", {}))


def _remove_variable(recorder: Recorder, function: str) -> str:
    """Take the variable out of the environment as it is now; return what is wrong with that."""
    deadline, problem = recorder.clock.now() + _UPDATE_LIMIT, "it cannot be read"
    while recorder.clock.now() < deadline:
        try:
            now = recorder.answer_of("lambda", "GetFunctionConfiguration", FunctionName=function)
            if (variables := _variables(now)) is not None:
                if variables.pop(VARIABLE, None) is None:
                    return ""
                recorder.answer_of(
                    "lambda",
                    "UpdateFunctionConfiguration",
                    FunctionName=function,
                    Environment={"Variables": variables},
                    RevisionId=now["RevisionId"],
                )
        except AWS_ERRORS as error:
            problem = code_of(error)
        recorder.clock.sleep(_PAUSE)
    return (
        f"{function}: the variable {VARIABLE} may be left in its environment ({problem}); "
        "look, and remove it by hand"
    )


def _wait_for_update(recorder: Recorder, function: str) -> None:
    """Wait until no update is in progress, and record the answer that says so."""
    deadline = recorder.clock.now() + _UPDATE_LIMIT
    name = {"FunctionName": function}
    while recorder.clock.now() < deadline:
        answer = recorder.answer_of("lambda", "GetFunctionConfiguration", **name)
        if answer.get("LastUpdateStatus") != "InProgress":
            break
        recorder.clock.sleep(_PAUSE)
    recorder.call("lambda", "GetFunctionConfiguration", **name)


def record_alias_writes(recorder: Recorder, function: str, alias: str) -> Iterator[str]:
    """Record updates of an alias: weights, none, the same ones, and a stale update.

    Yields what it left.
    """
    name = {"FunctionName": function, "Name": alias}
    before = recorder.call("lambda", "GetAlias", **name)
    others = [
        version
        for version in _versions(recorder, function)
        if version != before.get("FunctionVersion")
    ]
    weights = before.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    if not before or weights or not others:
        yield f"{function}:{alias}: not written, because it needs two versions, and no weights"
        return

    def update(routing: Mapping[str, float], revision: str) -> Answer:
        return recorder.call(
            "lambda",
            "UpdateAlias",
            **name,
            FunctionVersion=before["FunctionVersion"],
            RoutingConfig={"AdditionalVersionWeights": dict(routing)},
            RevisionId=revision,
        )

    first = str(before["RevisionId"])
    answer: Answer = {}
    try:
        answer = update({others[0]: _WEIGHT}, first)
        second = str(answer.get("RevisionId", first))
        update({others[0]: _WEIGHT}, first)  # refused: the revision is an old one
        answer = update({others[0]: _WEIGHT}, second)
        update(dict.fromkeys(others[:2], _WEIGHT), str(answer.get("RevisionId", second)))
    finally:
        current = recorder.call("lambda", "GetAlias", **name)
        if current.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            update({}, str(current["RevisionId"]))
    after = recorder.call("lambda", "GetAlias", **name)
    left = after.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    yield (
        f"{function}:{alias}: weights are left ({left}); remove them by hand"
        if left or not after
        else f"{function}:{alias}: without weights as before, with a new RevisionId"
    )


def _versions(recorder: Recorder, function: str) -> Sequence[str]:
    """Return the numbers of the published versions of a function, the oldest ones at most."""
    found, page = list[str](), dict[str, str]()
    for _ in range(_PAGES):
        answer = recorder.call("lambda", "ListVersionsByFunction", FunctionName=function, **page)
        found += [one["Version"] for one in answer.get("Versions", ())]
        if "NextMarker" not in answer:
            break
        page = {"Marker": answer["NextMarker"]}
    return [one for one in found if one.isdecimal()]


def record_rule_writes(recorder: Recorder, rule: str) -> Iterator[str]:
    """Record updates of a rule: another weight, and its own actions. Yields what it left."""
    before = recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
    rules = before.get("Rules", ())
    actions: Sequence[Mapping[str, Any]] = rules[0]["Actions"] if rules else ()
    groups = list(target_groups(before))
    if [action["Type"] for action in actions] != ["forward"] or len(groups) != 2:
        yield f"{rule}: not written, because it does not forward to two target groups, and no more"
        return
    own = {name: one for name, one in actions[0].items() if name in _WRITABLE}
    other = [{**group, "Weight": abs(int(group.get("Weight", 0)) - 1)} for group in groups]
    moved = {**own, "ForwardConfig": {**own["ForwardConfig"], "TargetGroups": other}}
    try:
        recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[moved])
        recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
        for group in groups:
            recorder.call("elbv2", "DescribeTargetHealth", TargetGroupArn=group["TargetGroupArn"])
    finally:
        recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[own])
    recorder.call("elbv2", "ModifyRule", RuleArn=rule, Actions=[own])
    after = recorder.call("elbv2", "DescribeRules", RuleArns=[rule])
    weights = ", ".join(f"{one.get('Weight')} to {one['TargetGroupArn']}" for one in groups)
    as_before = list(target_groups(after)) == groups
    yield f"{rule}: as before" if as_before else f"{rule}: set its weights by hand: {weights}"
