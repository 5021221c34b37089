"""iam: the permissions of a role, from a policy, a store and the job of the role."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.aws.clients import Clients
from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.cases import cases
from tests.support.stage import SECRET, SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION

ACCOUNT = "123456789012"
HERE = ("--account", ACCOUNT, "--region", "eu-central-1")
TABLE = ("--store", "dynamodb://rollouts")
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/3be10e2d-0000-4be4-bc9d-0405a71945cc"

IN_TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/rollouts"


@pytest.fixture
def quiet(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> CliHarness:
    """A desk whose environment names neither a store nor a region."""
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    return desk


def statements(desk: CliHarness, *options: str, policy: str = "") -> dict[str, dict[str, Any]]:
    """Return the statements of the printed policy document by their Sid."""
    ended = desk.run("iam", policy or desk.policy, *options)
    assert ended.status == Exit.DONE, ended.err
    assert ended.data["Version"] == "2012-10-17"
    by_sid = {one.pop("Sid"): one for one in ended.data["Statement"]}
    assert all(one.pop("Effect") == "Allow" for one in by_sid.values())
    return by_sid


LOCKS = [
    f"LOCK#arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{FUNCTION}#{name}"
    for name in ("PERCENTAGE", "ENABLED")
]
ALL_KEYS = ["ROLLOUT#*", "HISTORY#*", "LOWER#*", "LOCK#*"]
OWN: dict[str, dict[str, Any]] = {
    "ForAllValues:StringLike": {
        "dynamodb:LeadingKeys": ["ROLLOUT#orders", "HISTORY#orders#*", "LOWER#orders#*", *LOCKS]
    },
    "Null": {"dynamodb:LeadingKeys": "false"},
}


@pytest.fixture
def second(desk: CliHarness) -> str:
    """The file of another policy, of another function."""
    return desk.another_policy("other", target={**SHORT_POLICY["target"], "function": "second"})


def test_a_role_of_several_policies_is_bound_to_the_keys_of_each(
    desk: CliHarness, second: str
) -> None:
    statement = statements(desk, second, *HERE, *TABLE)["TableOwn"]["Condition"]
    keys = statement["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert set(keys) > set(OWN["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
    assert {"ROLLOUT#other", "HISTORY#other#*"} < set(keys)
    assert [key for key in keys if key.startswith("LOCK#") and ":function:second#" in key]


def keys(statement: Mapping[str, Any]) -> list[str]:
    """Return the partition keys that a statement is bound to."""
    found: list[str] = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    return found


def test_a_role_that_may_only_lower_writes_requests_for_rollbacks_and_nothing_else(
    desk: CliHarness,
) -> None:
    by_sid = statements(desk, *HERE, *TABLE, "--for", "lower-only")
    assert by_sid["TableLower"] == {
        "Action": ["dynamodb:PutItem"],
        "Resource": [IN_TABLE],
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LOWER#orders#*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    }
    del by_sid["TableLower"]
    assert by_sid == statements(desk, *HERE, *TABLE, "--for", "look")


def test_the_format_of_a_table_is_read_by_starts_and_written_by_its_upgrade(
    desk: CliHarness,
) -> None:
    actions = {
        job: statements(desk, *HERE, *TABLE, "--for", job).get("TableFormat", {}).get("Action", [])
        for job in ("tick", "people", "start", "store-init", "store-upgrade", "owner")
    }
    assert actions == {
        "tick": [], "people": [], "owner": [],
        "start": ["dynamodb:GetItem"],
        "store-init": ["dynamodb:UpdateItem"],
        "store-upgrade": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
    }  # fmt: skip


def test_what_is_done_to_a_whole_table_is_bound_to_no_policy(desk: CliHarness) -> None:
    for job in ("copy-from", "copy-to", "store-init", "store-check", "store-upgrade", "owner"):
        assert "TableOwn" not in statements(desk, *HERE, *TABLE, "--for", job)
    both = statements(desk, *HERE, *TABLE, "--for", "tick", "--for", "copy-to")
    assert keys(both["TableAll"]) == ALL_KEYS
    assert "dynamodb:UpdateItem" not in both["TableAll"]["Action"]
    assert "dynamodb:UpdateItem" in both["TableOwn"]["Action"]


def test_who_looks_without_a_policy_looks_at_all_of_them(desk: CliHarness) -> None:
    ended = desk.run("iam", "--for", "look", *HERE, *TABLE)
    by_sid = {one["Sid"]: one for one in ended.data["Statement"]}
    assert keys(by_sid["TableAll"]) == ALL_KEYS


def test_the_table_of_the_environment_is_allowed_too(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUTCTL_STORE", "dynamodb://rollouts")
    assert statements(desk, *HERE)["TableOwn"]["Resource"] == [IN_TABLE]


@pytest.mark.parametrize(
    ("job", "services"),
    [
        ("tick", {"cloudwatch", "dynamodb", "lambda"}),
        ("start", {"cloudwatch", "dynamodb", "lambda"}),
        ("people", {"cloudwatch", "dynamodb", "lambda"}),
        ("look", {"dynamodb"}),
        ("store-init", {"dynamodb"}),
        ("copy-from", {"dynamodb"}),
        ("copy-to", {"dynamodb"}),
        ("store-check", {"dynamodb"}),
        ("store-upgrade", {"dynamodb"}),
        ("monitoring", {"cloudformation", "cloudwatch", "dynamodb", "sns"}),
    ],
)
def test_a_role_reaches_the_services_that_its_job_is_about(
    desk: CliHarness, job: str, services: set[str]
) -> None:
    by_sid = statements(desk, *HERE, *TABLE, "--for", job)
    actions = [action for one in by_sid.values() for action in one["Action"]]
    assert {action.partition(":")[0] for action in actions} == services
    assert not [action for action in actions if "*" in action]


def test_who_looks_may_write_nothing(desk: CliHarness) -> None:
    by_sid = statements(desk, *HERE, *TABLE, "--for", "look")
    assert {action for one in by_sid.values() for action in one["Action"]} == {
        "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query",
    }  # fmt: skip


def test_who_checks_a_store_reads_all_of_it_and_writes_nothing(desk: CliHarness) -> None:
    ended = desk.run("iam", "--for", "store-check", *HERE, *TABLE)
    actions = {action for one in ended.data["Statement"] for action in one["Action"]}
    assert actions == {f"dynamodb:{one}" for one in ("BatchGetItem", "GetItem", "Query", "Scan")}


def test_a_recording_reads_and_writes_only_to_what_has_its_tag(desk: CliHarness) -> None:
    reads = statements(desk, *HERE, "--for", "record")
    actions = [one.partition(":")[2] for each in reads.values() for one in each["Action"]]
    assert not [
        action
        for action in actions
        if not action.startswith(("Get", "List", "Describe", "Filter", "Simul"))
    ]
    writes = statements(desk, *HERE, "--for", "record-write").pop("Tagged")
    assert writes["Condition"] == {"Null": {"aws:ResourceTag/rolloutctl-recording": "false"}}
    assert len(writes["Action"]) == 3


@pytest.mark.parametrize(
    ("sid", "actions"),
    [
        ("Function", {"lambda:GetFunctionConfiguration"}),
        ("Alias", {"lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig"}),
        ("Versions", {"lambda:GetFunctionConfiguration", "lambda:ListVersionsByFunction"}),
        (
            "LoadBalancers",
            {
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetHealth",
            },
        ),
    ],
)
def test_who_drafts_a_first_policy_reads_targets_of_every_kind(
    desk: CliHarness, sid: str, actions: set[str]
) -> None:
    document = desk.run("iam", "--for", "init", *HERE).data
    by_sid = {one["Sid"]: one for one in document["Statement"]}
    assert actions == set(by_sid[sid]["Action"])
    every = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:*"
    assert by_sid[sid]["Resource"] == ["*" if sid == "LoadBalancers" else every]


def test_one_role_may_do_several_jobs(desk: CliHarness) -> None:
    both = statements(desk, *HERE, *TABLE, "--for", "tick", "--for", "look")
    assert "lambda:UpdateFunctionConfiguration" in both["Function"]["Action"]
    assert "TableIndexActiveOfNameOwn" in both  # of ticks alone
    assert "TableIndexActive" in both  # of looks alone


def test_one_role_may_serve_several_policies(desk: CliHarness, second: str) -> None:
    statement = statements(desk, second, *HERE)["Function"]["Resource"]
    assert [arn.rpartition(":")[2] for arn in statement] == sorted([FUNCTION, "second"])


def test_a_function_that_is_named_by_its_arn_is_allowed_by_that(desk: CliHarness) -> None:
    arn = "arn:aws-cn:lambda:cn-north-1:999999999999:function:far"
    other_policy = desk.another_policy("other", target={**SHORT_POLICY["target"], "function": arn})
    assert json.loads(desk.run("iam", other_policy, *HERE).out)["Statement"][1]["Resource"] == [arn]


TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:rollouts"
LAMBDA, LOG_GROUP, SECRETS, PARAMETERS = (
    f"arn:aws:{service}:eu-central-1:{ACCOUNT}:{kind}"
    for service, kind in (
        ("lambda", "function"), ("logs", "log-group"), ("secretsmanager", "secret"),
        ("ssm", "parameter"),
    )
)  # fmt: skip
HOOKS = {
    "before_start": [
        {"kind": "lambda", "function": "gate:live"},
        {"kind": "https", "url": "https://x.example/", "secret": {"secret": "key"}},
    ]
}
WEBHOOKS = [
    {"kind": "slack", "webhook": {"secret": "rollouts/slack"}},
    {"kind": "slack", "webhook": {"environment": "HOOK"}},
]


@cases("parts, sid, action, resource", {
    "the log in which a rollback is verified": (
        {"verify_rollback": {"absent": "gateway_called", "present": "direct_call"}},
        "Logs", "logs:FilterLogEvents", f"{LOG_GROUP}:/aws/lambda/{FUNCTION}:*",
    ),
    "a topic": ({"notify": [{"kind": "sns", "topic": TOPIC}]}, "Topic", "sns:Publish", TOPIC),
    "a bus": (
        {"notify": [{"kind": "eventbridge"}]},
        "Bus", "events:PutEvents", f"arn:aws:events:eu-central-1:{ACCOUNT}:event-bus/default",
    ),
    "the secret of a webhook, and no variable": (
        {"notify": WEBHOOKS},
        "Secret", "secretsmanager:GetSecretValue", f"{SECRETS}:rollouts/slack-??????",
    ),
    "the parameter of a webhook by its name": (
        {"notify": [{"kind": "slack", "webhook": {"parameter": "/rollouts/slack"}}]},
        "Parameter", "ssm:GetParameter", f"{PARAMETERS}/rollouts/slack",
    ),
    "the parameter of a webhook by a name without a path": (
        {"notify": [{"kind": "slack", "webhook": {"parameter": "slack"}}]},
        "Parameter", "ssm:GetParameter", f"{PARAMETERS}/slack",
    ),
    "the function of a hook":
        ({"hooks": HOOKS}, "Hook", "lambda:InvokeFunction", f"{LAMBDA}:gate:live"),
    "the key of a hook":
        ({"hooks": HOOKS}, "Secret", "secretsmanager:GetSecretValue", f"{SECRETS}:key-??????"),
})  # fmt: skip
def test_what_a_policy_names_is_allowed_on_that_alone(
    desk: CliHarness, parts: dict[str, Any], sid: str, action: str, resource: str
) -> None:
    policy = desk.another_policy("other", **parts)
    assert statements(desk, *HERE, policy=policy)[sid] == {
        "Action": [action], "Resource": [resource],
    }  # fmt: skip
    assert sid not in statements(desk, *HERE)


@cases("criterion, sids, action, resource", {
    "a log": (
        {"kind": "log_events", "absent": "fallback", "control": "check", "log_group": "own"},
        ("Logs", "Logs", "GateLogs"), "logs:FilterLogEvents", f"{LOG_GROUP}:own:*",
    ),
    "an alarm": (
        {"kind": "alarm", "alarm": "auth-failures"},
        ("Alarms",) * 3, "cloudwatch:DescribeAlarms", "*",
    ),
})  # fmt: skip
def test_what_a_gate_reads_is_allowed_for_every_job_that_moves_traffic(
    desk: CliHarness, criterion: dict[str, Any], sids: tuple[str, ...], action: str, resource: str
) -> None:
    criteria = {**SHORT_POLICY["criteria"], "read": criterion}
    policy = desk.another_policy("other", criteria=criteria)
    for job, sid in zip(("tick", "start", "people"), sids, strict=True):
        by_sid = statements(desk, *HERE, "--for", job, policy=policy)
        assert by_sid[sid] == {"Action": [action], "Resource": [resource]}
        assert sid not in statements(desk, *HERE, "--for", job)


def test_what_watches_a_policy_is_allowed_by_its_names_and_nothing_else(desk: CliHarness) -> None:
    by_sid = statements(desk, *HERE, "--for", "monitoring")
    assert {sid: one["Resource"] for sid, one in by_sid.items()} == {
        "Stack": [f"arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stack/rolloutctl-orders/*"],
        "OwnAlarms": [f"arn:aws:cloudwatch:eu-central-1:{ACCOUNT}:alarm:rolloutctl-orders-*"],
        "Dashboard": [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/rolloutctl-orders"],
        "AlarmTopic": [f"arn:aws:sns:eu-central-1:{ACCOUNT}:rolloutctl-orders"],
        "Sns": ["*"],  # subscriptions have no finer resource
    }
    assert by_sid["Sns"]["Action"] == ["sns:GetSubscriptionAttributes", "sns:Unsubscribe"]


# What CloudFormation's handlers ask for where a property is set that no template here has.
UNUSED = {
    "iam:GetRole", "iam:PassRole", "sns:PutDataProtectionPolicy", "sns:SetSubscriptionAttributes",
}  # fmt: skip


def test_cloudformation_may_do_with_the_resources_what_its_own_schemas_ask_for(
    desk: CliHarness,
) -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # slow to import

    by_sid = statements(desk, *HERE, "--for", "monitoring")
    on = {
        "AWS::CloudWatch::Alarm": ("OwnAlarms",),
        "AWS::CloudWatch::Dashboard": ("Dashboard",),
        "AWS::SNS::Topic": ("AlarmTopic", "Sns"),
        "AWS::SNS::Subscription": ("AlarmTopic", "Sns"),
    }
    required_actions: dict[tuple[str, ...], set[str]] = {}
    for kind, sids in on.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema
        for verb in ("create", "read", "update", "delete"):
            required_actions.setdefault(sids, set()).update(schema["handlers"][verb]["permissions"])
    for sids, actions in required_actions.items():
        granted = {action for sid in sids for action in by_sid[sid]["Action"]}
        assert actions - UNUSED == granted, sids


# --- a customer's key ---------------------------------------------------------------------------


def test_a_customers_key_may_be_used_through_lambda_alone(desk: CliHarness) -> None:
    assert statements(desk, *HERE, "--kms-key", KEY)["Key"] == {
        "Action": ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt"],
        "Resource": [KEY],
        "Condition": {"StringLike": {"kms:ViaService": "lambda.eu-central-1.*"}},
    }


def test_a_customers_key_on_a_secret_may_be_used_through_secrets_manager_alone(
    desk: CliHarness,
) -> None:
    policy = desk.another_policy("other", notify=WEBHOOKS)
    for job in ("tick", "start", "people"):
        options = (*HERE, "--for", job, "--secret-key", KEY)
        by_sid = statements(desk, *options, policy=policy)
        assert by_sid["SecretKey"] == {
            "Action": ["kms:Decrypt"],
            "Resource": [KEY],
            "Condition": {"StringLike": {"kms:ViaService": "secretsmanager.eu-central-1.*"}},
        }
        assert "Key" not in by_sid
        assert "--secret-key" not in desk.run("iam", policy, *options).err


def test_a_customers_key_on_a_parameter_may_be_used_through_systems_manager_alone(
    desk: CliHarness,
) -> None:
    notify = [{"kind": "slack", "webhook": {"parameter": "/rollouts/slack"}}]
    policy = desk.another_policy("other", notify=notify)
    assert statements(desk, *HERE, "--secret-key", KEY, policy=policy)["ParameterKey"] == {
        "Action": ["kms:Decrypt"],
        "Resource": [KEY],
        "Condition": {"StringLike": {"kms:ViaService": "ssm.eu-central-1.*"}},
    }
    assert "ParameterKey" not in statements(desk, *HERE, "--secret-key", KEY)
    assert "kms:Decrypt on that key" in desk.run("iam", policy, *HERE).err


def test_a_parameter_is_a_right_that_the_stack_gets_by_a_managed_policy(desk: CliHarness) -> None:
    notify = [{"kind": "slack", "webhook": {"parameter": "/rollouts/slack"}}]
    policy = desk.another_policy("other", notify=notify)
    assert (
        "no parameter allows what ssm needs" in desk.run("iam", policy, *HERE, "--parameters").err
    )
    assert set(statements(desk, *HERE, "--packages", policy=policy)) == {"Parameter"}


def test_a_secret_whose_key_is_not_named_is_noted(desk: CliHarness) -> None:
    other_policy = desk.another_policy("other", notify=WEBHOOKS)
    assert "kms:Decrypt on that key" in desk.run("iam", other_policy, *HERE).err
    assert "kms:Decrypt" not in desk.run("iam", other_policy, *HERE, "--for", "investigate").err
    assert "kms:Decrypt" not in desk.run("iam", desk.policy, *HERE).err


# --- account and region -------------------------------------------------------------------------


def test_what_is_not_known_is_left_to_cloudformation_and_noted(quiet: CliHarness) -> None:
    ended = quiet.run("iam", quiet.policy, *TABLE)
    arns = {one["Sid"]: one["Resource"] for one in ended.data["Statement"]}
    region_and_account = "${AWS::Region}:${AWS::AccountId}"
    assert arns["TableOwn"] == [
        f"arn:${{AWS::Partition}}:dynamodb:{region_and_account}:table/rollouts"
    ]
    assert ended.err == (
        "rolloutctl: note: ${AWS::...} is for Fn::Sub of CloudFormation: or give --account and "
        "--region\n"
    )


def test_a_role_without_a_table_is_noted(quiet: CliHarness) -> None:
    assert "no table is allowed" in quiet.run("iam", quiet.policy, *HERE).err


def test_the_region_of_the_environment_is_the_regions(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    (arn,) = statements(desk, "--account", ACCOUNT)["Function"]["Resource"]
    assert arn == f"arn:aws-cn:lambda:cn-north-1:{ACCOUNT}:function:{FUNCTION}"


@pytest.fixture
def live_account(desk: CliHarness, monkeypatch: pytest.MonkeyPatch) -> CliHarness:
    """A desk at an account with STS, and a function with a customer's key."""
    client = desk.world.client("lambda")

    class Keyed:
        def get_function_configuration(self, **request: str) -> dict[str, Any]:
            return {**client.get_function_configuration(**request), "KMSKeyArn": KEY}

    class Sts:
        meta = SimpleNamespace(region_name="eu-central-1")

        def get_caller_identity(self) -> dict[str, str]:
            return {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/me"}

    services = {"lambda": Keyed(), "sts": Sts()}
    monkeypatch.setattr(Clients, "get", lambda _self, service, **_: services[service])
    return desk


def test_live_asks_aws_for_the_account_the_region_and_the_key(live_account: CliHarness) -> None:
    by_sid = statements(live_account, "--live")
    arn = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{FUNCTION}"
    assert (by_sid["Function"]["Resource"], by_sid["Key"]["Resource"]) == ([arn], [KEY])


def test_live_shows_nothing_of_an_environment(live_account: CliHarness) -> None:
    ended = live_account.run("iam", live_account.policy, "--live")
    assert SECRET not in ended.out + ended.err


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--account", "12"), "--account is a number of 12 digits, not '12'"),
        (("--account", "12345678901*"), "--account is a number of 12 digits"),
        (("--region", "nowhere"), "AWS has no region 'nowhere'; write one like eu-central-1"),
        (("--kms-key", "alias/mine"), "--kms-key is the ARN of a key, and not an alias"),
        (("--secret-key", "alias/mine"), "--secret-key is the ARN of a key, and not an alias"),
        (("--kms-key", f"{KEY}*"), "--kms-key is the ARN of a key, and not an alias"),
        (("--live", *HERE), "--live reads the account and the region"),
        (("--store", "dynamodb://a*"), "no store is called 'dynamodb://a*'"),
        (("--for", "everything"), "'everything' is not one of 'tick', 'start', 'fix', 'people'"),
        (("--for", "look"), "a role for look with rollouts in a file asks nothing of AWS"),
    ],
)
def test_what_names_nothing_in_particular_is_refused(
    quiet: CliHarness, options: tuple[str, ...], message: str
) -> None:
    ended = quiet.run("iam", quiet.policy, *options)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert message in ended.err


