"""An account of the emulator: the function of the shipped policy, and metrics of both paths."""

import atexit
import io
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from controller.flag import CANARY, NAMESPACE, STABLE
from tests.support.emulator import UPDATE_S, Emulator

SHIPPED: Final = Path(__file__).parents[2] / "policies" / "execution-api.yaml"
_FOLDER: Final = TemporaryDirectory(prefix="rolloutctl-policy-")
atexit.register(_FOLDER.cleanup)  # otherwise Python warns when it deletes the folder itself


def _with_threshold_judge() -> Path:
    """Return the path of the shipped policy with the threshold judge.

    The emulator answers a count above a limit (TC) with an average, which the sequential judge
    refuses as inconsistent; test_evidence_over_steps.py uses that judge, with percentiles.
    """
    text = SHIPPED.read_text()
    for old, new in {
        "{kind: success_rate,": "{kind: success_rate, judge: threshold,",
        "{kind: latency_increase,": "{kind: latency_increase, judge: threshold,",
        "{kind: threshold,": "{kind: threshold, judge: threshold,",
        ", control: {total: direct_calls, failures: [direct_failures]}": "",
        "max: 10, window: 5m}": "max: 10, window: 5m, failure_limit: 1}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("direct_failures:")]
    path = Path(_FOLDER.name) / SHIPPED.name
    path.write_text("\n".join(lines) + "\n")
    return path


POLICY: Final = _with_threshold_judge()
FUNCTION: Final = "SlackBedrockStack-SlackEventHandler898FE80E-TJUkrbzJtXGK"
PERCENTAGE: Final = "USE_API_GATEWAY_PERCENTAGE"
BOOLEAN: Final = "USE_API_GATEWAY"

AT_0: Final[Mapping[str, str]] = {PERCENTAGE: "0", BOOLEAN: "false"}
# A service that was switched by its boolean, before there was a percentage.
AT_100_BY_HAND: Final[Mapping[str, str]] = {BOOLEAN: "true"}

# Other variables of the function. rolloutctl must not change them, and some are secret.
OTHERS: Final[Mapping[str, str]] = {
    "EMPTY": "",
    "UNICODE": "Grüße aus 世界 🚀 e\N{COMBINING ACUTE ACCENT}",
    "QUOTED": 'she said "it\'s" and `left`',
    "EQUATION": "a=b==c&d=%20;e",
    "JSON": '{"a": [1, null], "b": "\\u00e9"}',
    "LINES": "one\ntwo\r\n\tthree\n",
    "SPACES": "  kept  ",
    "BACKSLASHES": "C:\\temp\\new\\\\",
    "LONG": "0123456789abcdef" * 100,
    "NUMBER": "010",
    "BOOLEAN_LOOKING": "True",
    "USE_API_GATEWAY_PERCENTAGE_NOTE": "10% of what?",
    "SLACK_SIGNING_SECRET": "shhh-8f742231b10e8888abcd99yyyzzz85a5",
    "DATABASE_URL": "postgres://app:tr0ub4dor&3@db.internal:5432/app?sslmode=require",
}

API: Final = "Execution Layer API"
_MINUTE: Final = timedelta(minutes=1)

# Requests of one minute: their number by duration (ms). All three have an average near 162; the p95
# is 240 on the stable path, 2% more through the gateway, and 25% more with a slow tail.
_DIRECTLY: Final = {120.0: 30, 180.0: 20, 240.0: 8, 300.0: 2}
_GATEWAY: Final = {119.0: 30, 178.0: 20, 244.8: 8, 306.0: 2}
_SLOW_TAIL: Final = {110.0: 30, 170.0: 20, 300.0: 10}
_ONE_REQUEST: Final = {178.0: 1}
_PUT_AT_ONCE: Final = 1_000


@dataclass(slots=True)
class Account:
    """One account of the emulator, with the changes that people and traffic make in it."""

    emulator: Emulator
    number: str
    _lambda: Any
    _cloudwatch: Any

    @classmethod
    def of(cls, emulator: Emulator, number: str) -> "Account":
        """Return the account called `number`."""
        clients = (emulator.client(service, number) for service in ("lambda", "cloudwatch"))
        return cls(emulator, number, *clients)

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service` that acts in this account."""
        return self.emulator.client(service, self.number)

    # --- functions ------------------------------------------------------------------------------

    def create(
        self, function: str = FUNCTION, pair: Mapping[str, str] = AT_0, *, wait: bool = True
    ) -> None:
        """Create `function` with `pair`, and with a dozen other variables."""
        self._lambda.create_function(
            FunctionName=function,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{self.number}:role/handler",
            Handler="handler.handle",
            Timeout=60,  # a first invocation starts a Python, on a machine with others at work
            Code={"ZipFile": _archive()},
            Environment={"Variables": {**OTHERS, **pair}},
        )
        if wait:
            self.settled(function)

    def change(self, function: str = FUNCTION, **variables: str) -> None:
        """Set some variables outside rolloutctl, as a person or a deployment does."""
        self.settled(function)
        merged = {**self.environment(function), **variables}
        self._lambda.update_function_configuration(
            FunctionName=function, Environment={"Variables": merged}
        )
        self.settled(function)

    def environment(self, function: str = FUNCTION) -> dict[str, str]:
        """Return every variable of `function`."""
        variables: dict[str, str] = self._configuration(function)["Environment"]["Variables"]
        return variables

    def pair(self, function: str = FUNCTION) -> tuple[str, str]:
        """Return the current percentage and boolean of `function`."""
        variables = self.environment(function)
        return variables[PERCENTAGE], variables[BOOLEAN]

    def others(self, function: str = FUNCTION) -> dict[str, str]:
        """Return every variable of `function` but the pair."""
        variables = self.environment(function)
        return {name: variables[name] for name in variables if name not in (PERCENTAGE, BOOLEAN)}

    def revision(self, function: str = FUNCTION) -> str:
        """Return the RevisionId of `function`, which changes with every write."""
        self.settled(function)
        return str(self._configuration(function)["RevisionId"])

    def code(self, function: str = FUNCTION) -> str:
        """Return the digest of the code of `function`."""
        return str(self._configuration(function)["CodeSha256"])

    def _configuration(self, function: str) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = self._lambda.get_function_configuration(
            FunctionName=function
        )
        return configuration

    def settled(self, function: str = FUNCTION) -> None:
        """Wait until no update is in progress. Raises TimeoutError after five seconds."""
        for wait_s in (UPDATE_S, *[0.05] * 90):
            configuration = self._configuration(function)
            if (configuration["State"], configuration["LastUpdateStatus"]) == (
                "Active",
                "Successful",
            ):
                return
            time.sleep(wait_s)
        raise TimeoutError(f"{function} is still being updated after 5 s")

    # --- measurements ---------------------------------------------------------------------------

    def call_directly(
        self,
        begin: datetime,
        end: datetime,
        *,
        times: float = 1.0,
        every: int = 1,
        flag: str = FUNCTION,
    ) -> None:
        """Publish metrics of calls on the direct path in each minute from `begin` to `end`.

        times: the ratio of calls to those of `call_gateway`. every: publish the calls of so many
        minutes in the first one, which takes fewer datapoints. flag: its name in the metrics.
        """
        took = {length: round(calls * times * every) for length, calls in _DIRECTLY.items()}
        self._put(NAMESPACE, _calls(flag, STABLE, took), _minutes(begin, end, every))

    def time_the_backend(self, begin: datetime, end: datetime) -> None:
        """Publish the durations of calls on the direct path, as Lambda does for the backend."""
        took = [_datum("Duration", {"FunctionName": "BedrockProcessor"}, _DIRECTLY)]
        self._put("AWS/Lambda", took, _minutes(begin, end))

    def call_gateway(
        self,
        begin: datetime,
        end: datetime,
        *,
        times: int = 1,
        failing: int = 0,
        slow: bool = False,
        api: str = API,
        flag: str = FUNCTION,
    ) -> None:
        """Publish metrics of calls of the gateway `api` in each minute from `begin` to `end`.

        Both the caller and the gateway publish. times: how many times the 60 requests of a minute.
        flag: the name in the metrics of the caller.
        failing: how many of 60 requests end with a 5XX. slow: the slowest sixth takes longer.
        """
        calls = _SLOW_TAIL if slow else _GATEWAY
        took = {length: times * count for length, count in calls.items()}
        failing *= times
        self._put(NAMESPACE, _calls(flag, CANARY, took, failing), _minutes(begin, end))
        self._put("AWS/ApiGateway", _answers(took, failing, api), _minutes(begin, end))

    def call_gateway_rarely(self, begin: datetime, end: datetime) -> None:
        """Publish one successful request of the gateway in every fifth minute of the clock."""
        self._put("AWS/ApiGateway", _answers(_ONE_REQUEST), _minutes(begin, end, every=5))

    def _put(
        self, namespace: str, minute: Sequence[Mapping[str, Any]], minutes: Iterable[datetime]
    ) -> None:
        data = [{**one, "Timestamp": at} for at in minutes for one in minute]
        for first in range(0, len(data), _PUT_AT_ONCE):
            self._cloudwatch.put_metric_data(
                Namespace=namespace, MetricData=data[first : first + _PUT_AT_ONCE]
            )


def _answers(took: Mapping[float, int], failing: int = 0, api: str = API) -> list[dict[str, Any]]:
    """Return what the gateway `api` measures in a minute of requests that took so long (ms)."""
    requests, by_api = sum(took.values()), {"ApiName": api}
    return [
        _datum("Count", by_api, {1.0: requests}),
        _datum("4XXError", by_api, {0.0: requests}),
        _datum("5XXError", by_api, {0.0: requests - failing, 1.0: failing}),
        _datum("Latency", by_api, took),
        _datum("IntegrationLatency", by_api, took),
    ]


def _calls(
    flag: str, path: str, took: Mapping[float, int], failing: int = 0
) -> list[dict[str, Any]]:
    """Return what the caller measures in a minute of calls on `path` that took so long (ms)."""
    calls, by_path = sum(took.values()), {"Flag": flag, "Path": path}
    return [
        _datum("Requests", by_path, {1.0: calls}),
        _datum("Failures", by_path, {0.0: calls - failing, 1.0: failing}),
        _datum("Duration", by_path, took),
    ]


def _datum(
    name: str, dimensions: Mapping[str, str], samples: Mapping[float, int]
) -> dict[str, Any]:
    """Return one datum of many samples, so that SampleCount and percentiles are of requests."""
    some = {value: count for value, count in samples.items() if count}
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Values": list(some),
        "Counts": [float(count) for count in some.values()],
    }


def _minutes(begin: datetime, end: datetime, every: int = 1) -> Iterator[datetime]:
    at, last = (moment.replace(second=0, microsecond=0) for moment in (begin, end))
    while at < last:
        if at.minute % every == 0:
            yield at
        at += _MINUTE


def _archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "handler.py", "def handle(event, context): return {**event, 'allow': True}"
        )
    return content.getvalue()
