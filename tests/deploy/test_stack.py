"""The stack of deploy/ on an emulator: it is created, and its tasks run under its roles.

The emulator evaluates IAM at every call. It runs no containers: a process runs the command of the
task definition with its variables and the keys of the role. It makes no metrics of logs, and does
not evaluate alarms without data: tests/deploy/switch.py models that.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.monthly_cost import LOG_BYTES
from controller.cli import main
from tests.deploy.stack import NAME, Stack, filters
from tests.deploy.switch import matches, state, value
from tests.e2e import role as roles
from tests.e2e.account import POLICY, Account
from tests.e2e.on_call import Answer, changed
from tests.e2e.program import Program
from tests.support import emulator
from tests.support.deep_rows import deep_after
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack

TABLE = "dynamodb://rollouts"
NOTIFY_AND_HOOKS = """
verify_rollback: {absent: '"canary"', present: '"stable"'}
notify:
  - {kind: sns, topic: "arn:aws:sns:us-east-1:123456789012:rollouts"}
  - {kind: eventbridge}
hooks:
  before_advance:
    - {kind: lambda, function: gate}
    - {kind: https, url: "https://ci.example.com/", secret: {secret: hook-key}}
"""
GATED = {
    "criteria:\n": """criteria:
  red: {kind: alarm, alarm: rolloutctl-red}
  clean: {kind: log_events, absent: '"panic"', control: '"request"', log_group: /app/checkout}
""",
    "&beside [": "&beside [red, clean, ",
}


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0%."""
    created = Account.of(ministack, account)
    roles.make_role(created.client("iam"), "handler", {"Service": "lambda.amazonaws.com"})
    created.create()
    return created


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return what `rolloutctl iam` prints."""
    capsys.readouterr()
    assert main(["iam", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def here(shop: Account) -> tuple[str, ...]:
    """Return the options of the account and region of the shop."""
    return ("--account", shop.number, "--region", emulator.REGION)


def parameters(output: str) -> dict[str, str]:
    """Return what `iam --parameters` printed, by name."""
    return dict(line.split("=", 1) for line in output.splitlines())


@pytest.mark.parametrize("bound", ["--bound", "--unbound"])
@pytest.mark.parametrize(
    "more", [False, True], ids=["function alone", "all that a policy can name"]
)
def test_its_roles_may_do_what_iam_prints_and_nothing_else(
    shop: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path, more: bool, bound: str
) -> None:
    policy, where = tmp_path / "policy.yaml", (*here(shop), bound)
    policy.write_text(POLICY.read_text())
    if more:
        policy.write_text(changed(POLICY.read_text(), GATED) + NOTIFY_AND_HOOKS)
        where += ("--kms-key", f"arn:aws:kms:{emulator.REGION}:{shop.number}:key/3be10e2d")
        where += ("--secret-key", f"arn:aws:kms:{emulator.REGION}:{shop.number}:key/4cf21f3e")
    stack = Stack.create(shop, **parameters(printed(capsys, policy, "--parameters", *where)))
    for job, role in (("tick", "TickRole"), ("start", "StartRole")):
        wanted = json.loads(printed(capsys, policy, "--for", job, "--store", TABLE, *where))
        assert stack.role_document(role) == wanted


def test_what_a_kind_of_another_package_needs_is_attached_to_both_tasks(shop: Account) -> None:
    client = shop.client("iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}],
    }
    arn = client.create_policy(PolicyName="packages", PolicyDocument=json.dumps(document))[
        "Policy"
    ]["Arn"]
    stack = Stack.create(shop, ManagedPolicies=arn)
    for role in ("TickRole", "StartRole", "ExecutionRole"):
        attached = client.list_attached_role_policies(RoleName=stack.ids[role])["AttachedPolicies"]
        wanted = [] if role == "ExecutionRole" else [arn]
        assert [one["PolicyArn"] for one in attached] == wanted


def test_a_second_stack_of_the_name_has_log_groups_of_its_own(shop: Account) -> None:
    first = Stack.create(shop)
    first.delete()
    second = Stack.create(shop, CreateTable="no")
    for group in ("Logs", "Ended"):
        assert first.ids[group].startswith(second.ids[group].rpartition("/")[0])
        assert first.ids[group] != second.ids[group]


@pytest.mark.parametrize("bound", deep_after(1, ["--bound", "--unbound"]))
def test_its_tasks_run_as_they_are_defined_under_their_own_roles(
    shop: Account, capsys: pytest.CaptureFixture[str], bound: str
) -> None:
    now = datetime.now(UTC)
    shop.call_directly(now - timedelta(hours=27), now)
    output = printed(capsys, POLICY, "--parameters", *here(shop), bound)
    stack = Stack.create(shop, **parameters(output))
    command = stack.task(stack.scheduled_task()).command
    policy_options = ["--policy", "execution-api"] if bound == "--bound" else []
    assert list(command) == ["tick", "--scheduled", *policy_options]
    started = run(stack, stack.ids["Start"], "start", str(POLICY), "--revision", "abc")
    assert started.status == 0, started.err
    assert shop.pair() == ("10", "false")

    ticked = run(stack, stack.scheduled_task())

    assert ticked.status == 0, ticked.err
    assert ticked.count("tick_completed") == 1
    assert len(ticked.err) <= LOG_BYTES
    (tick_event,) = [line for line in ticked.events if line["event"] == "tick_ended"]
    (published,) = tick_event["_aws"]["CloudWatchMetrics"]
    assert published["Namespace"] == f"rolloutctl/{NAME}"
    for metric in ("RollbacksUnconfirmed", "RolloutsDrifted"):
        datapoints = [value(filters(metric), line) for line in ticked.err.splitlines()]
        assert [datapoint for datapoint in datapoints if datapoint is not None] == [0]
    assert switch_states(stack, ticked) == {"ticks": "OK", "ticks that stopped": "ALARM"}


def test_a_task_or_a_service_without_a_subnet_is_refused(shop: Account) -> None:
    with pytest.raises(ClientError, match="Subnets"):
        Stack.create(shop, Home="service", Subnets="")


def run(stack: Stack, task_arn: str, *instead: str) -> Answer:
    """Run a task as ECS does: its command or `instead`, its variables, and the keys of its role."""
    task = stack.task(task_arn)
    address = stack.account.emulator.environment(stack.account.number)
    path = {"PATH": os.environ.get("PATH", os.defpath)}
    program = Program({**path, **address, **task.variables, **stack.keys(task.role)}, forked=True)
    return program.run(*(instead or task.command))


def switch_states(stack: Stack, ticked: Answer) -> dict[str, str]:
    """Return the states of the switch with this tick each minute, and without the last five.

    The filter and the alarm are those of the created stack.
    """
    logs, cloudwatch = (stack.account.client(one) for one in ("logs", "cloudwatch"))
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack.ids["DeadMansSwitch"]])["MetricAlarms"]
    (pattern,) = [
        found["filterPattern"]
        for found in logs.describe_metric_filters(logGroupName=stack.ids["Logs"])["metricFilters"]
        if found["metricTransformations"][0]["metricName"] == alarm["MetricName"]
    ]
    counted: Any = sum(matches(pattern, line) for line in ticked.err.splitlines())
    assert counted == 1
    return {
        "ticks": state(alarm, [counted] * 5),
        "ticks that stopped": state(alarm, [counted] * 2 + [None] * 5),
    }
