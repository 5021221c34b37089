"""A live view that is drawn over itself."""

from functools import partial
from io import StringIO

from rich.console import Console

from controller.cli.follow import screen
from controller.render.rollout_page import live_page
from tests.support.rollouts import NOON, a_rollout, a_state, with_state


def test_a_screen_draws_the_newest_of_what_it_is_shown() -> None:
    baking = a_rollout(state=a_state(applied=True, sentence="baking at 10%"))
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=40, color_system=None)
    page = partial(live_page, now=NOON)
    with screen(page, takes_stderr=False, console=console) as show:
        assert "checkout" not in out.getvalue()
        show(baking)
        assert "baking at 10%" in out.getvalue()
        show(with_state(baking, sentence="the gate at 10% passed"))
    assert out.getvalue().rfind("the gate at 10% passed") > out.getvalue().rfind("baking at 10%")
