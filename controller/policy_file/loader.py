"""Loads policy files: YAML to Policy, and every mistake at its line and column.

Every mistake is reported at once: of the YAML, of the shape of each part, of a text that is no
printable line, and of the parts against each other. The last is checked over whatever can be read
of a bad file, so that one bad step hides no bad criterion.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from controller.core.policy import Policy
from controller.errors import Flaw, PolicyError
from controller.policy_file import yaml
from controller.policy_file.crosscheck import crosscheck
from controller.policy_file.partial_policy import parse_partial
from controller.policy_file.problem import Place, Problem
from controller.policy_file.shape import shape_problems
from controller.policy_file.warnings import warnings
from controller.policy_file.yaml import Source
from controller.safe_text import first_unprintable, has_workflow_command


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
    policy, problems = _read(source.data)
    flaws = source.flaws(problems)
    if policy is None or flaws:
        raise PolicyError.of(*flaws)
    return policy


class PolicyProblems(Exception):  # noqa: N818 - many mistakes; the error people see is PolicyError
    """Everything that is wrong with a policy."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse(data: object) -> Policy:
    """Return the policy that `data` (mappings, sequences, scalars) describes.

    Raises PolicyProblems with every mistake of shape, of reference and of text that is no printable
    line.
    """
    policy, problems = _read(data)
    if policy is None or problems:
        raise PolicyProblems(problems)
    return policy


def _read(data: object) -> tuple[Policy | None, Sequence[Problem]]:
    """Return the policy that `data` describes, None without one, and every mistake in `data`."""
    policy: Policy | None = None
    problems = list(_unprintable_texts(data))
    unprintable = {(one.place, one.at_key) for one in problems}
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        of_shape = shape_problems(error, data)
        problems += [one for one in of_shape if (one.place, one.at_key) not in unprintable]
    if isinstance(data, Mapping):
        bad_places = {one.place for one in problems}
        crosschecked = crosscheck(parse_partial(data))
        problems += [one for one in crosschecked if one.place not in bad_places]
    return policy, problems


def _unprintable_texts(data: object, place: Place = ()) -> Iterator[Problem]:
    """Yield a problem for each key and each text in `data` that is not one printable line.

    A policy is printed on terminals, in CI logs, chats and reports. A file is checked, and a stored
    snapshot is not: which characters are printable depends on the Unicode version of Python, and a
    rollout has to be readable, and be rolled back, on every version. A snapshot is escaped when it
    is printed.
    """
    if isinstance(data, str):
        if message := _line_problem(data):
            yield Problem(place, message)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if message := _line_problem(str(key)):
                yield Problem((*place, key), message, at_key=True)
            yield from _unprintable_texts(value, (*place, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _unprintable_texts(value, (*place, index))


def _line_problem(text: str) -> str:
    """Return what is wrong with `text`; empty where it is one printable line."""
    character = first_unprintable(text)
    if not character:
        return "" if not has_workflow_command(text) else "is taken for a command by GitHub Actions"
    if character != "\n":
        return f"U+{ord(character):04X} is not printable: write one line of printable characters"
    if text.index("\n") == len(text) - 1:
        return "ends with a line break: write `>-` or `|-` to leave that out"
    return "has more than one line: write one"
