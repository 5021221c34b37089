"""The types of fields in the JSON that hooks, messages and verbs share.

Their marks are for the JSON Schema alone: nothing that is made here is checked against them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta


def one_of(words: Iterable[str]) -> Meta:
    """Return the mark of a text that is one of `words`."""
    return Meta(extra_json_schema={"enum": [str(one) for one in words]})


def whole(minimum: int, maximum: int | None = None) -> Meta:
    """Return the mark of an integer from `minimum` to `maximum`, both included."""
    limit = {} if maximum is None else {"maximum": maximum}
    return Meta(extra_json_schema={**limit, "minimum": minimum})


_TIME: Final = Meta(
    extra_json_schema={
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?[+-]\d\d:\d\d$",
    }
)
# A time as text, and one that becomes a text when it is printed.
Moment: TypeAlias = Annotated[str, _TIME]
Time: TypeAlias = Annotated[datetime, _TIME]
Count: TypeAlias = Annotated[int, whole(0)]
Percent: TypeAlias = Annotated[int, whole(0, 100)]
