"""The permissions of adapters: constants, docstrings and calls agree."""

import inspect
import pkgutil
import re
from importlib import import_module

import pytest

from controller import adapters
from controller.core.policy import Policy
from controller.tools.iam import Job, declared_permissions
from tests.support.prometheus_policies import prometheus_policy

# A source of metrics is asked only where a policy names it.
DECLARED = dict(declared_permissions([Policy.model_validate(prometheus_policy())]))

# "IAM: " and what follows, to the end of its paragraph.
_PARAGRAPH = re.compile(r"^IAM: (.+?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
_ACTION = re.compile(r"\b[a-z0-9]+:[A-Z][A-Za-z]+\b")


def documented_actions(module: str) -> set[str]:
    """Return the actions in the `IAM:` paragraph of the docstring of `module`."""
    paragraph = _PARAGRAPH.search(import_module(module).__doc__ or "")
    return set(_ACTION.findall(paragraph[1])) if paragraph else set()


MODULES = [
    package.name for package in pkgutil.walk_packages(adapters.__path__, f"{adapters.__name__}.")
]


@pytest.mark.parametrize("module", MODULES)
def test_a_docstring_names_the_very_actions_that_are_declared(module: str) -> None:
    assert documented_actions(module) == {one.action for one in DECLARED.get(module, ())}


@pytest.mark.parametrize(
    "module", [name for name in MODULES if "lambda" in name or "cloudwatch" in name]
)
def test_no_adapter_makes_a_call_that_is_not_declared_somewhere(module: str) -> None:
    """Methods of boto3 are operations in lower case; every `client.method(` is checked."""
    source = inspect.getsource(import_module(module))
    calls = set(re.findall(r"client\.([a-z]+(?:_[a-z]+)+)", source))
    operations = {
        permission.action.partition(":")[2]
        for permissions in DECLARED.values()
        for permission in permissions
    }
    assert {"".join(map(str.title, call.split("_"))) for call in calls} <= operations


def test_every_job_of_a_role_needs_something() -> None:
    needed = {
        job
        for permissions in DECLARED.values()
        for permission in permissions
        for job in permission.jobs
    }
    assert needed == set(Job)
