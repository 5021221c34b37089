"""A server that answers DynamoDB, Lambda and CloudWatch after a delay, for benchmarks/scale.py.

    python -m benchmarks.scale_server LATENCY_S

It prints its address, keeps one table in memory, and answers with the wire format of each service.
Functions whose name begins with `hung` do not answer, and those with `denied` are refused; the
requests of canaries that begin with `sick` fail; a rollout that begins with `stuck` gets no answer
about its lease. Lambda throttles above 15 requests a second in
each account, of which every function is in one: the part of its name after the last hyphen.
"""

import json
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from controller.flag import STABLE

LAMBDA_A_SECOND: Final = 15.0
HANGS_S: Final = 60.0

Item = dict[str, Any]

_PROJECTED: Final = frozenset(
    ("pk", "sk", "active", "created", "closed", "due", "phase", "watch_until", "updated")
)  # what the index `active` has of an item


class Table:
    """The items of one table; it knows the expressions that the store writes."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self._lock = threading.Lock()

    def answer(self, operation: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        with self._lock:
            match operation:
                case "GetItem":
                    found = self._items.get(_key(request["Key"]))
                    return 200, {} if found is None else {"Item": found}
                case "BatchGetItem":
                    ((name, wanted),) = request["RequestItems"].items()
                    keys = map(_key, wanted["Keys"])
                    found_items = [self._items[key] for key in keys if key in self._items]
                    return 200, {"Responses": {name: found_items}}
                case "Query":
                    return 200, {"Items": self._query(request)}
                case "UpdateItem":
                    return self._update(request)
                case "TransactWriteItems":
                    return self._transact(request["TransactItems"])
                case _:
                    return 400, {"__type": "com.amazonaws.dynamodb#ValidationException"}

    def _query(self, request: Mapping[str, Any]) -> list[Item]:
        values = request["ExpressionAttributeValues"]
        if request.get("IndexName") == "active":
            active = [one for one in self._items.values() if "active" in one]
            return [{name: one[name] for name in _PROJECTED & one.keys()} for one in active]
        found = [one for one in self._items.values() if one["pk"] == values[":value"]]
        return found[-1:] if request.get("Limit") == 1 else found

    def _update(self, request: Mapping[str, Any]) -> tuple[int, Any]:
        item = self._items.get(_key(request["Key"]))
        if not _holds(request, item):
            kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            refusal = {"__type": kind, "message": "The conditional request failed"}
            return 400, refusal if item is None else {**refusal, "Item": item}
        after = _updated(request, item)
        self._items[_key(after)] = after
        return 200, {"Attributes": after} if "ReturnValues" in request else {}

    def _transact(self, actions: list[Mapping[str, Any]]) -> tuple[int, Any]:
        writes = [next(iter(one.items())) for one in actions]
        before = [self._items.get(_key(one.get("Item") or one["Key"])) for _, one in writes]
        held = [_holds(one, item) for (_, one), item in zip(writes, before, strict=True)]
        if not all(held):
            reasons = [{"Code": "None" if one else "ConditionalCheckFailed"} for one in held]
            kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
            return 400, {"__type": kind, "message": "cancelled", "CancellationReasons": reasons}
        for (kind, request), item in zip(writes, before, strict=True):
            if kind == "Put":
                self._items[_key(request["Item"])] = request["Item"]
            elif kind == "Update":
                after = _updated(request, item)
                self._items[_key(after)] = after
            elif kind == "Delete":
                self._items.pop(_key(request["Key"]), None)
        return 200, {}


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _updated(request: Mapping[str, Any], before: Item | None) -> Item:
    item = {**(before or request["Key"])}
    names = request.get("ExpressionAttributeNames", {})
    values = request.get("ExpressionAttributeValues", {})
    for verb, body in re.findall(r"(SET|REMOVE) (.*?)(?= REMOVE |$)", request["UpdateExpression"]):
        for part in body.split(", "):
            if verb == "REMOVE":
                item.pop(names[part], None)
                continue
            name, value = part.split(" = ")
            if " + " in value:
                added = int(values[value.split(" + ")[1]]["N"])
                old = int(item.get(names[name], {"N": "0"})["N"])
                item[names[name]] = {"N": str(old + added)}
            else:
                item[names[name]] = values[value]
    return item


def _holds(request: Mapping[str, Any], item: Item | None) -> bool:
    """Tell whether the condition of a write holds, of those that the store writes."""
    condition = request.get("ConditionExpression", "")
    values, item = request.get("ExpressionAttributeValues", {}), item or {}
    if not condition:
        return True
    if condition == "attribute_not_exists(#pk)":
        return not item
    if "attribute_exists(#pk)" in condition:  # a lease
        until = item.get("lease_until", {}).get("S", "")
        free = "holder" not in item or item["holder"] == values[":holder"]
        return bool(item) and (free or until <= values[":now"]["S"])
    pairs = [part.split(" = ") for part in condition.split(" AND ")]
    names = request["ExpressionAttributeNames"]
    return all(item.get(names[name]) == values[value] for name, value in pairs)


class Account:
    """What all requests share. latency_s: before each answer. most: requests at a time.

    began, others_done: when the first request came, and the last write of a rollout without trouble
    was answered; None: none since the last report.
    """

    def __init__(self, latency_s: float) -> None:
        self.latency_s, self.table, self.calls = latency_s, Table(), Counter[str]()
        self.functions: dict[str, dict[str, str]] = {}
        self.running = self.most = 0
        self.began: float | None = None
        self.others_done: float | None = None
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, float]] = defaultdict(
            lambda: (LAMBDA_A_SECOND, time.monotonic())
        )

    def count(self, what: str, change: int = 1) -> None:
        with self._lock:
            self.running += change
            self.most = max(self.most, self.running)
            if change > 0:
                self.calls[what] += 1
                self.began = self.began or time.monotonic()

    def throttled(self, function: str) -> bool:
        """Take a token of the account of `function`; tell whether there was none."""
        account = function.rpartition("-")[2]
        with self._lock:
            tokens, since = self._tokens[account]
            now = time.monotonic()
            tokens = min(LAMBDA_A_SECOND, tokens + (now - since) * LAMBDA_A_SECOND)
            self._tokens[account] = (tokens - 1 if tokens >= 1 else tokens), now
            return tokens < 1


def _series(query: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    stat = query["MetricStat"]
    metric, period = stat["Metric"], stat["Period"]
    values = [one["Value"] for one in metric["Dimensions"]]
    sick = any("sick" in one for one in values) and STABLE not in values
    fails = "rror" in metric["MetricName"] or "ailure" in metric["MetricName"]
    stamps = list(range(start - start % period, end, period))
    kind = stat["Stat"]
    if fails:
        value = 30.0 * sick * period / 60
    elif kind in ("Sum", "SampleCount"):
        value = 100.0 * period / 60
    elif kind.startswith("TC"):
        value = 1.0 * period / 60
    elif kind.startswith("PR"):
        value = 1.0
    else:
        value = 120.0
    return {
        "Id": query["Id"],
        "Label": metric["MetricName"],
        "Timestamps": stamps,
        "Values": [value] * len(stamps),
        "StatusCode": "Complete",
    }


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    account: Account

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "").partition(".")[2]
        if self.path == "/control":
            self._control(json.loads(body or b"{}"))
            return
        what = target or f"{self.command} function"
        self.account.count(what)
        try:
            status, answer = self._of_service(target, json.loads(body or b"{}"))
        finally:
            self.account.count(what, -1)
        self._send(status, answer)

    def _control(self, wanted: Mapping[str, Any]) -> None:
        """Change the latency, add functions, or report what was called since the last report."""
        account = self.account
        account.latency_s = wanted.get("latency_s", account.latency_s)
        account.functions |= wanted.get("functions", {})
        report: dict[str, float] = {**account.calls, "most at a time": account.most}
        if account.began and account.others_done:
            report["others done after s"] = round(account.others_done - account.began, 1)
        account.calls, account.most, account.began, account.others_done = Counter(), 0, None, None
        self._send(200, report)

    def _of_service(self, target: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        time.sleep(self.account.latency_s)
        if target == "GetMetricData":
            start, end = int(request["StartTime"]), int(request["EndTime"])
            queries = request["MetricDataQueries"]
            if any("hostile" in json.dumps(one["MetricStat"]) for one in queries):
                kind = "com.amazonaws.cloudwatch#InvalidParameterValueException"
                return 400, {"__type": kind, "message": "a query is not valid"}
            return 200, {"MetricDataResults": [_series(one, start, end) for one in queries]}
        if target:
            about = request.get("Key", {}).get("pk", {}).get("S", "")
            if target == "UpdateItem" and "stuck" in about:
                time.sleep(HANGS_S)
            answer = self.account.table.answer(target, request)
            if target == "UpdateItem" and "sound" in about:
                self.account.others_done = time.monotonic()
            return answer
        return self._of_function(self.path.split("/")[3], request)

    def _of_function(self, name: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        if name.startswith("hung"):
            time.sleep(HANGS_S)
        if name.startswith("denied"):
            return 403, {"Message": "not authorized to perform: lambda:GetFunctionConfiguration"}
        if self.account.throttled(name):
            self.account.calls["throttled"] += 1
            return 429, {"Reason": "CallerRateLimitExceeded", "Message": "Rate exceeded"}
        if self.command == "PUT":
            self.account.functions[name] = request["Environment"]["Variables"]
        return 200, {
            "FunctionName": name,
            "FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "RevisionId": f"r-{json.dumps(self.account.functions.get(name))}",
            "Environment": {"Variables": self.account.functions.get(name, {})},
        }

    def _send(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amzn-RequestId", "0")
        if "cloudwatch" in str(answer.get("__type")):
            self.send_header("x-amzn-query-error", "InvalidParameterValue;Sender")
        if status == 403:
            self.send_header("x-amzn-ErrorType", "AccessDeniedException")
        if status == 429:
            self.send_header("x-amzn-ErrorType", "TooManyRequestsException")
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve until the process is ended."""
    Handler.account = Account(float(sys.argv[1]))
    server = _Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
