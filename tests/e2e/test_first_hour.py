"""The first hour of a new user: from `init` to a rollout that walks, as processes on the emulator.

The seconds of each command are printed: pytest -s.
"""

import sys
import time
from pathlib import Path

import pytest

from controller.policy_file.loader import load
from tests.e2e.account import BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, Account
from tests.e2e.on_call import Answer
from tests.e2e.program import Program

pytestmark = pytest.mark.ministack

# Of all commands together; what is left of five minutes is for reading.
_LIMIT_S = 150.0


class Stopwatch:
    """Runs commands, and keeps how long each took, in seconds."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.seconds: dict[str, float] = {}

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command, which must succeed."""
        begin = time.monotonic()
        answer = self._program.run(*arguments)
        self.seconds[str(arguments[0])] = time.monotonic() - begin
        assert answer.status == 0, answer.err
        return answer


def test_the_first_draft_is_valid_and_its_rollout_walks(
    program: Program, shop: Account, tmp_path: Path
) -> None:
    watch, policy = Stopwatch(program), tmp_path / "first.yaml"

    written = watch.run("init", "--function", FUNCTION, "-o", policy, "--json").data
    watch.run("validate", policy)
    watch.run("rehearse", policy, "--expect", "succeeded", "--interval", "5m")
    watch.run("start", policy)
    (rollout,) = watch.run("tick", "--json").data["rollouts"]

    assert (rollout["phase"], rollout["weight"]) == ("progressing", 10)
    assert shop.pair() == ("10", "false")
    assert shop.others() == OTHERS
    assert (written["metrics"], written["counts"]) == ("flag", "canary")
    assert [one.split()[1] for one in written["next"]] == ["rehearse", "plan", "start"]
    target = load(policy).target.settings(10)
    assert target == {PERCENTAGE: "10", BOOLEAN: "false"}
    sys.stdout.write("".join(f"{name:<10}{took:6.1f} s\n" for name, took in watch.seconds.items()))
    assert sum(watch.seconds.values()) < _LIMIT_S
