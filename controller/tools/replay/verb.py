"""The verb `replay`: evaluates every decision of a history again, and compares."""

from collections.abc import Iterable, Iterator

import click

from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core.history import digest_problem
from controller.core.units import clock_text, count_text
from controller.errors import Exit
from controller.operations.history import load_unverified
from controller.render.page import Page, Tone, lines_page, paragraph
from controller.tools.replay import Replay
from controller.tools.replay import replay as evaluate_again
from controller.tools.replay.compare import Difference


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@options.call_options("store", "json")
def replay(call: CommandContext, rollout: str) -> Result:
    """Re-evaluate every stored decision and show differences.

    ROLLOUT is an id, a name or a policy file. Offline, each decision is made anew from what its
    history entry says was seen, each hour of evidence is folded anew, and the chain of hashes is
    checked; so is that the policy is the one of the start.
    Ends with 7 when anything differs.
    """
    with call.store_session() as store:
        rollout_id = call.rollout_id(store, rollout)
        stored, snapshot = load_unverified(store, rollout_id)
        found = evaluate_again(stored, store.entries(rollout_id), snapshot)
    return Result(
        "replay",
        data=lambda: found,
        page=lambda: replay_page(found),
        status=Exit.DONE if found.consistent else Exit.CHECK_FAILED,
    )


def replay_page(replay: Replay) -> Page:
    """Return `replay_lines`; the last one says whether everything is as it was recorded."""
    *lines, summary = replay_lines(replay)
    tone = Tone.GOOD if replay.consistent else Tone.BAD
    return [*lines_page(lines), paragraph(summary, tone)]


def replay_lines(replay: Replay) -> Iterator[str]:
    """Yield a line for each entry that differs, one for the stored state, and the summary."""
    if replay.broken_at is not None:
        yield (
            f"the hash chain of the audit log breaks at entry {replay.broken_at}: the history was "
            "changed or is incomplete from there on; check who wrote to the store"
        )
    if problem := digest_problem(replay.rollout, replay.policy):
        yield f"{problem}: it was changed after the start; check who wrote to the store"
    for one in replay.entry_differences:
        differences = _difference_text(one.differences)
        yield f"entry {one.seq}, {clock_text(one.at)}, {one.kind}: {differences}"
    if replay.state:
        yield f"the stored state: {_difference_text(replay.state, 'the history')}"
    yield f"{replay.rollout}: {_summary(replay)}"


def _difference_text(differences: Iterable[Difference], source: str = "the observation") -> str:
    return "; ".join(
        f"{one.what} was recorded as {_quoted(one.recorded)}, but {source} leads to "
        f"{_quoted(one.expected)}"
        for one in differences
    )


def _quoted(text: str) -> str:
    """Return `text` in quotes where it is more than a word."""
    return f'"{text}"' if " " in text or not text else text


def _summary(replay: Replay) -> str:
    hours = count_text(replay.checkpoints, "hour")
    counts = f"{count_text(replay.decisions, 'decision')} and {hours} of evidence re-evaluated"
    if replay.broken_at is None:
        entries = "1 entry" if replay.entries == 1 else f"{replay.entries} entries"
        chain = f"audit log hash chain of {entries} valid"
    else:
        chain = f"audit log hash chain broken at entry {replay.broken_at}"
    differ = len(replay.entry_differences)
    parts = [f"{differ} of them {'differs' if differ == 1 else 'differ'}"] if differ else []
    parts += ["the stored state differs"] if replay.state else []
    parts += [] if replay.policy.consistent else ["the policy was changed"]
    return f"{counts}, {', '.join(parts) or 'no difference'}; {chain}"
