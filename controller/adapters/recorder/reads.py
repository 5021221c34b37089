"""The reading calls of a recording: what exists in the account, and what does not.

IAM: on every resource, because nothing is named beforehand: appconfig:ListApplications,
appconfig:ListDeploymentStrategies, appconfig:ListDeployments, appconfig:ListEnvironments,
cloudformation:DescribeStacks, cloudwatch:DescribeAlarms, cloudwatch:GetMetricData,
cloudwatch:ListMetrics, dynamodb:DescribeTable,
elasticloadbalancing:DescribeListeners, elasticloadbalancing:DescribeLoadBalancers,
elasticloadbalancing:DescribeRules, elasticloadbalancing:DescribeTargetHealth,
iam:SimulatePrincipalPolicy, lambda:GetAlias, lambda:GetFunctionConfiguration,
lambda:GetProvisionedConcurrencyConfig, lambda:ListAliases, lambda:ListFunctions,
lambda:ListProvisionedConcurrencyConfigs, lambda:ListVersionsByFunction, logs:FilterLogEvents.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from controller.adapters.iam.permission import ANY, Job, Permission
from controller.adapters.recorder.recorder import MISSING, Answer, Recorder, target_groups

_JOBS: Final = {Job.RECORD, Job.RECORD_WRITE}
IAM: Final = tuple(
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
