"""Types of numbers and times with the range they have.

A record in a store with a value out of its range is damaged, and is not decided from.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

MIN_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_TIME: Final = datetime(2200, 1, 1, tzinfo=UTC)
MAX_INTEGER: Final = 2**53  # no integer of a state is larger, and JSON of other programs ends here
MAX_REAL: Final = 1e300  # a larger one is no measurement

AwareTime: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time with its time zone."""
Second: TypeAlias = Annotated[int, Meta(ge=0, le=int(MAX_TIME.timestamp()))]
"""Unix seconds; 0: none."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Weight: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
"""Percent of the requests."""
RaisedWeight: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
"""Percent of the requests, above 0."""
Real: TypeAlias = Annotated[float, Meta(ge=-MAX_REAL, le=MAX_REAL)]
"""Neither infinite nor NaN."""
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_REAL)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
