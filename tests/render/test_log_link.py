"""The log of an interval: a link to the console of the function's region, and a command."""

import pytest

from controller.tools.report.html import log_link
from tests.support.rollouts import a_rollout

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:checkout"
# As the console writes it in the address bar for this group and hour.
BEGIN, END = 1_767_603_600, 1_767_607_200


def test_the_link_opens_the_logs_of_the_hour_in_the_region_of_the_function() -> None:
    link = log_link(a_rollout(target=ARN), BEGIN, END)
    assert link is not None
    host, _, fragment = link.url.partition("#")
    assert host == "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
    assert fragment.startswith(
        "logsV2:logs-insights$3FqueryDetail$3D~(end~'2026-01-05T10*3a00*3a00"
    )
    assert "start~'2026-01-05T09*3a00*3a00.000Z" in fragment
    assert f"source~(~'{link.group.replace('/', '*2f')}))" in fragment
    assert f"--start-time {BEGIN}000 --end-time {END}000" in link.command


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (ARN.replace(":aws:", ":aws-cn:"), "https://eu-central-1.console.amazonaws.cn/"),
        (
            ARN.replace(":aws:", ":aws-us-gov:"),
            "https://eu-central-1.console.amazonaws-us-gov.com/",
        ),
        (ARN.replace("eu-central-1", "evil.example/?"), ""),
        (ARN.replace(":aws:", ":aws-unknown:"), ""),
        ("checkout", ""),
    ],
)
def test_a_link_leads_to_a_console_of_aws_or_nowhere(target: str, host: str) -> None:
    link = log_link(a_rollout(target=target), BEGIN, END)
    assert link is not None
    assert link.url.startswith(host)
    assert bool(link.url) == bool(host)
