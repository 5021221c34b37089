"""Untrusted texts in every output: none is interpreted as markup, control characters or lines.

Each hostile text is tested in each output, in every field of the output that takes a text.
"""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ParserCreate

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws import clients
from controller.adapters.hooks import consent_of
from controller.adapters.metrics.cloudwatch import CloudWatchAlarms
from controller.adapters.notifiers import pagerduty, slack, sns
from controller.cli.logs import count_lines, event_line
from controller.cli.streams import PrintableStream
from controller.cli.validate import annotation
from controller.cli.verify import checks_page
from controller.core.history import finding_data
from controller.core.policy.notify import CHANNELS
from controller.errors import Flaw, PolicyError, StoreError
from controller.immutable import replace
from controller.operations.checks import Check, CheckLevel
from controller.operations.overview import Overview
from controller.ports.logs import LogEvent
from controller.process import logging
from controller.render.history import history_blocks
from controller.render.html.status import status_html
from controller.render.overview import overview_page
from controller.render.page import layout, line_text, plain_text
from controller.render.pipeline import junit_text, rollout_markdown
from controller.render.rollout_page import live_page, rollout_page
from controller.render.rollout_texts import rollout_line
from controller.safe_text import printable, printable_block
from controller.tools.dashboard.feed import Event, View
from controller.tools.dashboard.site import (
    Button,
    Forms,
    Live,
    acts_of,
    overview_html,
    rollout_html,
)
from controller.tools.plan.page import Plan, PlanAnswer, plan_page
from controller.tools.report import RolloutHistory, make_report
from controller.tools.report.html import report_html
from tests.adapters.notifiers.channels import a_message
from tests.support.accounts import OneClientAccount
from tests.support.core import (
    Condition,
    ConditionKind,
    Entry,
    Finding,
    Label,
    Message,
    Phase,
    Policy,
    Rollout,
    Verdict,
)
from tests.support.deep_rows import pairs
from tests.support.findings import a_finding
from tests.support.hostile import HOSTILE_TEXTS, unsafe_parts
from tests.support.rollouts import LADDER, NOON, a_rollout, a_state

ROOT: Final = Path(__file__).parents[2]
HARMLESS: Final = "harmless"


def a_policy(text: str) -> Policy:
    """Return a policy as a store may hold it: no file is read with such texts."""
    metrics = {
        name: {**one, "namespace": text[:255], "name": text[:255], "dimensions": {text: text}}
        for name, one in LADDER["metrics"].items()
    }
    return Policy.model_validate(
        {
            **LADDER,
            "summary": text,
            "metrics": {name: {**metric, "unit": text[:20]} for name, metric in metrics.items()},
            "criteria": {
                **LADDER["criteria"],
                "signed": {"kind": "attestation", "statement": text},
                "quiet": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 9},
            },
        }
    )


def a_hostile_finding(text: str, criterion: str) -> Finding:
    return a_finding(criterion, text, verdict=Verdict.FAIL, label=Label.REGRESSION)


def a_rollout_with(text: str) -> Rollout:
    """Return a rollout with `text` in every text field."""
    policy = Policy.model_construct(**{**dict(a_policy(HARMLESS)), **dict(policy_from_store(text))})
    return a_rollout(
        policy=policy, label=text, target=text, revision=text,
        conditions={ConditionKind.UNCONFIRMED: Condition(NOON, text)},
        state=a_state(
            Phase.ROLLED_BACK, sentence=text, watch_until=NOON,
            leak_check=a_hostile_finding(text, "leak_check"),
        ),
        findings=tuple(a_hostile_finding(text, name) for name in ("works", "quiet", "signed")),
    )  # fmt: skip


def a_waiting_rollout_with(text: str) -> Rollout:
    """Return the rollout before its 0% is confirmed: it waits for that, for `text` as a reason."""
    return replace(a_rollout_with(text), state=a_state(Phase.ROLLING_BACK, sentence=text))


def policy_from_store(text: str) -> Policy:
    """Return the policy; halves of characters, which pydantic reads nowhere, are put in by hand."""
    try:
        text.encode()
    except UnicodeEncodeError:
        plain = a_policy(HARMLESS)
        metrics = {
            name: metric.model_copy(update={"namespace": text, "name": text, "unit": text})
            for name, metric in plain.metrics.items()
        }
        return plain.model_copy(update={"summary": text, "metrics": metrics})
    return a_policy(text)


