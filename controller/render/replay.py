"""A replay as lines and as JSON data."""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.core.replay.replay import Difference, EntryDifferences, Replay
from controller.core.snapshot import digest_problem
from controller.core.units import clock_text, count_text
from controller.render.history import digests_data


def replay_data(replay: Replay) -> dict[str, Any]:
    """Return `replay` as plain JSON data."""
    return {
        "rollout": replay.rollout,
        "same": replay.consistent,
        "entries": replay.entries,
        "decisions": replay.decisions,
        "hours_of_evidence": replay.seals,
        "chain_valid": replay.broken_at is None,
        "chain_broken_at": replay.broken_at,
        **digests_data(replay.policy),
        "differences": [_differing_data(one) for one in replay.entry_differences],
        "state": _contrasts_data(replay.state),
    }


def _differing_data(difference: EntryDifferences) -> dict[str, Any]:
    return {
        "seq": difference.seq,
        "at": difference.at.isoformat(),
        "kind": difference.kind,
        "differs": _contrasts_data(difference.differences),
    }


def _contrasts_data(contrasts: Iterable[Difference]) -> list[dict[str, str]]:
    return [
        {"what": one.what, "recorded": one.recorded, "follows": one.expected} for one in contrasts
    ]


def replay_lines(replay: Replay) -> Iterator[str]:
    """Yield a line for each entry that differs, one for the stored state, and the summary."""
    if replay.broken_at is not None:
        yield (
            f"the chain breaks at entry {replay.broken_at}: the history was changed or is incomplete "
            "from there on; look who wrote to the store"
        )
    if wrong := digest_problem(replay.rollout, replay.policy):
        yield f"{wrong}: it was changed after the start; look who wrote to the store"
    for one in replay.entry_differences:
        yield f"entry {one.seq}, {clock_text(one.at)}, {one.kind}: {_joined(one.differences)}"
    if replay.state:
        yield f"the stored state: {_joined(replay.state, 'the history')}"
    yield f"{replay.rollout}: {_summary(replay)}"


def _joined(contrasts: Iterable[Difference], source: str = "what was seen") -> str:
    return "; ".join(
        f"{one.what} was recorded as {_quoted(one.recorded)}, but {source} leads to "
        f"{_quoted(one.expected)}"
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
    if replay.broken_at is None:
        entries = "1 entry" if replay.entries == 1 else f"{replay.entries} entries"
        chain = f"the chain of {entries} holds"
    else:
        chain = f"the chain breaks at entry {replay.broken_at}"
    return f"{counted}, {_outcome(replay)}; {chain}"


def _outcome(replay: Replay) -> str:
    differ = len(replay.entry_differences)
    said = [f"{differ} of them {'differs' if differ == 1 else 'differ'}"] if differ else []
    said += ["the stored state differs"] if replay.state else []
    said += [] if replay.policy.consistent else ["the policy was changed"]
    return ", ".join(said) or "all the same"
