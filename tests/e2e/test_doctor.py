"""doctor, against an account of the emulator: a healthy set-up, and one thing wrong at a time."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import Clients, Service
from controller.errors import Exit
from tests.e2e.account import BOOLEAN, OTHERS, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Answer, Desk
from tests.e2e.role import make_role
from tests.e2e.role_walks import FIXED, plain_policy

pytestmark = pytest.mark.ministack


def checks(answer: Answer) -> dict[str, dict[str, str]]:
    """Return what was said of each thing, by its name."""
    return {one["what"]: one for one in answer.data["checks"]}


def doctor(desk: Desk, policy: Any = POLICY, *options: str) -> Answer:
    return desk.run("doctor", policy, "--json", *options)


@pytest.fixture
def served(started: Desk) -> Desk:
    """A rollout at 10 %, and a gateway that had requests before: the clock is not moved."""
    started.account.call_gateway(started.now - 30 * MINUTE, started.now)
    return started


def test_a_healthy_set_up_fails_nowhere(served: Desk) -> None:
    policy = plain_policy(served, 500)
    assert served.run("monitoring", "deploy", policy, "--email", "oncall@example.com").status == 0
    answer = doctor(served)
    found = checks(answer)
    assert [one for one in found.values() if one["level"] == "fail"] == []
    assert (answer.status, answer.data["failed"]) == (Exit.DONE, False)
    oks = ("caller", "clock", "store", "schedule", "target", "metric calls", "topic")
    assert {found[one]["level"] for one in oks} == {"ok"}
    assert "execution-api#1" in found["schedule"]["seen"]
    assert not [name for name, value in OTHERS.items() if value in answer.out and len(value) > 4]


def test_before_the_first_start_nothing_is_wrong_yet(desk: Desk) -> None:
    answer = doctor(desk)
    found = checks(answer)
    assert [one for one in found.values() if one["level"] == "fail"] == []
    assert answer.status == Exit.DONE
    assert (found["store"]["level"], found["metric calls"]["level"]) == ("warn", "warn")
    assert found["metric direct_calls"]["level"] == "ok"
    assert found["monitoring"]["remedy"] == "rolloutctl monitoring deploy POLICY"


def test_a_topic_that_the_policy_tells_is_asked_who_hears_it(desk: Desk) -> None:
    sns = desk.account.client("sns")
    heard, unheard = (sns.create_topic(Name=name)["TopicArn"] for name in ("heard", "unheard"))
    sns.subscribe(TopicArn=heard, Protocol="email", Endpoint="oncall@example.com")
    gone = unheard.replace("unheard", "gone")
    channels = [f"  - {{kind: sns, topic: '{arn}'}}\n" for arn in (heard, unheard, gone)]
    told = {"steps:\n": f"notify:\n{''.join(channels)}\nsteps:\n"}
    found = checks(doctor(desk, desk.another_policy(**told)))
    assert found["sns heard"]["seen"] == "1 confirmed subscription"
    assert found["sns unheard"]["seen"] == "it has no subscription"
    assert "(sns:ListSubscriptionsByTopic)" in found["sns gone"]["seen"]
    assert [found[f"sns {one}"]["level"] for one in ("heard", "unheard", "gone")] == [
        "ok", "warn", "warn",
    ]  # fmt: skip


def test_each_mistake_in_the_policy_fails_on_a_line_of_its_own(served: Desk) -> None:
    wrong = {
        "Path: canary": "Path: canry",
        "name: 4XXError": "name: 4xxError",
        "SlackBedrockStack-": "Other-",
    }
    answer = doctor(served, served.another_policy(**wrong))
    found = checks(answer)
    assert answer.status == Exit.CHECK_FAILED
    for what, told in {
        "metric calls": "it has {Path: canary}",
        "metric client_errors": "it has 4XXError",
        "target": "(lambda:GetFunctionConfiguration)",
    }.items():
        assert (what, found[what]["level"]) == (what, "fail")
        assert told in f"{found[what]['seen']}; {found[what]['remedy']}"


def test_what_has_gone_wrong_fails_and_says_what_to_do(served: Desk) -> None:
    served.serve(16 * MINUTE)
    served.account.change(**{PERCENTAGE: "10", BOOLEAN: "true"})
    answer = doctor(served)
    found = checks(answer)
    assert answer.status == Exit.CHECK_FAILED
    for what, told in {
        "schedule": "the newest tick was 16m ago",
        "target": "contradict each other",
        "clock": "s ahead of that of AWS",
    }.items():
        assert (what, found[what]["level"]) == (what, "fail")
        assert told in found[what]["seen"]
        assert found[what]["remedy"]


def test_the_role_of_the_schedule_is_asked_about_by_name(desk: Desk) -> None:
    arn = make_role(desk.account.client("iam"), "tick", {"AWS": "*"})
    answer = doctor(desk, POLICY, "--role", arn)
    found = checks(answer)["permissions"]
    assert (answer.status, found["level"]) == (Exit.CHECK_FAILED, "fail")
    assert "may not do cloudwatch:GetMetricData, lambda:GetFunctionConfiguration" in found["seen"]
    assert "rolloutctl iam POLICY --for tick" in found["remedy"]


class Denying:
    """A client of which one method is denied."""

    def __init__(self, client: Any, method: str) -> None:
        self._client, self._method = client, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)
        return getattr(self._client, name)


DENIED = [
    ("sts", "get_caller_identity", "caller", "sts:GetCallerIdentity"),
    ("cloudwatch", "get_metric_data", "metrics", "cloudwatch:GetMetricData"),
    ("cloudwatch", "list_metrics", "metric", "cloudwatch:ListMetrics"),
    ("cloudformation", "describe_stacks", "monitoring", "cloudformation:DescribeStacks"),
    ("cloudformation", "get_template", "monitoring", "cloudformation:GetTemplate"),
    ("cloudwatch", "describe_alarms", "alarms", "cloudwatch:DescribeAlarms"),
    ("sns", "list_subscriptions_by_topic", "topic", "sns:ListSubscriptionsByTopic"),
    ("lambda", "get_function_configuration", "target", "lambda:GetFunctionConfiguration"),
    ("lambda", "list_aliases", "reach", "lambda:ListAliases"),
    ("logs", "filter_log_events", "log", "logs:FilterLogEvents"),
    ("iam", "simulate_principal_policy", "permissions", "iam:SimulatePrincipalPolicy"),
]


def test_a_denied_call_degrades_its_own_line_and_names_its_action(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Clients.get
    policy = desk.another_policy(**FIXED)
    watched = plain_policy(desk, 500)
    assert desk.run("monitoring", "deploy", watched, "--email", "oncall@example.com").status == 0
    for service, method, what, action in DENIED:

        def get(self: Clients, name: Service, service: str = service, method: str = method) -> Any:
            client = real(self, name)
            return Denying(client, method) if name == service else client

        monkeypatch.setattr(Clients, "get", get)
        role = ("--role", "arn:aws:iam::123456789012:role/tick") if service == "iam" else ()
        found = doctor(desk, policy, *role).data["checks"]
        degraded = [one for one in found if action in one["seen"]]
        assert {one["what"].split(" ")[0] for one in degraded} == {what}, action
        assert all(one["level"] != "ok" for one in degraded)
        assert len({one["what"] for one in found}) >= 6
