"""The percentage flag inside an application: which path does this request take, and how did it go?

One file, standard library only: copy it into a Lambda function or put it into a layer.

    from flag import Flag

    flag = Flag()

    def handler(event, context):
        with flag.request() as path:
            return new_way(event) if path.canary else old_way(event)

The variable is read at each request. Missing or unreadable means 0: in doubt, the old path. With
`Flag(appconfig=AppConfig(...))` the percentage is in AWS AppConfig instead, and boto3 is needed,
which the Python runtimes of Lambda have.

Each request logs one JSON line, which CloudWatch also reads as metrics (embedded metric format):
Requests, Failures and Duration in milliseconds, by Flag (the name of the function) and Path, in
the namespace rolloutctl.
"""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "rolloutctl"
EVENT = "rollout_flag"
CANARY, STABLE = "canary", "stable"

_METRICS = [
    {"Name": "Requests", "Unit": "Count"},
    {"Name": "Failures", "Unit": "Count"},
    {"Name": "Duration", "Unit": "Milliseconds"},
]
_SHARES = 2**64
# Lambda sets it. Elsewhere a flag needs a name: CloudWatch takes no empty dimension.
_FUNCTION = "AWS_LAMBDA_FUNCTION_NAME"
_UNNAMED = "unnamed"
# How long a value of AppConfig is kept, in seconds: as often as AppConfig may be asked, and so long
# that a rollback reaches every request within a minute.
_SHORTEST_CACHE_S, _LONGEST_CACHE_S = 15, 45
_PATIENCE_S = 1  # a request waits so long for a connection to AppConfig, and for its answer


@dataclass(slots=True)
class Path:
    """The way of one request. `failed` may be set for an answer that is an error."""

    canary: bool
    failed: bool = False

    @property
    def name(self) -> str:
        """`canary` or `stable`."""
        return CANARY if self.canary else STABLE


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - standard output is the log of a Lambda function


@dataclass(slots=True)
class AppConfig:
    """A percentage in AWS AppConfig, which is kept for `cached_s` seconds (15 to 45).

    Where it cannot be read, the last value counts; where it never could be, 0. Make it once,
    outside of the handler. Raises ValueError when `cached_s` is out of range.

    application, environment, profile: their names or IDs. flag: the key of a feature flag; None:
    the profile is a JSON object. attribute: has the percentage. client: of `appconfigdata`; None:
    the one of boto3. log, seconds: as in `Flag`.
    """

    application: str
    environment: str
    profile: str
    flag: str | None = None
    attribute: str = "percentage"
    cached_s: float = _LONGEST_CACHE_S
    client: Any = None
    log: Callable[[str], object] = _print
    seconds: Callable[[], float] = time.monotonic
    _weight: int = field(default=0, init=False)
    _token: str = field(default="", init=False)
    _due: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not _SHORTEST_CACHE_S <= self.cached_s <= _LONGEST_CACHE_S:
            raise ValueError(
                f"cached_s is from {_SHORTEST_CACHE_S} to {_LONGEST_CACHE_S}, not {self.cached_s}"
            )

    def weight(self) -> int:
        """Return the percent of requests that take the canary, 0 to 100."""
        now = self.seconds()
        if self._due is None or now >= self._due:
            self._due = now + self.cached_s  # also after a failure: it is no reason to ask more
            try:
                self._read_again()
            except Exception as error:  # noqa: BLE001 - the last value counts
                problem = f"{type(error).__name__}: {error}"
                with suppress(Exception):
                    self.log(json.dumps({"event": f"{EVENT}_unread", "problem": problem}))
        return self._weight

    def _read_again(self) -> None:
        """Read; where that fails in a session that has worked, once more in a new one.

        An environment that was frozen has a connection that is closed, or a token that is too old.
        """
        has_session = bool(self._token)
        try:
            self._read()
        except Exception:
            self._token = ""
            if not has_session:
                raise
        else:
            return
        try:
            self._read()
        except Exception:
            self._token = ""
            raise

    def _read(self) -> None:
        if self.client is None:
            self.client = _client()
        if not self._token:
            session = self.client.start_configuration_session(
                ApplicationIdentifier=self.application,
                EnvironmentIdentifier=self.environment,
                ConfigurationProfileIdentifier=self.profile,
                RequiredMinimumPollIntervalInSeconds=_SHORTEST_CACHE_S,
            )
            self._token = session["InitialConfigurationToken"]
        answer = self.client.get_latest_configuration(ConfigurationToken=self._token)
        self._token = answer["NextPollConfigurationToken"]
        content = answer["Configuration"].read()
        if content:  # empty: the same version as before
            self._weight = percentage_in(json.loads(content), self.flag, self.attribute)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    limits = Config(
        connect_timeout=_PATIENCE_S, read_timeout=_PATIENCE_S, retries={"total_max_attempts": 1}
    )
    return boto3.client("appconfigdata", config=limits)


