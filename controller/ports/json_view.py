"""The JSON that other programs read: findings, times and numbers, in one form everywhere.

A time is ISO 8601 with its offset. A number has no more digits than were measured. The history
stores and hashes another form of a finding, `core.history.finding_data`, which has neither. The
mark of a type is for the JSON Schema, or says how a number is printed: nothing is checked by it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias, cast, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import fields

from controller.core.judge.facts import time_names
from controller.core.judge.findings import Fact, Finding, Label, Verdict
from controller.core.units import from_unix
from controller.core.words.findings import sentence_of
from controller.immutable import Immutable, fields_of


def one_of(words: Iterable[str]) -> Meta:
    """Return the mark of a text that is one of `words`."""
    return Meta(extra_json_schema={"enum": [str(word) for word in words]})


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


# The facts of a finding that are unix seconds; 0: there is no such time.
TIME_FACTS: Final = time_names()
_DIGITS: Final = 6
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
# From here on a float is no count of anything; a likelihood ratio may be as large.
_EXACT_BELOW: Final = 2.0**53
# CloudWatch and the judge know latencies no better than this many decimals.
_MILLISECOND_DECIMALS: Final = 1


def json_number(value: float, unit: str = "") -> float:
    """Return `value` with the digits that were measured: a whole number as an integer, exactly.

    Milliseconds have one decimal, other numbers six significant digits.
    """
    if abs(value) >= _EXACT_BELOW:
        return float(f"{value:.{_DIGITS}g}")
    if unit == "ms" or abs(value) >= 10 ** (_DIGITS - _MILLISECOND_DECIMALS):
        rounded = round(value, _MILLISECOND_DECIMALS)
    else:
        rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if float(rounded).is_integer() else rounded


def printed_as(form: Callable[[float], float]) -> Meta:
    """Return the mark of a number that a document prints in this form."""
    return Meta(extra={"form": form}, extra_json_schema={})


# A number with the digits that were measured, and one that is known to a tenth.
Number: TypeAlias = Annotated[float, printed_as(json_number)]
Tenths: TypeAlias = Annotated[float, printed_as(lambda value: json_number(round(value, 1)))]


class FindingView(Immutable):
    """One criterion judged once."""

    criterion: str
    """Id of the criterion in the policy."""
    kind: str
    """Kind of the criterion, such as success_rate."""
    verdict: Verdict
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


def iso_time(second: float) -> str | None:
    """Return a unix second as ISO 8601 with its offset; None for 0, which is no time."""
    return from_unix(int(second)).isoformat() if second else None


def document_text(kind: str, data: Immutable, **form: Any) -> str:
    """Return a document as JSON, its schema in front. form: as for `json.dumps`."""
    document = {"schema": f"{kind}/1", **_json_form(data)}
    return json.dumps(document, default=_json_form, **form)


def document_parts(kind: str, data: Immutable, more: Mapping[str, Any] = _NOTHING) -> Iterator[str]:
    """Yield the parts of a document for people: indented, with any character as it is.

    A field that is an iterator is a list whose members are made one after the other.
    """
    separator = "{"
    for name, value in {"schema": f"{kind}/1", **_json_form(data), **more}.items():
        yield f'{separator}\n  "{name}": '
        separator = ","
        if isinstance(value, Iterator):
            yield from _list_parts(value)
        else:
            yield _indented_text(value, 2)
    yield "\n}"


def _list_parts(values: Iterator[object]) -> Iterator[str]:
    separator = "["
    for value in values:
        yield f"{separator}\n    {_indented_text(value, 4)}"
        separator = ","
    yield "[]" if separator == "[" else "\n  ]"


def _indented_text(value: object, depth: int) -> str:
    try:
        # With an indent, json.dumps takes ten times as long.
        text = json.dumps(value, default=_json_form, ensure_ascii=False)
        text = msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, UnicodeError):  # a NaN or half a character, from a changed entry
        text = json.dumps(value, default=_json_form, ensure_ascii=False, indent=2)
    return text.replace("\n", "\n" + " " * depth)


def _json_form(value: object) -> Any:
    """Return a value of a document that JSON has no form for."""
    if isinstance(value, Immutable):
        forms = _number_forms(type(value))
        return {
            name: one if one is None or name not in forms else forms[name](one)
            for name, one in fields_of(value).items()
        }
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


@cache
def _number_forms(kind: type[Immutable]) -> Mapping[str, Callable[[float], float]]:
    """Return the forms of the marked numbers of a document, by their names in JSON."""
    return {
        one.encode_name: hint.__metadata__[0].extra["form"]
        for one in fields(kind)
        for hint in (one.type, *get_args(one.type))
        if get_origin(hint) is Annotated and hint.__metadata__[0].extra
    }


def finding_view(finding: Finding) -> FindingView:
    """Return a finding for people and their programs: with its sentence.

    The fact `unit` is that of a metric, of which a finding may measure an increase or a share.
    """
    measured = finding.measured
    # Facts of another package keep their times as they are.
    times = frozenset[str]() if "text" in finding.facts else TIME_FACTS
    return FindingView(
        criterion=finding.criterion,
        kind=finding.kind,
        verdict=finding.verdict,
        label=str(finding.label),
        reason=str(finding.reason),
        measured=None if measured is None else json_number(measured),
        bound=json_number(finding.bound),
        samples=finding.samples,
        start=iso_time(finding.start),
        end=iso_time(finding.end),
        facts={name: _fact_view(value, name in times) for name, value in finding.facts.items()},
        gates=finding.gates,
        sentence=sentence_of(finding),
    )


def _fact_view(value: Any, is_time: bool) -> Fact | None:
    """Return a fact as JSON data; as it is where another version gave it another type."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return cast("Fact | None", value)
    with suppress(OverflowError, ValueError):
        return iso_time(value) if is_time else json_number(value)
    return value
