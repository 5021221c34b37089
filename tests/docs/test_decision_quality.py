"""decision-quality.md: its tables are the stored figures, and what they say of rolloutctl."""

from collections.abc import Iterator
from typing import Final

from benchmarks.peer_models.figures import CONTESTS, ERRORS, MATCHED, RATES
from benchmarks.peer_models.models import OURS
from benchmarks.peer_models.picture import PICTURE, picture
from benchmarks.peer_models.tables import PAGE, ROOT, loss_start, losses, stored, with_tables

# What a row of the README's table is of: a judge and its setting.
README_ROWS: Final = {
    "rolloutctl": (OURS, "default"),
    **{
        peer: (peer, "tuned")
        for peer in (
            "CloudWatch alarm, 2 of 2 x 5m", "CloudWatch alarm, 2 of 2 x 1m",
            "Argo Rollouts, 4 x 1m", "Flagger, 5 checks", "Cloud Run Release Manager",
        )
    },
}  # fmt: skip


def readme_cells(row: tuple[str, str]) -> Iterator[str]:
    """Yield, for each rate, the worst share of false rollbacks and the bad requests at 5%.

    In brackets: what is held and paused instead, in the world that has most of it.
    """
    own = [one for one in stored() if (one.measure, one.peer, one.setting) == (ERRORS, *row)]
    for rpm in RATES:
        at_rate = [one for one in own if one.rpm == rpm]
        healthy = [one for one in at_rate if not one.fault]
        worst = 100 * max(one.rolled_back for one in healthy)
        bad = next(one.bad for one in at_rate if (one.fault, one.kind) == (0.05, "steady"))
        late, paused = max((one.late or 0.0, one.paused or 0.0) for one in healthy)
        waits = [
            f"{100 * share:.0f}% {name}" for share, name in ((late, "held"), (paused, "paused"))
            if share
        ]  # fmt: skip
        held = f" ({', '.join(waits)})" if waits else ""
        yield f"{worst:.{1 if 0 < worst < 1 else 0}f}%{held}, {bad:.0f}"


def test_tables_and_picture_are_made_from_the_stored_figures() -> None:
    text = PAGE.read_text()
    assert with_tables(text, stored()) == text
    assert PICTURE.read_text() == picture(stored())


def test_one_setting_keeps_the_rate_of_false_rollbacks_in_every_world() -> None:
    own = [one for one in stored() if one.peer == OURS and not one.fault]
    assert len(own) == len(RATES) * sum(len(contest.kinds) for contest in CONTESTS.values())
    assert max(one.rolled_back for one in own) <= MATCHED


def test_no_default_of_a_peer_keeps_that_rate_at_every_request_rate() -> None:
    """The objective as the bound of a window rolls back what keeps it, at some traffic."""
    steady = [
        one for one in stored()
        if one.setting == "default" and one.kind == "steady" and not one.fault
        and one.measure == ERRORS and one.knob != 10.0 and one.peer not in (OURS, "Kayenta")
    ]  # fmt: skip
    worst: dict[str, float] = {}
    for one in steady:
        worst[one.peer] = max(worst.get(one.peer, 0.0), one.rolled_back)
    assert min(worst.values()) > MATCHED


def test_every_cell_that_a_peer_wins_is_on_the_page() -> None:
    text = PAGE.read_text()
    for one, _ in losses(stored()):
        assert loss_start(one) in text


def test_the_table_of_the_readme_has_the_stored_figures() -> None:
    text = (ROOT / "README.md").read_text()
    for label, row in README_ROWS.items():
        assert f"| {label} | {' | '.join(readme_cells(row))} |" in text


def test_the_last_row_of_the_readme_is_where_a_peer_wins_by_most_requests() -> None:
    peer, ours = max(losses(stored()), key=lambda pair: (pair[1].bad or 0) - (pair[0].bad or 0))
    assert (peer.measure, peer.kind, peer.rpm, peer.fault) == ("latency", "steady", 6_000, 0.2)
    row = f"{ours.bad:,.0f} slow requests; {peer.peer}, {peer.setting}: {peer.bad:,.0f} |"
    text = (ROOT / "README.md").read_text()
    assert f"| **worst for rolloutctl**: +20% latency | | | {row}" in text
