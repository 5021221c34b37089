"""docs/lambda-variable.md: its handler runs with flag.py, and logs the line that is shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from controller.flag import Flag
from controller.policy_file.loader import load, loads
from controller.tools.simulation.fakes.logs import LogPattern
from tests.support.core import Policy
from tests.support.rollouts import lambda_env

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "lambda-variable.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)[^\n]*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
TARGET, VERIFY = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHOWN: dict[str, Any] = json.loads(BLOCKS["json"])

BACKEND = """\
def old_path(event): return "stable"
def new_path(event): return "canary"
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A function's package, made as the text says, and a backend."""
    _, source, _ = BLOCKS["sh"].split()
    copy(ROOT / source, tmp_path)
    (tmp_path / "handler.py").write_text(BLOCKS["python"], encoding="utf-8")
    (tmp_path / "backend.py").write_text(BACKEND, encoding="utf-8")
    return tmp_path


def logged(package: Path, percentage: int) -> tuple[str, dict[str, Any]]:
    """Return the answer of the handler at `percentage`, and the line that it logged."""
    code = "import handler, sys; sys.stderr.write(handler.handler({}, None))"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=package,
        env={
            "CANARY_PERCENTAGE": str(percentage),
            "AWS_LAMBDA_FUNCTION_NAME": SHOWN["Flag"],
            "PATH": os.defpath,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    line: dict[str, Any] = json.loads(ran.stdout)
    return ran.stderr, line


def test_the_handler_logs_the_line_that_is_shown(package: Path) -> None:
    answer, line = logged(package, 100)
    assert answer == "canary"
    measured = {"Timestamp": SHOWN["_aws"]["Timestamp"]}
    line = {**line, "_aws": {**line["_aws"], **measured}, "Duration": SHOWN["Duration"]}
    assert line == SHOWN


def test_at_0_it_takes_the_stable_path(package: Path) -> None:
    answer, line = logged(package, 0)
    assert (answer, line["Path"]) == ("stable", "stable")


def test_a_line_has_as_many_bytes_as_documented() -> None:
    (documented,) = re.findall(r"Each request writes about (\d+) bytes of log", TEXT)
    assert len(BLOCKS["json"]) == pytest.approx(int(documented), abs=20)


def test_the_table_has_every_metric_and_no_other() -> None:
    (directive,) = SHOWN["_aws"]["CloudWatchMetrics"]
    names = [metric["Name"] for metric in directive["Metrics"]]
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == names


def test_the_policy_that_is_named_judges_by_these_metrics() -> None:
    (path,) = re.findall(r"\]\(\.\./(policies/[a-z-]+\.yaml)\)", TEXT)
    (directive,) = SHOWN["_aws"]["CloudWatchMetrics"]
    policy = load(ROOT / path)
    read = [metric for metric in policy.metrics.values() if metric.namespace == "rolloutctl"]
    assert {one.namespace for one in read} == {directive["Namespace"]}
    assert {one.name for one in read} == {one["Name"] for one in directive["Metrics"]}
    assert {tuple(one.dimensions) for one in read} == {tuple(directive["Dimensions"][0])}
    assert {one.dimensions["Path"] for one in read} == {"canary", "stable"}
    assert {one.dimensions["Flag"] for one in read} == {policy.target.name}


def test_the_flag_without_a_name_reads_the_variable_of_the_target() -> None:
    shipped = (ROOT / "policies" / "checkout.yaml").read_text(encoding="utf-8")
    policy: Policy = loads(re.sub(r"^target: .*\n", TARGET, shipped, flags=re.MULTILINE), "page")
    assert lambda_env(policy).percentage == Flag().percentage
    assert set(policy.target.settings(100).values()) == {"100", "true"}


def test_the_flag_of_that_policy_reads_its_variables() -> None:
    (names,) = re.findall(r'`Flag\(percentage="(\w+)", boolean="(\w+)"\)`', TEXT)
    policy = load(ROOT / "policies" / "execution-api.yaml")
    assert list(names) == list(policy.target.settings(0))


@pytest.mark.parametrize(("percentage", "event"), [(100, "absent"), (0, "present")])
def test_a_rollback_is_verified_by_the_lines_of_the_flag(percentage: int, event: str) -> None:
    shipped = (ROOT / "policies" / "execution-api.yaml").read_text(encoding="utf-8")
    policy: Policy = loads(f"{shipped}\n{VERIFY}", "docs/lambda-variable.md")
    lines: list[str] = []
    environ = {"CANARY_PERCENTAGE": str(percentage)}
    with Flag(environ=environ, log=lines.append).request():
        pass
    assert policy.verify_rollback is not None
    patterns = {
        name: LogPattern(getattr(policy.verify_rollback, name)) for name in ("absent", "present")
    }
    assert [name for name, pattern in patterns.items() if pattern.matches(lines[0])] == [event]
