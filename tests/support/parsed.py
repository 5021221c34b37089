"""A policy from data as a file has it, without a file."""

from collections.abc import Sequence

from controller.core.policy import Policy
from controller.policy_file import loader
from controller.policy_file.mistake import PolicyMistake


class PolicyProblems(Exception):  # noqa: N818 - many mistakes of one policy
    """Everything that is wrong with a policy."""

    def __init__(self, problems: Sequence[PolicyMistake]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse(data: object) -> Policy:
    """Return the policy that `data` describes. Raises PolicyProblems with every mistake in it."""
    policy, problems = loader.check(data)
    if policy is None or problems:
        raise PolicyProblems(problems)
    return policy
