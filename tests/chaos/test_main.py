"""`python -m tests.chaos`: a story from a seed, as text and as a check."""

from dataclasses import replace

import pytest

from controller.core.decision import Decision
from controller.core.rollout import Rollout
from tests.chaos.__main__ import main


@pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
def test_a_seed_prints_its_story(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Policy and world, each fault as it strikes, each transition, the end, and what held."""
    assert main(["--seed", "12", "--store", store]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    policy, world, *_ = printed.splitlines()
    assert policy.startswith("chaos, seed 12: ")
    assert world.startswith("world: ")
    assert "saves orders#1 started" in printed
    struck = printed.count("  ! ")
    assert struck > 0
    assert f"ticks, with {struck} faults that struck" in printed
    assert "invariants held after" in printed.splitlines()[-1]


def test_a_seed_that_breaks_an_invariant_ends_with_1_and_the_smallest_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug is planted: a rollout whose weight is applied finds itself steps further up."""

    def settled(rollout: Rollout, *_: object) -> Decision:
        return Decision(replace(rollout, step=5))

    monkeypatch.setattr("controller.core.transitions.confirm_applied", settled)
    # or the next load would refuse the state
    monkeypatch.setattr("controller.core.codec.first_contradiction", lambda _: "")
    assert main(["--seed", "3"]) == 1
    printed = capsys.readouterr().out
    whole, _, smallest = printed.partition("The smallest story that shows it:")
    for story in (whole, smallest):
        assert "VIOLATED step-by-step: 09:" in story
        assert "once more: python -m tests.chaos --seed 3\n" in story
    assert "  ! " in whole
    assert "  ! " not in smallest
