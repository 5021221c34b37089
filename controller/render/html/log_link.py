"""Where to read the log of an interval: a link to CloudWatch Logs Insights, and a command."""

import re
import shlex
from typing import Final

from controller.core.rollout import Rollout
from controller.core.units import from_unix
from controller.immutable import Immutable

_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")  # it becomes part of a host name
_QUERY: Final = "fields @timestamp, @message | sort @timestamp asc | limit 1000"


class LogLink(Immutable):
    """The log of an interval. url: empty where the region is not known."""

    group: str
    url: str
    command: str


def log_link(rollout: Rollout, begin: int, end: int) -> LogLink | None:
    """Return where the log of `rollout` from `begin` to `end`, unix seconds, is to be read.

    None where its target has no log group.
    """
    group = rollout.policy.target.log_group
    if not group:
        return None
    command = (
        f"aws logs filter-log-events --log-group-name {shlex.quote(group)} "
        f"--start-time {begin * 1000} --end-time {end * 1000}"
    )
    arn = rollout.target.split(":")
    if len(arn) < 5 or arn[1] not in _CONSOLES or not _REGION.fullmatch(arn[3]):
        return LogLink(group, "", command)
    region, console = arn[3], _CONSOLES[arn[1]]
    detail = (
        f"~(end~'{_moment(end)}~start~'{_moment(begin)}~timeType~'ABSOLUTE~tz~'UTC~editorString~'"
        f"{_encoded(_QUERY)}~source~(~'{_encoded(group)}))"
    )
    fragment = f"logsV2:logs-insights?queryDetail={detail}".replace("?", "$3F").replace("=", "$3D")
    return LogLink(
        group, f"https://{region}.{console}/cloudwatch/home?region={region}#{fragment}", command
    )


def _moment(second: int) -> str:
    return _encoded(f"{from_unix(second):%Y-%m-%dT%H:%M:%S.000Z}")


def _encoded(text: str) -> str:
    """Return `text` as the console writes it in its addresses: `*2f` for a slash."""
    return "".join(
        one if one.isascii() and (one.isalnum() or one in "-_.") else _escape(one) for one in text
    )


def _escape(character: str) -> str:
    return "".join(f"*{byte:02x}" for byte in character.encode())
