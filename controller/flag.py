"""The percentage flag inside an application: which path does this request take, and how did it go?

One file, standard library only: copy it into a Lambda function or put it into a layer.

    from flag import Flag

    flag = Flag()

    def handler(event, context):
        with flag.request() as path:
            return new_way(event) if path.canary else old_way(event)

The variable is read at each request. Missing or unreadable means 0: in doubt, the old path. Each
request logs one JSON line, which CloudWatch also reads as metrics (embedded metric format):
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


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag of one target.

    percentage, boolean: the names of its variables; boolean None: there is only the percentage.
    name: the dimension Flag of the metrics; empty: the name of the Lambda function. One function
    with two flags gives each a name.
    environ, draw, log, now, seconds: what it reads, draws (0 <= x < 1), writes and measures with.
    """

    percentage: str = "CANARY_PERCENTAGE"
    boolean: str | None = None
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

        key: requests with the same one take the same path, and the canary at 50 % if they took it
        at 10 %. Without a key each request is drawn.
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
