"""Loads policy files: YAML to Policy, and every mistake at its line and column."""

from collections.abc import Sequence
from pathlib import Path

from controller.core.policy import Policy
from controller.errors import Flaw, PolicyError
from controller.policy_file import yaml
from controller.policy_file.check.parse import PolicyProblems, parse
from controller.policy_file.check.warnings import warnings
from controller.policy_file.problem import Problem
from controller.policy_file.yaml import Source


def load(path: Path) -> Policy:
    """Return the policy in the file at `path`.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    return _policy(yaml.read(path))


def load_with_warnings(path: Path) -> tuple[Policy, Sequence[Flaw]]:
    """Return the policy in the file at `path`, and the warnings about it, in the file's order.

    Raises PolicyError as `load` does.
    """
    source = yaml.read(path)
    policy = _policy(source)
    return policy, source.flaws(warnings(policy))


def loads(text: str, name: str) -> Policy:
    """Return the policy in `text`; `name` takes the place of the file name in errors.

    Raises PolicyError as `load` does.
    """
    return _policy(yaml.parse(text, name))


def _policy(source: Source) -> Policy:
    policy: Policy | None = None
    problems: tuple[Problem, ...] = ()
    try:
        policy = parse(source.data)
    except PolicyProblems as error:
        problems = error.problems
    flaws = source.flaws(problems)
    if policy is None or flaws:
        raise PolicyError.of(*flaws)
    return policy
