"""The types of fields in the JSON that hooks, messages and verbs share.

Their marks are for the JSON Schema alone: nothing that is made here is checked against them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta
from typing_extensions import TypedDict

from controller.core.judge.findings import Label, Verdict


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


class Document(TypedDict):
    """The base of every JSON object with a fixed set of keys; their docstrings describe them."""


class FindingView(Document):
    """One criterion judged once."""

    criterion: str
    """Id of the criterion in the policy."""
    kind: str
    """Kind of the criterion, such as success_rate."""
    verdict: Annotated[str, one_of(Verdict)]
    """The verdict; missing data and failed queries are inconclusive."""
    label: Annotated[str, one_of(Label)]
    """How strong the evidence is."""
    reason: str
    """Why the finding has this verdict, in one word."""
    measured: float | None
    """What was measured, in the unit of the criterion, a rate as a fraction; null: nothing."""
    bound: float
    """What it was compared with, in the same unit."""
    samples: Count
    """Requests, datapoints or events behind the finding."""
    start: Moment | None
    """Begin of the time that was judged; null: none was."""
    end: Moment | None
    """End of the time that was judged; null: none was."""
    facts: dict[str, int | float | str | None]
    """What else the sentence is made from, by name; which there are depends on the reason."""
    gates: bool
    """Whether the finding can stop or roll back the rollout; false: it only reports."""
    sentence: str
    """The finding in one sentence for people."""
