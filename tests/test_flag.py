"""The flag inside an application: what it reads, which requests it chooses, what it logs."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import flag as module
from controller.adapters.targets.weight_variables import Pair
from controller.flag import Flag, share_of

PERCENTAGE, BOOLEAN = "USE_API_GATEWAY_PERCENTAGE", "USE_API_GATEWAY"


def a_flag(
    environ: Mapping[str, str] | None = None, log: list[str] | None = None, draw: float = 0.5
) -> Flag:
    """Return a flag in an application with these variables, at a fixed time."""
    ticks: Iterator[float] = iter((10.0, 10.25))
    return Flag(
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
    with a_flag({PERCENTAGE: "10"}, log, draw=0.05).request() as path:
        assert path.canary
    assert logged_event(log) == {
        "_aws": {
            "Timestamp": 1_700_000_000_500,
            "CloudWatchMetrics": [
                {
                    "Namespace": "rolloutctl",
                    "Dimensions": [["Path"]],
                    "Metrics": [
                        {"Name": "Requests", "Unit": "Count"},
                        {"Name": "Failures", "Unit": "Count"},
                        {"Name": "Duration", "Unit": "Milliseconds"},
                    ],
                }
            ],
        },
        "event": "api_gateway_percentage_check",
        "percentage": 10,
        "use_api_gateway": True,
        "Path": "canary",
        "Requests": 1,
        "Failures": 0,
        "Duration": 250.0,
    }


def test_a_name_tells_the_flags_of_an_account_apart() -> None:
    log: list[str] = []
    flag = Flag(name="checkout", environ={}, log=log.append)
    with flag.request():
        pass
    line = logged_event(log)
    assert line["Flag"] == "checkout"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Path", "Flag"]]


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
        env={PERCENTAGE: "100", BOOLEAN: "true"},
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
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
