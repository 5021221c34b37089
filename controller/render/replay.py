"""A replay as lines and as JSON data."""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.core.replay.replay import Contrast, Differing, Replay
from controller.core.snapshot import problem_of
from controller.core.units import clock_text, count_text
from controller.render.history import digests_data


def replay_data(replay: Replay) -> dict[str, Any]:
    """Return `replay` as plain JSON data."""
    return {
        "rollout": replay.rollout,
        "same": replay.same,
        "entries": replay.entries,
        "decisions": replay.decisions,
        "hours_of_evidence": replay.seals,
        "chain_valid": replay.broken is None,
        "chain_broken_at": replay.broken,
        **digests_data(replay.policy),
        "differences": [_differing_data(one) for one in replay.differing],
        "state": _contrasts_data(replay.state),
    }


def _differing_data(one: Differing) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "at": one.at.isoformat(),
        "kind": one.kind,
        "differs": _contrasts_data(one.contrasts),
    }


def _contrasts_data(contrasts: Iterable[Contrast]) -> list[dict[str, str]]:
    return [
        {"what": one.what, "recorded": one.recorded, "follows": one.follows} for one in contrasts
    ]


def replay_lines(replay: Replay) -> Iterator[str]:
    """Yield a line for each entry that differs, one for the stored state, and the summary."""
    if replay.broken is not None:
        yield (
            f"the chain breaks at entry {replay.broken}: the history was changed or is incomplete "
            "from there on; look who wrote to the store"
        )
    if wrong := problem_of(replay.rollout, replay.policy):
        yield f"{wrong}: it was changed after the start; look who wrote to the store"
    for one in replay.differing:
        yield f"entry {one.seq}, {clock_text(one.at)}, {one.kind}: {_joined(one.contrasts)}"
    if replay.state:
        yield f"the stored state: {_joined(replay.state, 'the history')}"
    yield f"{replay.rollout}: {_summary(replay)}"


def _joined(contrasts: Iterable[Contrast], source: str = "what was seen") -> str:
    return "; ".join(
        f"{one.what} was recorded as {_quoted(one.recorded)}, but {source} leads to "
        f"{_quoted(one.follows)}"
        for one in contrasts
    )


def _quoted(text: str) -> str:
    """Return `text` in quotes where it is more than a word."""
    return f'"{text}"' if " " in text or not text else text


def _summary(replay: Replay) -> str:
    counted = (
        f"{count_text(replay.decisions, 'decision')} and {count_text(replay.seals, 'hour')} of "
        "evidence derived again"
    )
    if replay.broken is None:
        entries = "1 entry" if replay.entries == 1 else f"{replay.entries} entries"
        chain = f"the chain of {entries} holds"
    else:
        chain = f"the chain breaks at entry {replay.broken}"
    return f"{counted}, {_outcome(replay)}; {chain}"


def _outcome(replay: Replay) -> str:
    differ = len(replay.differing)
    said = [f"{differ} of them {'differs' if differ == 1 else 'differ'}"] if differ else []
    said += ["the stored state differs"] if replay.state else []
    said += [] if replay.policy.same else ["the policy was changed"]
    return ", ".join(said) or "all the same"
