"""A function with the flag in its zip, run as real code by the emulator; its log as metrics."""

import base64
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final, TypeAlias

from controller import flag
from controller.immutable import Immutable
from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE, Account

# Each user always takes the same path. The clock is simulated, so that durations are exact (200 ms
# directly, 204 ms through the gateway) and independent of this machine.
HANDLER: Final = f'''\
"""Answer a Slack event by the backend, which is called directly or through the gateway."""

from flag import Flag

_clock = [0.0]
_flag = Flag("{PERCENTAGE}", "{BOOLEAN}", seconds=lambda: _clock[0])


def handle(event, context):
    with _flag.request(event["user"]) as path:
        _call(event, seconds=0.204 if path.canary else 0.200)
        return path.name


def _call(event, seconds):
    _clock[0] += seconds
    if event["fails"]:
        raise ConnectionError("no answer")
'''
FAILED: Final = "failed"

# A log line in the embedded metric format of CloudWatch.
Line: TypeAlias = Mapping[str, Any]


def vendored() -> bytes:
    """Return the zip of the function: its handler, and the flag module of this checkout."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", HANDLER)
        archive.write(Path(flag.__file__), "flag.py")
    return content.getvalue()


class Called(Immutable):
    """One invocation. answer: the path that answered, or FAILED. line: the log line of the flag."""

    answer: str
    line: Line


def deploy(account: Account) -> None:
    """Give the function of `account` its code."""
    account.client("lambda").update_function_code(FunctionName=FUNCTION, ZipFile=vendored())
    account.settled()


def call(account: Account, users: Iterable[str], failing: Collection[str]) -> list[Called]:
    """Invoke the function once for each user; the backend answers none of the `failing` ones."""
    client = account.client("lambda")
    payloads = [json.dumps({"user": user, "fails": user in failing}) for user in users]
    answers = (
        client.invoke(FunctionName=FUNCTION, LogType="Tail", Payload=payload)
        for payload in payloads
    )
    return [_called(answer) for answer in answers]


def publish(account: Account, lines: Sequence[Line], begin: datetime) -> None:
    """Publish the metrics in these lines, as CloudWatch does and the emulator does not.

    begin: the time of the first line, on the clock of the test.
    """
    first = min(line["_aws"]["Timestamp"] for line in lines)
    data: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        at = begin + timedelta(milliseconds=line["_aws"]["Timestamp"] - first)
        for namespace, datum in _metrics(line):
            data[namespace].append({**datum, "Timestamp": at})
    for namespace, batch in data.items():
        account.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=batch)


def _called(answer: Mapping[str, Any]) -> Called:
    body = json.loads(answer["Payload"].read())
    log = base64.b64decode(answer["LogResult"]).decode()
    (line,) = [json.loads(one) for one in log.splitlines() if "CloudWatchMetrics" in one]
    return Called(FAILED if "FunctionError" in answer else body, line)


def _metrics(line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield namespace and datum of each metric in `line`."""
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names, metric in product(directive["Dimensions"], directive["Metrics"]):
            yield (
                directive["Namespace"],
                {
                    "MetricName": metric["Name"],
                    "Dimensions": [{"Name": name, "Value": line[name]} for name in names],
                    "Value": line[metric["Name"]],
                    "Unit": metric["Unit"],
                },
            )
