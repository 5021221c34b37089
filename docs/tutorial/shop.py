"""A small shop in the emulator: `create` its function, send it `traffic`, `show` its variables."""

import sys
import time
from datetime import UTC, datetime, timedelta

import boto3

function, metrics = boto3.client("lambda"), boto3.client("cloudwatch")


def create():
    """Make the function, and a day of requests on its old path."""
    function.create_function(
        FunctionName="checkout",
        Runtime="python3.12",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/checkout",
        Code={"ZipFile": b"PK\x05\x06" + bytes(18)},
        Environment={"Variables": {"NEW_PATH_PERCENTAGE": "0", "SHOP": "open"}},
    )
    now = datetime.now(UTC)
    for minutes in range(25 * 60, 0, -10):
        publish(now - timedelta(minutes=minutes), "stable", 6_000, 0)


def variables():
    """Return the variables of the function."""
    return function.get_function_configuration(FunctionName="checkout")["Environment"]["Variables"]


def minute(at, failing=0):
    """Serve 600 requests; failing: how many percent of those on the new path fail."""
    new = 6 * int(variables()["NEW_PATH_PERCENTAGE"])
    publish(at, "canary", new, new * failing // 100)
    publish(at, "stable", 600 - new, 0)


def publish(at, path, requests, failures):
    """Put the metrics of a path, as the flag in a function does."""
    flag, way = {"Name": "Flag", "Value": "checkout"}, {"Name": "Path", "Value": path}
    common = {"Dimensions": [flag, way], "Timestamp": at}
    data = [
        {"MetricName": "Requests", "Value": requests, **common},
        {"MetricName": "Failures", "Value": failures, **common},
    ]
    if requests:
        metrics.put_metric_data(Namespace="rolloutctl", MetricData=data)


def main(words):
    match words:
        case ["create"]:
            create()
        case ["show"]:
            print(variables())
        case ["traffic", *failing]:
            while True:
                minute(datetime.now(UTC), *map(int, failing))
                time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1:])