def test_a_role_that_moves_traffic_needs_a_policy(quiet: CliHarness) -> None:
    ended = quiet.run("iam", *HERE)
    assert ended.status == Exit.USAGE
    assert "a role for tick needs a POLICY: it names the target" in ended.err


def test_without_a_policy_there_is_nothing_to_bind_a_role_to(quiet: CliHarness) -> None:
    ended = quiet.run("iam", "--for", "look", "--bound", *HERE, *TABLE)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "--bound needs a POLICY" in ended.err


def test_a_role_for_a_table_alone_needs_no_policy(quiet: CliHarness) -> None:
    assert quiet.run("iam", "--for", "look", *HERE, *TABLE).status == Exit.DONE


def test_a_wrong_policy_is_reported_with_its_line(quiet: CliHarness, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 2\n")
    ended = quiet.run("iam", str(wrong))
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert f"{wrong}:1:10: version: 2 is of a newer rolloutctl; this one reads 1" in ended.err


def test_a_status_page_is_one_object_that_a_tick_may_write(quiet: CliHarness) -> None:
    page = ("--status-page", "s3://pages/rollouts/index.html")
    with_page, without = statements(quiet, *HERE, *page), statements(quiet, *HERE)
    assert with_page.pop("Page") == {
        "Action": ["s3:PutObject"],
        "Resource": ["arn:aws:s3:::pages/rollouts/index.html"],
    }
    assert with_page == without
    assert quiet.run("iam", quiet.policy, *HERE, "--status-page", "page.html").status == Exit.USAGE


# --- stack parameters ---------------------------------------------------------------------------


def test_as_parameters_the_empty_ones_are_printed_too(quiet: CliHarness) -> None:
    ended = quiet.run("iam", quiet.policy, "--parameters", *HERE)
    printed = dict(line.split("=", 1) for line in ended.out.splitlines())
    assert printed.pop("FunctionArns") == f"{LAMBDA}:{FUNCTION}"
    assert (printed.pop("TableKeys"), printed.pop("FixKeys")) == (",".join(ALL_KEYS), "FIX#*")
    assert set(printed.values()) == {""}
    assert {"AlarmsArns", "KeyArns", "TopicArns", "PolicyNames"} <= printed.keys()


def test_as_parameters_of_a_bound_stack_its_policies_and_their_keys_are_printed(
    quiet: CliHarness,
) -> None:
    ended = quiet.run("iam", quiet.policy, "--parameters", "--bound", *HERE)
    assert ended.out.splitlines()[-3:] == [
        "PolicyNames=orders",
        f"TableKeys=ROLLOUT#orders,HISTORY#orders#*,LOWER#orders#*,{','.join(LOCKS)}",
        "FixKeys=FIX#orders#*",
    ]


def test_a_parameter_without_an_account_is_refused(quiet: CliHarness) -> None:
    ended = quiet.run("iam", quiet.policy, "--parameters")
    assert ended.status == Exit.USAGE
    assert "--account and --region, or --live" in ended.err


def test_without_a_kind_of_another_package_there_is_no_document_for_one(quiet: CliHarness) -> None:
    ended = quiet.run("iam", quiet.policy, "--packages", *HERE)
    assert ended.status == Exit.USAGE
    assert "leave out --packages" in ended.err
    both = quiet.run("iam", quiet.policy, "--packages", "--parameters", *HERE)
    assert both.status == Exit.USAGE
