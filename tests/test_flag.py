"""The flag inside an application: what it reads, which requests it chooses, what it logs."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import flag as module
from controller.adapters.targets.weight_variables import Pair
from controller.flag import AppConfig, Flag, percentage_in, share_of

PERCENTAGE, BOOLEAN = "CANARY_PERCENTAGE", "CANARY"
FUNCTION = "AWS_LAMBDA_FUNCTION_NAME"


def a_flag(
    environ: Mapping[str, str] | None = None, log: list[str] | None = None, draw: float = 0.5
) -> Flag:
    """Return a flag with a boolean in an application with these variables, at a fixed time."""
    ticks: Iterator[float] = iter((10.0, 10.25))
    return Flag(
        boolean=BOOLEAN,
        environ=environ or {},
        draw=lambda: draw,
        log=(log if log is not None else list[str]()).append,
        now=lambda: 1_700_000_000.5,
        seconds=lambda: next(ticks),
    )


@pytest.mark.parametrize(
    ("environ", "weight"),
    [
        pytest.param({}, 0, id="nothing is set"),
        pytest.param({PERCENTAGE: "10"}, 10, id="a percentage"),
        pytest.param({PERCENTAGE: "0", BOOLEAN: "false"}, 0, id="off"),
        pytest.param({PERCENTAGE: "100", BOOLEAN: "true"}, 100, id="on"),
        pytest.param({BOOLEAN: "true"}, 100, id="an application that knew no percentage"),
        pytest.param({BOOLEAN: "false"}, 0, id="the same, off"),
        *(
            pytest.param({PERCENTAGE: text, BOOLEAN: "true"}, 0, id=f"{text!r} is no percentage")
            for text in ("", "ten", "-1", "101", "1e1", "10.5", " 10", "٣", "1000", "10%")
        ),
    ],
)
def test_in_doubt_no_request_takes_the_canary(environ: dict[str, str], weight: int) -> None:
    assert a_flag(environ).weight() == weight


@given(st.integers(0, 100))
def test_the_application_reads_the_weight_that_the_controller_wrote(weight: int) -> None:
    written = Pair(PERCENTAGE, BOOLEAN).merged({}, weight)
    assert a_flag(written).weight() == weight


def test_without_a_boolean_the_percentage_is_all_that_is_read() -> None:
    assert Flag(environ={BOOLEAN: "true"}).weight() == 0
    assert Flag(environ={PERCENTAGE: "10", BOOLEAN: "true"}).weight() == 10


def test_a_function_may_have_variables_of_other_names() -> None:
    environ = {PERCENTAGE: "20"}
    flag = Flag("USE_API_GATEWAY_PERCENTAGE", "USE_API_GATEWAY", environ=environ)
    assert flag.weight() == 0
    environ["USE_API_GATEWAY"] = "true"
    assert flag.weight() == 100
    environ["USE_API_GATEWAY_PERCENTAGE"] = "10"
    assert flag.weight() == 10


def test_the_variables_are_read_at_each_request() -> None:
    environ = {PERCENTAGE: "0"}
    flag = Flag(environ=environ)
    assert not flag.chosen()
    environ[PERCENTAGE] = "100"
    assert flag.chosen()


@pytest.mark.parametrize(
    ("draw", "canary"), [(0.0, True), (0.0999, True), (0.1, False), (0.999, False)]
)
def test_a_request_is_drawn(draw: float, canary: bool) -> None:
    assert a_flag({PERCENTAGE: "10"}, draw=draw).chosen() is canary


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_a_key_on_the_canary_stays_there_at_a_higher_weight(
    key: str, first: int, second: int
) -> None:
    low, high = sorted((first, second))
    assert a_flag({PERCENTAGE: str(low)}).chosen(key) <= a_flag({PERCENTAGE: str(high)}).chosen(key)


def test_keys_are_spread_evenly() -> None:
    chosen = sum(a_flag({PERCENTAGE: "10"}).chosen(f"user-{one}") for one in range(20_000))
    assert chosen == pytest.approx(2_000, abs=150)  # three and a half standard deviations


def test_a_key_has_the_same_share_on_every_machine() -> None:
    assert share_of("user-1") == 0.7764059241441005


def test_a_key_that_is_no_valid_unicode_has_a_path_too() -> None:
    assert 0 <= share_of("\ud800") < 1


def test_random_requests_take_the_canary_as_often_as_the_percentage_says() -> None:
    flag = Flag(environ={PERCENTAGE: "10"}, draw=Random(1).random, log=lambda _line: None)
    chosen = 0
    for _ in range(20_000):
        with flag.request() as path:
            chosen += path.canary
    assert chosen == pytest.approx(2_000, abs=150)


def logged_event(flag_log: list[str]) -> dict[str, Any]:
    (line,) = flag_log
    assert "\n" not in line
    event: dict[str, Any] = json.loads(line)
    return event


def test_a_request_is_one_line_that_cloudwatch_reads_as_metrics() -> None:
    log: list[str] = []
    with a_flag({PERCENTAGE: "10", FUNCTION: "checkout"}, log, draw=0.05).request() as path:
        assert path.canary
    assert logged_event(log) == {
        "_aws": {
            "Timestamp": 1_700_000_000_500,
            "CloudWatchMetrics": [
                {
                    "Namespace": "rolloutctl",
                    "Dimensions": [["Flag", "Path"]],
                    "Metrics": [
                        {"Name": "Requests", "Unit": "Count"},
                        {"Name": "Failures", "Unit": "Count"},
                        {"Name": "Duration", "Unit": "Milliseconds"},
                    ],
                }
            ],
        },
        "event": "rollout_flag",
        "percentage": 10,
        "Flag": "checkout",
        "Path": "canary",
        "Requests": 1,
        "Failures": 0,
        "Duration": 250.0,
    }


def dimensions(flag_name: str = "", **environ: str) -> dict[str, str]:
    """Return the dimensions of what a request of a flag with this name publishes."""
    log: list[str] = []
    with Flag(name=flag_name, environ=environ, log=log.append).request():
        pass
    line = logged_event(log)
    ((*names,),) = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return {name: line[name] for name in names}


def test_the_functions_of_an_account_publish_metrics_of_their_own() -> None:
    assert dimensions(AWS_LAMBDA_FUNCTION_NAME="checkout") == {"Flag": "checkout", "Path": "stable"}
    assert dimensions(AWS_LAMBDA_FUNCTION_NAME="search") == {"Flag": "search", "Path": "stable"}


def test_a_name_tells_the_flags_of_one_function_apart() -> None:
    named = dimensions("checkout-search", AWS_LAMBDA_FUNCTION_NAME="checkout")
    assert named == {"Flag": "checkout-search", "Path": "stable"}


@pytest.mark.parametrize("environ", [{}, {FUNCTION: ""}])
def test_outside_of_lambda_no_dimension_is_empty(environ: dict[str, str]) -> None:
    assert dimensions(**environ) == {"Flag": "unnamed", "Path": "stable"}


def test_an_exception_is_a_failure_and_is_raised_again() -> None:
    log: list[str] = []
    with pytest.raises(TimeoutError), a_flag(log=log).request():
        raise TimeoutError
    assert (logged_event(log)["Failures"], logged_event(log)["Path"]) == (1, "stable")


def test_an_answer_that_is_an_error_is_a_failure_when_the_application_says_so() -> None:
    log: list[str] = []
    with a_flag(log=log).request() as path:
        path.failed = True
    assert logged_event(log)["Failures"] == 1


def test_a_log_that_cannot_be_written_fails_no_request() -> None:
    def full(_line: str) -> None:
        raise OSError

    with Flag(environ={}, log=full).request() as path:
        assert not path.canary


def test_values_of_other_variables_are_not_logged() -> None:
    log: list[str] = []
    with a_flag({"API_KEY": "hunter2"}, log).request():
        pass
    assert "hunter2" not in log[0]


def test_the_file_works_alone_with_the_standard_library(tmp_path: Path) -> None:
    source = Path(module.__file__).read_text()
    (tmp_path / "flag.py").write_text(source)
    code = "from flag import Flag\nwith Flag().request('u') as path: assert path.canary"
    process = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env={PERCENTAGE: "100"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(process.stdout)["Path"] == "canary"
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    # AppConfig is read by boto3, which is imported for that alone.
    of_lambda = {"boto3", "botocore"}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | of_lambda


# --- AWS AppConfig --------------------------------------------------------------------------------


class Session:
    """A client of `appconfigdata`. documents: what the next reads bring; an error is raised."""

    def __init__(self, *documents: object) -> None:
        self.documents = list(documents)
        self.asked: list[Mapping[str, Any]] = []
        self.tokens = ["0"]
        self.now = 1_000.0

    def start_configuration_session(self, **request: Any) -> Mapping[str, Any]:
        self.asked.append(request)
        return {"InitialConfigurationToken": self.tokens[-1]}

    def get_latest_configuration(self, ConfigurationToken: str) -> Mapping[str, Any]:
        assert ConfigurationToken == self.tokens[-1]  # each one is used once
        self.tokens.append(str(len(self.tokens)))
        document = self.documents.pop(0)
        if isinstance(document, Exception):
            raise document
        content = b"" if document is None else json.dumps(document).encode()
        return {
            "NextPollConfigurationToken": self.tokens[-1],
            "Configuration": BytesIO(content),
        }

    def source(self, log: list[str] | None = None, **more: Any) -> AppConfig:
        more = {"flag": "checkout", **more}
        shown = (log if log is not None else list[str]()).append
        return AppConfig(
            "shop", "prod", "flags", client=self, log=shown, seconds=lambda: self.now, **more
        )


def at(weight: object) -> Mapping[str, Any]:
    return {"checkout": {"enabled": True, "percentage": weight}}


def test_a_value_is_kept_for_the_cache_and_then_read_again() -> None:
    session = Session(at(10), None, at(50))
    flag = Flag(appconfig=session.source(), environ={PERCENTAGE: "100"})
    read = []
    for second in (0, 44, 45, 89, 90):
        session.now = 1_000.0 + second
        read.append((flag.weight(), len(session.documents)))
    assert read == [(10, 2), (10, 2), (10, 1), (10, 1), (50, 0)]
    (asked,) = session.asked
    assert asked["RequiredMinimumPollIntervalInSeconds"] == 15


@pytest.mark.parametrize("cached_s", [14, 46, 3_600, 0, float("nan")])
def test_a_cache_that_is_too_long_or_too_short_is_refused(cached_s: float) -> None:
    with pytest.raises(ValueError, match="cached_s is from 15 to 45"):
        Session().source(cached_s=cached_s)


def test_the_last_value_counts_where_it_cannot_be_read_and_0_where_it_never_could() -> None:
    down = OSError("unreachable")
    session, log = Session(down, at(10), down, down, down, at(0)), list[str]()
    source = session.source(log, cached_s=15)
    read = []
    for _ in range(5):
        read.append(source.weight())
        session.now += 15
    assert read == [0, 10, 10, 10, 0]
    assert len(session.asked) == 5  # a new session after each failure
    assert [json.loads(line)["problem"] for line in log] == ["OSError: unreachable"] * 3


def test_a_session_that_was_frozen_is_replaced_at_once() -> None:
    """Its connection is closed, or its token too old; 0% may be live by now."""
    session = Session(at(50), OSError("closed"), at(0))
    source = session.source()
    assert source.weight() == 50
    session.now += 300
    assert source.weight() == 0


def test_a_failure_is_not_repeated_at_each_request() -> None:
    session = Session(OSError("unreachable"), at(10))
    source = session.source()
    assert [source.weight() for _ in range(100)] == [0] * 100
    assert len(session.documents) == 1


@pytest.mark.parametrize(
    ("document", "flag", "weight"),
    [
        (at(10), "checkout", 10),
        (at(100), "checkout", 100),
        (at(10.0), "checkout", 10),
        ({"checkout": {"enabled": False, "percentage": 10}}, "checkout", 0),
        ({"checkout": {"enabled": True}}, "checkout", 0),
        ({"basket": {"enabled": True, "percentage": 10}}, "checkout", 0),
        ({"percentage": 30}, None, 30),
        ({}, None, 0),
        ([1], None, 0),
        ([1], "checkout", 0),
        ({"checkout": 5}, "checkout", 0),
        *((at(value), "checkout", 0) for value in ("10", True, -1, 101, 10.5, None)),
    ],
)
def test_a_document_without_a_percentage_is_0(
    document: object, flag: str | None, weight: int
) -> None:
    assert percentage_in(document, flag, "percentage") == weight
