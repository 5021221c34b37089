"""Loads policy files: YAML to Policy, and every mistake at its line and column."""

from pathlib import Path

from controller.core.policy import Policy
from controller.errors import PolicyError
from controller.policy_file import yaml
from controller.policy_file.check.parse import PolicyProblems, parse
from controller.policy_file.check.problem import Problem
from controller.policy_file.yaml import Source


def load(path: Path) -> Policy:
    """Return the policy in the file at `path`.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    return _policy(yaml.read(path))


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
