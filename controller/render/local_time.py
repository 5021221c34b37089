"""The time of day where a page is read, beside each time in UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from controller.immutable import replace
from controller.render.page import Block, Page, PageTable, TextSpan

_UTC: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}) UTC")

Localize = Callable[[datetime], datetime]
"""Returns a moment in another zone."""


def with_local_times(page: Page, local: Localize) -> Page:
    """Return `page` with the local time behind each time in UTC: `14:05 UTC (15:05 CET)`.

    Where the zone is UTC at that time, nothing is added.
    """

    def added(match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        there = local(moment)
        if there.utcoffset() == moment.utcoffset():
            return match[0]
        day = "" if there.date() == moment.date() else "%Y-%m-%d "
        return f"{match[0]} ({there.strftime(f'{day}%H:%M %Z')})"

    def span(one: str | TextSpan) -> TextSpan:
        text, tone = (one, TextSpan("").tone) if isinstance(one, str) else one
        return TextSpan(_UTC.sub(added, text), tone)

    def block(one: Block) -> Block:
        if isinstance(one, PageTable):
            return replace(one, rows=[[span(cell) for cell in row] for row in one.rows])
        return replace(one, spans=[span(part) for part in one.spans])

    return [block(one) for one in page]