def entries(text: str) -> list[Entry]:
    body = {
        "by": text, "step": 0, "weight_to": 10, "reason": "inconclusive", "sentence": text,
        "findings": [finding_data(a_hostile_finding(text, "works"))],
    }  # fmt: skip
    return [Entry(1, NOON, "paused", body, "before", "after")]


def message(text: str) -> Message:
    """Return a message; its own text may have several lines, `text` in it only one."""
    text_ = " ".join(text.split("\n"))
    return a_message(text=text_, reason=text, kind=text, key=text, run=text, phase=text)


def strings(data: Any) -> Iterator[str]:
    """Yield every text in plain data."""
    match data:
        case str():
            yield data
        case dict():
            for one in data.values():
                yield from strings(one)
        case list():
            for one in data:
                yield from strings(one)
        case _:
            pass


def live_view_of(text: str) -> str:
    rollouts = (a_rollout_with(text), a_waiting_rollout_with(text))
    pages = (live_page(rollout, NOON) for rollout in rollouts)
    return "\n".join(line_text(line) for page in pages for line in layout(page, 200))


def log_output(text: str) -> str:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    logging.configure(stream)
    logging.logger().warning("hook_answered", message=text, many=[text], exc_info=ValueError(text))
    logging.configure()
    return stream.getvalue()


def stream_output(text: str) -> str:
    """Return the output of a stream that removes only line breaks and tabs."""
    stream = io.StringIO()
    print(re.sub("[\n\t]", " ", text), file=PrintableStream(stream))
    return stream.getvalue()


def error_text(text: str) -> str:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, "GetFunction")
    return clients.error_text("the function could not be read", error)


