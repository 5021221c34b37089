"""What a tick can load is listed, so that a change that adds to it is seen."""

from tests.tick_modules import LIST, listing, tick_modules


def test_a_tick_loads_what_is_listed() -> None:
    assert LIST.read_text(encoding="utf-8") == listing(), (
        "run: python -m tests.tick_modules --write"
    )


def test_no_tick_loads_a_tool() -> None:
    assert [name for name in tick_modules() if name.startswith("controller.tools")] == []
