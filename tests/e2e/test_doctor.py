"""doctor, against an account of the emulator: a healthy set-up, and one mistake at a time."""

import json
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import Clients
from controller.errors import Exit
from tests.adapters.notifiers.test_sns import topic_with_queue
from tests.e2e.account import BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Answer, Desk
from tests.e2e.role import make_role
from tests.e2e.role_walks import FIXED, plain_policy

pytestmark = pytest.mark.ministack


def checks(answer: Answer) -> dict[str, dict[str, str]]:
    """Return the checks of an answer, by name."""
    return {one["what"]: one for one in answer.data["checks"]}


def doctor(desk: Desk, policy: Any = POLICY, *options: str) -> Answer:
    return desk.run("doctor", policy, "--json", *options)


@pytest.fixture
def served(started: Desk) -> Desk:
    """A rollout at 10%, and a gateway with requests in the last 30 minutes."""
    started.account.call_gateway(started.now - 30 * MINUTE, started.now)
    return started


def test_a_healthy_set_up_fails_nowhere(served: Desk) -> None:
    policy = plain_policy(served, 500)
    assert served.run("monitoring", "deploy", policy, "--email", "oncall@example.com").status == 0
    answer = doctor(served)
    by_name = checks(answer)
    assert [one for one in by_name.values() if one["level"] == "fail"] == []
    assert (answer.status, answer.data["failed"]) == (Exit.DONE, False)
    oks = ("caller", "clock", "store", "schedule", "weight", "update", "metric calls", "topic")
    assert {by_name[one]["level"] for one in oks} == {"ok"}
    assert "execution-api#1" in by_name["schedule"]["seen"]
    assert not [name for name, value in OTHERS.items() if value in answer.out and len(value) > 4]


def test_before_the_first_start_nothing_is_wrong_yet(desk: Desk) -> None:
    answer = doctor(desk)
    by_name = checks(answer)
    assert [one for one in by_name.values() if one["level"] == "fail"] == []
    assert answer.status == Exit.DONE
    assert (by_name["store"]["level"], by_name["metric calls"]["level"]) == ("warn", "ok")
    assert by_name["metric requests"]["level"] == "warn"
    assert by_name["metric direct_calls"]["level"] == "ok"
    assert by_name["monitoring"]["remedy"] == "install them: rolloutctl monitoring deploy POLICY"


def test_the_subscriptions_of_a_topic_in_the_policy_are_checked(desk: Desk) -> None:
    sns = desk.account.client("sns")
    subscribed, unsubscribed = (
        sns.create_topic(Name=name)["TopicArn"] for name in ("heard", "unheard")
    )
    sns.subscribe(TopicArn=subscribed, Protocol="email", Endpoint="oncall@example.com")
    gone = unsubscribed.replace("unheard", "gone")
    channels = [f"  - {{kind: sns, topic: '{arn}'}}\n" for arn in (subscribed, unsubscribed, gone)]
    expected = {"steps:\n": f"notify:\n{''.join(channels)}\nsteps:\n"}
    by_name = checks(doctor(desk, desk.another_policy(**expected)))
    assert by_name["sns heard"]["seen"] == "1 confirmed subscription"
    assert by_name["sns unheard"]["seen"] == "it has no subscription"
    assert "(sns:ListSubscriptionsByTopic)" in by_name["sns gone"]["seen"]
    assert [by_name[f"sns {one}"]["level"] for one in ("heard", "unheard", "gone")] == [
        "ok", "warn", "warn",
    ]  # fmt: skip


def test_a_test_message_reaches_the_topics_that_exist_and_names_those_that_do_not(
    desk: Desk,
) -> None:
    sns, sqs = desk.account.client("sns"), desk.account.client("sqs")
    topic, queue = topic_with_queue(sns, sqs)
    gone = topic.replace("rollouts", "gone")
    channels = [f"  - {{kind: sns, topic: '{arn}'}}\n" for arn in (gone, topic)]
    policy = desk.another_policy(**{"steps:\n": f"notify:\n{''.join(channels)}\nsteps:\n"})
    answer = doctor(desk, policy, "--test-message", "critical")
    by_name = checks(answer)
    assert answer.status == Exit.CHECK_FAILED
    assert {name: one["level"] for name, one in by_name.items()} == {
        "sns gone": "fail",
        "sns rollouts": "ok",
    }
    assert "(sns:Publish): NotFound" in by_name["sns gone"]["seen"]
    (got,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)["Messages"]
    assert json.loads(got["Body"])["Subject"] == "[TEST, critical] execution-api: nothing happened"