class Alarms:
    """CloudWatch with one alarm, whose state has a reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def describe_alarms(self, **_: Any) -> Any:
        alarm = {"AlarmName": "slow", "StateValue": "OK", "StateReason": self._reason}
        return {"MetricAlarms": [{**alarm, "EvaluationState": "EVALUATION_FAILURE"}]}


def log_rows(text: str) -> str:
    output = [
        LogEvent("1", 0, text),
        LogEvent("2", 1, json.dumps({"event": text, "message": text})),
    ]
    return printable_block([*map(event_line, output), *count_lines(output)])


# Each output by name: what it prints when `text` is in all of its fields.
OUTPUTS: Final[Mapping[str, Callable[[str], str]]] = {
    "status, a page": lambda text: plain_text(rollout_page(a_rollout_with(text), NOON)),
    "status, what it waits for": lambda text: plain_text(
        rollout_page(a_waiting_rollout_with(text), NOON)
    ),
    "status, many": lambda text: plain_text(overview_page([a_rollout_with(text)], NOON)),
    "status, a line": lambda text: printable(rollout_line(a_rollout_with(text))),
    "history": lambda text: plain_text(list(history_blocks(entries(text)))),
    "plan": lambda text: plain_text(
        plan_page(Plan(a_rollout_with(text).policy, NOON, PlanAnswer(text)))
    ),
    "doctor and verify": lambda text: plain_text(
        checks_page([Check(text, CheckLevel.FAIL, text, text)])
    ),
    "logs": log_rows,
    "the live view": live_view_of,
    "the log on a terminal": log_output,
    "a stream": stream_output,
    "the report": lambda text: report_html(
        make_report(RolloutHistory(a_rollout_with(text), entries(text)), NOON)
    ),
    "the status page": lambda text: status_html(
        Overview((a_rollout_with(text), a_waiting_rollout_with(text)), (StoreError(text),)), NOON
    ),
    "the dashboard": lambda text: overview_html(
        View(Overview((a_rollout_with(text),), ()), NOON, (Event(text, entries(text)[0]),), text),
        Live("/events", "1", text),
    ),
    "the dashboard of a rollout": lambda text: rollout_html(
        make_report(RolloutHistory(a_rollout_with(text), entries(text)), NOON),
        Live("/events", "1", text),
        Forms(acts_of(a_rollout_with(text), tuple(Button), text), text, text, False, outcome=text),
    ),
    "Markdown": lambda text: rollout_markdown(a_rollout_with(text), entries(text), NOON),
    "JUnit": lambda text: junit_text(a_rollout_with(text), entries(text)),
    "an error": lambda text: str(StoreError(text)),
    "a mistake in a file": lambda text: str(PolicyError.of(Flaw(text, text, 1, 2))),
    "AWS's words": error_text,
    "an alarm's reason": lambda text: (
        CloudWatchAlarms(lambda: Alarms(text)).states(["slow"])["slow"].reason
    ),
    "a hook's refusal": lambda text: (
        consent_of(json.dumps({"allow": False, "reason": f"no: {text}"}).encode()).message
    ),
    "Slack": lambda text: "\n".join(strings(slack.blocks(a_rollout_with(text), message(text)))),
    "PagerDuty": lambda text: pagerduty.event_of("trigger", a_rollout_with(text), message(text))[
        "payload"
    ]["summary"],
    "SNS": lambda text: sns.text(message(text), a_rollout_with(text)),
    "the subject of SNS": lambda text: sns.subject(message(text), a_rollout_with(text)),
}


@pytest.mark.parametrize(("text", "output"), pairs(HOSTILE_TEXTS, {name: name for name in OUTPUTS}))
def test_no_output_obeys_a_text_from_outside(output: str, text: str) -> None:
    shown, plain = OUTPUTS[output](text), OUTPUTS[output](HARMLESS)
    assert list(unsafe_parts(shown)) == []
    assert "pwned" in shown or "\\u" in shown or "?" in shown
    if output not in ("the live view", "the log on a terminal"):  # a column there may wrap
        assert shown.count("\n") == plain.count("\n")


def test_every_channel_that_people_read_is_among_the_outputs() -> None:
    read_by_programs, with_blocks_of_slack = {"eventbridge"}, {"slack-bot"}
    others = read_by_programs | with_blocks_of_slack
    assert set(CHANNELS.built_in) - others <= {name.lower() for name in OUTPUTS}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_an_annotation_is_one_command_and_no_other(text: str) -> None:
    shown = annotation(Flaw(text, text, 1, 2))
    head, _, rest = shown.removeprefix("::").partition("::")
    assert head.startswith("error file=")
    assert list(unsafe_parts(f"{head} {rest}")) == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_a_report_is_xml_with_as_many_cases(text: str) -> None:
    assert tags(junit_text(a_rollout_with(text), entries(text))) == tags(
        junit_text(a_rollout_with(HARMLESS), entries(HARMLESS))
    )


def tags(document: str) -> list[str]:
    """Return the elements of `document`, as a strict parser finds them."""
    tags_: list[str] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, _: tags_.append(name)
    parser.Parse(document.encode(), True)
    return tags_


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_attributes_of_sns_are_what_sns_takes(text: str) -> None:
    sent: dict[str, Any] = {}

    class Topic:
        def publish(self, **request: Any) -> None:
            sent.update(request)

    policy = Policy.model_validate(
        {**LADDER, "notify": [{"kind": "sns", "topic": "arn:aws:sns:eu-west-1:123456789012:t"}]}
    )
    (channel,) = policy.notify or ()
    assert isinstance(channel, sns.SnsChannel)
    channel.deliver(OneClientAccount(Topic), a_rollout_with(text), message(text))
    assert list(unsafe_parts("\n".join(strings(sent["MessageAttributes"])))) == []


MARKUP: Final = "[red]pwned[/red] [link=http://x]y[/link] :boom:"


def test_markup_in_a_text_is_drawn_as_text() -> None:
    assert MARKUP in live_view_of(MARKUP)
    unit = MARKUP[:20]
    policy = a_policy(unit)
    assert unit in live_view_of(MARKUP) or policy.metrics["errors"].unit == unit


LINKS: Final = "<img src=x onerror=y> ![a](http://x) @octocat www.x.org `b` | c own/er#1 GH-12"


def test_in_markdown_a_text_is_no_link_no_image_no_mention_no_issue_and_no_cell() -> None:
    head, _, _ = rollout_markdown(a_rollout_with(LINKS), entries(LINKS), NOON).partition("```text")
    linked = ("<img", "](http:", "@octocat", " www.x", "#1", "GH-12")
    assert [one for one in linked if one in head] == []
    rows = [line for line in head.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_in_slack_a_text_is_no_mention() -> None:
    data = slack.blocks(a_rollout_with("x"), message("<!channel> <@U123> & <http://x|y>"))
    assert "<" not in data["text"]
    kinds = {one["text"]["type"] for one in data["blocks"] if "text" in one}
    assert kinds == {"plain_text"}


def test_an_uncaught_failure_is_printable() -> None:
    program = """
import sys
from controller import cli
from controller.__main__ import main
def failing():
    raise ValueError("x\\n::error::pwned\\x1b[2J")
cli.main = failing
sys.exit(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "ValueError: x" in ended.stderr
    assert [line for line in ended.stderr.split("\n") if line.startswith("::")] == []
    assert "\x1b" not in ended.stderr