def percentage_in(document: Any, flag: str | None, attribute: str) -> int:
    """Return the percentage in what AppConfig gives to applications; 0 where there is none.

    A flag that is off has 0. flag None: the attribute is in the document itself.
    """
    settings = document
    if flag is not None:
        settings = document.get(flag) if isinstance(document, dict) else None
    if not isinstance(settings, dict) or (flag is not None and settings.get("enabled") is not True):
        return 0
    value = settings.get(attribute, 0)
    fits = type(value) in (int, float) and 0 <= value <= 100 and value == int(value)
    return int(value) if fits else 0


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag of one target.

    percentage, boolean: the names of its variables; boolean None: there is only the percentage.
    appconfig: where the percentage is instead; None: in the variable.
    name: the dimension Flag of the metrics; empty: the name of the Lambda function. One function
    with two flags gives each a name.
    environ, draw, log, now, seconds: what it reads, draws (0 <= x < 1), writes and measures with.
    """

    percentage: str = "CANARY_PERCENTAGE"
    boolean: str | None = None
    appconfig: AppConfig | None = None
    name: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    draw: Callable[[], float] = random.random
    log: Callable[[str], object] = _print
    now: Callable[[], float] = time.time  # noqa: TID251 - an application has no Clock port
    seconds: Callable[[], float] = time.perf_counter

    def weight(self) -> int:
        """Return the percent of requests that take the canary, 0 to 100.

        A missing percentage is 100 when the boolean is true. What is no whole number from 0 to 100
        is 0.
        """
        if self.appconfig is not None:
            return self.appconfig.weight()
        text = self.environ.get(self.percentage)
        if text is None:
            full = self.boolean is not None and self.environ.get(self.boolean) == "true"
            return 100 if full else 0
        if not (text.isascii() and text.isdigit() and len(text) <= len("100")):
            return 0
        weight = int(text)
        return weight if weight <= 100 else 0

    def chosen(self, key: str | None = None) -> bool:
        """Tell whether a request takes the canary.

        key: requests with the same one take the same path, and the canary at 50% if they took it
        at 10%. Without a key each request is drawn.
        """
        return self._takes(self.weight(), key)

    @contextmanager
    def request(self, key: str | None = None) -> Iterator[Path]:
        """Yield the path of a request; log how it went, also when it raises."""
        weight = self.weight()
        path = Path(self._takes(weight, key))
        begin = self.seconds()
        try:
            yield path
        except BaseException:
            path.failed = True
            raise
        finally:
            self._tell(path, weight, self.seconds() - begin)

    def _takes(self, weight: int, key: str | None) -> bool:
        return (self.draw() if key is None else share_of(key)) < weight / 100

    def _tell(self, path: Path, weight: int, took_s: float) -> None:
        name = self.name or self.environ.get(_FUNCTION) or _UNNAMED
        dimensions = {"Flag": name, "Path": path.name}
        metrics = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": _METRICS}
        stamp = int(self.now() * 1_000)
        line = {
            "_aws": {"Timestamp": stamp, "CloudWatchMetrics": [metrics]},
            "event": EVENT,
            "percentage": weight,
            **dimensions,
            "Requests": 1,
            "Failures": int(path.failed),
            "Duration": round(took_s * 1_000, 3),
        }
        with suppress(Exception):  # what cannot be logged fails no request
            self.log(json.dumps(line))


def share_of(key: str) -> float:
    """Return where `key` lies between 0 (included) and 1 (excluded), the same on every machine."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / _SHARES
