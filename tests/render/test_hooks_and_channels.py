"""Hooks and notification channels of a policy in its plan."""

from controller.render.page import plain_text
from controller.tools.plan.page import Plan, PlanAnswer, plan_data, plan_page
from tests.support.rollouts import NOON, a_policy

HTTPS = {"kind": "https", "url": "https://ci.example.com/gate?x=1", "secret": {"environment": "K"}}
POLICY = a_policy(
    hooks={
        "before_start": [{"kind": "lambda", "function": "calendar"}],
        "before_advance": [HTTPS, {"kind": "lambda", "function": "gate:live"}],
        "after_rollback": [{"kind": "lambda", "function": "incident"}],
    },
    notify=[
        {"kind": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:rollouts"},
        {"kind": "slack", "webhook": {"secret": "hook"}, "min_severity": "warning"},
        {"kind": "eventbridge"},
    ],
)


def test_a_plan_shows_hooks_and_channels() -> None:
    lines = plain_text(plan_page(Plan(POLICY, NOON, PlanAnswer("")))).splitlines()
    assert [
        line for line in lines if line.split()[:1][:1] in (["asks"], ["calls"], ["alerts"])
    ] == [
        "  asks      before_start: lambda calendar; before_advance: https ci.example.com, lambda "
        "gate:live",
        "  calls     after_rollback: lambda incident",
        "  alerts    sns rollouts, slack by the secret hook (warning and worse), eventbridge "
        "default",
    ]
    assert "gates on hold, waits for hooks" in plain_text(
        plan_page(Plan(POLICY, NOON, PlanAnswer("")))
    )


def test_a_plan_has_it_as_data() -> None:
    data = plan_data(POLICY, NOON)
    assert data.hooks["before_advance"] == ["https ci.example.com", "lambda gate:live"]
    assert data.notify == ["sns rollouts", "slack by the secret hook", "eventbridge default"]
