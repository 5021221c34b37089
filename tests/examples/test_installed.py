"""The examples as a stranger has them: an installed package, and the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.test_dynamodb_flag import POLICY

EXAMPLES = Path(__file__).parent
ROOT = EXAMPLES.parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package of the examples is installed in."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    subprocess.run([*command, str(EXAMPLES)], check=True, timeout=120)
    return folder


def rolloutctl(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that finds the package in `site`."""
    return python(site, "-m", "controller", *words)


def python(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "checkout.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return str(path)


def test_the_examples_import_nothing_that_a_package_of_strangers_does_not_have(site: Path) -> None:
    names = ("dynamodb_flag", "latency_spread", "teams_channel")
    loaded = python(site, "-c", f"import sys, {', '.join(names)}; print(*sys.modules)")
    assert loaded.returncode == 0, loaded.stderr
    modules = loaded.stdout.split()
    assert {*names} <= {*modules}
    assert [module for module in modules if module.partition(".")[0] == "tests"] == []


def test_a_policy_is_validated_and_rehearsed(site: Path, policy: str) -> None:
    validated = rolloutctl(site, "validate", policy)
    assert (validated.returncode, validated.stderr) == (0, "")
    rehearsed = rolloutctl(site, "rehearse", policy, "--expect", "succeeded")
    assert rehearsed.returncode == 0, rehearsed.stderr


def test_without_the_package_the_kind_is_unknown(tmp_path: Path, policy: str) -> None:
    ended = rolloutctl(tmp_path, "validate", policy)
    assert ended.returncode == 2
    assert "target.kind: no kind of target is called 'dynamodb-flag'" in ended.stderr


def test_the_role_of_a_tick_gets_the_permissions_of_the_package(site: Path, policy: str) -> None:
    printed = rolloutctl(site, "iam", policy, "--for", "tick", "--account", "123456789012")
    assert printed.returncode == 0, printed.stderr
    statements = json.loads(printed.stdout)["Statement"]
    (table,) = [
        statement for statement in statements if "dynamodb:UpdateItem" in statement["Action"]
    ]
    assert table["Resource"] == ["arn:aws:dynamodb:us-east-1:123456789012:table/flags"]


def test_a_stack_gets_the_permissions_of_the_package_as_a_managed_policy(
    site: Path, policy: str
) -> None:
    """Which the template of deploy/ attaches to the roles of its tasks."""
    where = ("--account", "123456789012")
    parameters = rolloutctl(site, "iam", policy, "--parameters", *where)
    assert parameters.returncode == 0, parameters.stderr
    assert "note: no parameter allows what dynamodb_flag needs" in parameters.stderr
    assert "--packages" in parameters.stderr
    jobs = ("--for", "tick", "--for", "start")
    printed = rolloutctl(site, "iam", policy, "--packages", *jobs, *where)
    assert (printed.returncode, printed.stderr) == (0, "")
    (statement,) = json.loads(printed.stdout)["Statement"]
    assert statement["Action"] == [
        "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:UpdateItem",
    ]  # fmt: skip
    assert statement["Resource"] == ["arn:aws:dynamodb:us-east-1:123456789012:table/flags"]
