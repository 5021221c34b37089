"""`python -m tests.chaos`: the trace of a seed, as text and as a check."""

import pytest

from controller.core.transitions import advance
from controller.immutable import replace
from tests.chaos.__main__ import main
from tests.support.core import Decision, Pending, Progressing, Rollout, codec
from tests.support.rollouts import with_state


@pytest.mark.parametrize(
    ("store", "target"),
    [
        ("sqlite", "lambda-env"),
        ("dynamodb", "lambda-env"),
        ("sqlite", "lambda-alias"),
        ("sqlite", "alb-weights"),
        ("sqlite", "appconfig"),
    ],
)
def test_a_seed_prints_its_trace(
    store: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Policy and world, each injected fault, each transition, the end, and the invariants."""
    assert main(["--seed", "12", "--store", store, "--target", target]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    policy, world, *_ = printed.splitlines()
    assert policy.startswith(f"chaos, seed 12: {target}, ")
    assert world.startswith("world: ")
    assert "saves orders#1 started" in printed
    injected = printed.count("  ! ")
    assert injected > 0
    assert f"ticks, with {injected} faults that struck" in printed
    assert "invariants held after" in printed.splitlines()[-1]


def test_a_seed_that_breaks_an_invariant_ends_with_1_and_the_smallest_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a planted bug: a rollout whose weight is applied skips to a higher step."""

    def skip_steps(rollout: Rollout, state: Progressing, pending: Pending, *_: object) -> Decision:
        return Decision(with_state(rollout, position=replace(pending, step=5)))

    monkeypatch.setattr(advance, "confirm_applied", skip_steps)
    # Without this the next load refuses the state.
    monkeypatch.setattr(codec, "first_contradiction", lambda _: "")
    assert main(["--seed", "3"]) == 1
    printed = capsys.readouterr().out
    whole, _, smallest = printed.partition("The smallest story that shows it:")
    for text in (whole, smallest):
        assert "VIOLATES step-by-step" in text
        assert "VIOLATED step-by-step: 09:" in text
        assert "once more: python -m tests.chaos --seed 3\n" in text
    assert "  ! " in whole
    assert "  ! " not in smallest