def test_each_mistake_in_the_policy_fails_on_a_line_of_its_own(served: Desk) -> None:
    wrong = {
        "name: Requests": "name: requests",
        "name: 4XXError": "name: 4xxError",
        "function: SlackBedrockStack-": "function: Other-",
    }
    answer = doctor(served, served.another_policy(**wrong))
    by_name = checks(answer)
    assert answer.status == Exit.CHECK_FAILED
    for what, expected in {
        "metric calls": "there is Requests: correct the policy",
        "metric client_errors": "there is 4XXError: correct the policy",
        "weight": "(lambda:GetFunctionConfiguration)",
    }.items():
        assert (what, by_name[what]["level"]) == (what, "fail")
        assert expected in f"{by_name[what]['seen']}; {by_name[what]['remedy']}"


def test_dimensions_that_nothing_has_yet_are_a_warning_that_names_those_there_are(
    served: Desk,
) -> None:
    answer = doctor(served, served.another_policy(**{f"Flag: {FUNCTION}": "Flag: x"}))
    calls = checks(answer)["metric calls"]
    assert (answer.status, calls["level"]) == (Exit.DONE, "warn")
    assert f"it had some with {{Flag: {FUNCTION}, Path: canary}}" in calls["seen"]


def test_a_problem_fails_with_a_remedy(served: Desk) -> None:
    served.serve(16 * MINUTE)
    served.account.change(**{PERCENTAGE: "10", BOOLEAN: "true"})
    answer = doctor(served)
    by_name = checks(answer)
    assert answer.status == Exit.CHECK_FAILED
    for what, expected in {
        "schedule": "the newest tick was 16m ago",
        "weight": "no clear weight",
        "clock": "s ahead of that of AWS",
    }.items():
        assert (what, by_name[what]["level"]) == (what, "fail")
        assert expected in by_name[what]["seen"]
        assert by_name[what]["remedy"]


def test_the_role_of_the_schedule_is_checked_by_its_arn(desk: Desk) -> None:
    arn = make_role(desk.account.client("iam"), "tick", {"AWS": "*"})
    answer = doctor(desk, POLICY, "--role", arn)
    check = checks(answer)["permissions"]
    assert (answer.status, check["level"]) == (Exit.CHECK_FAILED, "fail")
    assert "may not do cloudwatch:GetMetricData, lambda:GetFunctionConfiguration" in check["seen"]
    assert "rolloutctl iam POLICY --for tick" in check["remedy"]


class Denying:
    """A client with one method that is denied."""

    def __init__(self, client: Any, method: str) -> None:
        self._client, self._method = client, method

    def __getattr__(self, name: str) -> Any:
        return self._deny if name == self._method else getattr(self._client, name)

    def _deny(self, **_: Any) -> NoReturn:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, self._method)


DENIED = [
    ("sts", "get_caller_identity", "caller", "sts:GetCallerIdentity"),
    ("cloudwatch", "get_metric_data", "metrics", "cloudwatch:GetMetricData"),
    ("cloudwatch", "list_metrics", "metric", "cloudwatch:ListMetrics"),
    ("cloudformation", "describe_stacks", "monitoring", "cloudformation:DescribeStacks"),
    ("cloudformation", "get_template", "monitoring", "cloudformation:GetTemplate"),
    ("cloudwatch", "describe_alarms", "alarms", "cloudwatch:DescribeAlarms"),
    ("sns", "list_subscriptions_by_topic", "topic", "sns:ListSubscriptionsByTopic"),
    ("lambda", "get_function_configuration", "weight", "lambda:GetFunctionConfiguration"),
    ("lambda", "list_aliases", "reach", "lambda:ListAliases"),
    ("logs", "filter_log_events", "log", "logs:FilterLogEvents"),
    ("iam", "simulate_principal_policy", "permissions", "iam:SimulatePrincipalPolicy"),
]


def test_a_denied_call_degrades_its_own_line_and_names_its_action(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Clients.get
    policy = desk.another_policy(**FIXED)
    plain = plain_policy(desk, 500)
    assert desk.run("monitoring", "deploy", plain, "--email", "oncall@example.com").status == 0
    for service, method, what, action in DENIED:

        def get(
            self: Clients,
            name: str,
            *,
            lowers: bool = False,
            service: str = service,
            method: str = method,
        ) -> Any:
            client = real(self, name, lowers=lowers)
            return Denying(client, method) if name == service else client

        monkeypatch.setattr(Clients, "get", get)
        role = ("--role", "arn:aws:iam::123456789012:role/tick") if service == "iam" else ()
        all_checks = doctor(desk, policy, *role).data["checks"]
        degraded = [check for check in all_checks if action in check["seen"]]
        assert {one["what"].split(" ")[0] for one in degraded} == {what}, action
        assert all(one["level"] != "ok" for one in degraded)
        assert len({check["what"] for check in all_checks}) >= 6
