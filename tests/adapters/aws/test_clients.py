"""Clients and errors, on a real boto3 without access to an account."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws import clients as aws
from controller.adapters.aws.clients import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.observation import MetricQuery, Span
from controller.errors import MetricsError, TargetError, UsageError
from tests.adapters.contracts.target import HANDLER

ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment as a task has it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_the_region_of_aws_region_is_used() -> None:
    assert Clients().get("lambda").meta.region_name == "eu-central-1"


def test_a_region_of_the_profile_is_used_without_one_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "config").write_text("[profile shop]\nregion = eu-west-3\n")
    (tmp_path / "credentials").write_text(
        "[shop]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "shop")
    assert Clients().get("lambda").meta.region_name == "eu-west-3"


@pytest.mark.usefixtures("environment")
def test_another_endpoint_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Clients().get("cloudwatch").meta.endpoint_url == "http://127.0.0.1:4566"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        pytest.param("AWS_REGION", "", "no AWS region is named: set AWS_REGION", id="no region"),
        pytest.param("AWS_REGION", "not a region", "not a region", id="no such region"),
        pytest.param("AWS_ACCESS_KEY_ID", "", "no AWS credentials", id="no credentials"),
        pytest.param("AWS_PROFILE", "nobody", r"nobody.*check the AWS_ variables", id="no profile"),
        pytest.param("AWS_ENDPOINT_URL", "nowhere", r"nowhere.*check the AWS_", id="no endpoint"),
    ],
)
def test_a_client_that_cannot_be_made_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    if name == "AWS_ACCESS_KEY_ID":
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UsageError, match=problem):
        Clients().get("lambda")


@pytest.mark.usefixtures("environment")
def test_models_of_ones_own_are_found_where_aws_data_path_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = files("botocore") / "data" / "sns"
    shutil.copytree(str(shipped), tmp_path / "pigeons")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert Clients().get("pigeons").meta.service_model.service_id == "SNS"


def test_nothing_of_boto3_is_loaded_before_a_client_is_needed() -> None:
    """Loading takes an eighth of a second, too long for a rehearsal and `--help`."""
    code = (
        "import sys, controller.bootstrap.app;"
        "print(*{'boto3', 'botocore.session', 'botocore.parsers'} & sys.modules.keys())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == ""


# --- over the wire ------------------------------------------------------------------------------


class _Answer(BaseHTTPRequestHandler):
    status, body, requests = 200, b"", 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""


@pytest.fixture
def answer(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answer]]:
    """A server with one answer to every request, as the endpoint of AWS."""
    kind = type("Answer", (_Answer,), {})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield kind
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize(("status", "requests"), [(500, 4), (409, 1), (412, 1), (403, 1)])
def test_botocore_repeats_transient_failures_and_leaves_conflicts_to_us(
    answer: type[_Answer], status: int, requests: int
) -> None:
    answer.status, answer.body = status, b"{}"
    with pytest.raises(ClientError) as caught:
        Clients().get("lambda").get_function_configuration(FunctionName="handler")
    assert answer.requests == requests
    assert aws.is_transient(caught.value) is (status != 403)
    assert aws.is_conflict(caught.value) is (status in (409, 412))


def test_the_page_of_a_proxy_is_no_answer(answer: type[_Answer]) -> None:
    """botocore reads the page as an answer without content."""
    answer.body = b"<html>Please log in</html>"
    clients = Clients()
    target = LambdaEnvTarget(clients.get("lambda"), HANDLER, SystemClock())
    expected = r"the answer is not one of AWS \(it has no request id\); check AWS_ENDPOINT_URL"
    with pytest.raises(TargetError, match=expected):
        target.read()
    query = MetricQuery("AWS/Lambda", "Errors", "Sum", 60)
    source = CloudWatchMetrics(lambda: clients.get("cloudwatch"))
    with pytest.raises(MetricsError, match=expected):
        source.read([query], Span(0, 60))


def test_an_endpoint_that_is_not_there_is_an_error_with_what_to_check(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        client = Clients().get("lambda")
        with pytest.raises(aws.AWS_ERRORS) as caught:
            client.get_function_configuration(FunctionName="handler")
    text = aws.error_text("handler could not be read", caught.value)
    assert text.startswith("handler could not be read: EndpointConnectionError: Could not connect")
    assert text.endswith("AWS cannot be reached from here; check the network and AWS_ENDPOINT_URL")
    assert aws.is_transient(caught.value)
