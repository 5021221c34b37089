"""The parser of log events: name, path and weight from JSON and from plain text."""

import json

import pytest

from controller.flag import EVENT, Flag
from controller.ports.logs import (
    JSON,
    TEXT,
    EventSummary,
    LogEvent,
    count_events,
    matches_name,
    parse_event,
    readable_text,
)

ID = "6f2c1c5e-0000-4000-8000-000000000000"
FLAG = {"event": EVENT, "percentage": 10, "Path": "canary"}
LAMBDA = {"timestamp": "2026-01-05T09:00:00Z", "level": "INFO", "requestId": ID}


@pytest.mark.parametrize(
    ("text", "name", "path", "percentage"),
    [
        pytest.param(json.dumps(FLAG), EVENT, "canary", 10, id="JSON of the application"),
        pytest.param(
            json.dumps({**FLAG, "Path": "stable"}), EVENT, "stable", 10,
            id="the other path",
        ),
        pytest.param(
            f"[INFO]\t2026-01-05T09:00:00.000Z\t{ID}\t{json.dumps(FLAG)}\n",
            EVENT, "canary", 10, id="a line that Lambda has put words in front of",
        ),
        pytest.param(
            json.dumps({**LAMBDA, "message": FLAG}), EVENT, "canary", 10,
            id="an object inside Lambda's own JSON",
        ),
        pytest.param(
            json.dumps({**LAMBDA, "message": json.dumps(FLAG)}), EVENT, "canary", 10,
            id="text inside Lambda's own JSON",
        ),
        pytest.param(
            f"[INFO]\t2026\t{ID}\t{EVENT} percentage=10 path=canary",
            EVENT, "canary", 10, id="a plain line that says the name",
        ),
        pytest.param(
            f"2026-01-05 09:00:00 event={EVENT} Path=stable percentage=50",
            EVENT, "stable", 50, id="a plain line of keys and values",
        ),
        pytest.param("event=shop path=/canary", "shop", "", None, id="a path of a URL in a line"),
        pytest.param('{"event": "shop", "Path": "stable"}', "shop", "stable", None, id="a path"),
        pytest.param('{"event": "shop", "Path": "/api"}', "shop", "", None, id="another path"),
        pytest.param('{"event": "shop", "percentage": "25"}', "shop", "", 25, id="a numeral"),
        pytest.param('{"event": "shop", "percentage": 101}', "shop", "", None, id="no percentage"),
        pytest.param('{"event": "shop", "percentage": true}', "shop", "", None, id="no number"),
        pytest.param('{"level": "INFO"}', JSON, "", None, id="JSON that names no event"),
        pytest.param('{"event": ["a"]}', JSON, "", None, id="a name that is none"),
        pytest.param("[1, 2]", TEXT, "", None, id="JSON that is no object"),
        pytest.param('{"event": "cut', "cut", "", None, id="JSON that was cut off"),
        pytest.param("{" * 50_000 + "}", TEXT, "", None, id="JSON without a bottom"),
        pytest.param("Task timed out after 3.00 seconds", TEXT, "", None, id="plain text"),
        pytest.param(f"START RequestId: {ID} Version: $LATEST", "START", "", None, id="a start"),
        pytest.param(f"REPORT RequestId: {ID}\tDuration: 3 ms", "REPORT", "", None, id="a report"),
        pytest.param("STARTED the shop", TEXT, "", None, id="no start"),
        pytest.param(
            '{"time": "2026", "type": "platform.report", "record": {}}', "platform.report", "",
            None, id="Lambda's own event in JSON",
        ),
        pytest.param("", TEXT, "", None, id="nothing"),
    ],
)  # fmt: skip
def test_an_event_is_parsed_to_its_name_path_and_percentage(
    text: str, name: str, path: str, percentage: int | None
) -> None:
    assert parse_event(text) == EventSummary(name, path, percentage)


@pytest.mark.parametrize(("weight", "path"), [(100, "canary"), (0, "stable")])
def test_the_event_of_the_flag_of_this_repository_is_parsed(weight: int, path: str) -> None:
    lines: list[str] = []
    with Flag(environ={"CANARY_PERCENTAGE": str(weight)}, log=lines.append).request():
        pass
    assert parse_event(lines[0]) == EventSummary(EVENT, path, weight)


@pytest.mark.parametrize(
    ("text", "name", "matches"),
    [
        pytest.param('{"event": "call"}', "call", True, id="its name"),
        pytest.param('{"event": "call", "after": "check"}', "check", False, id="a word in JSON"),
        pytest.param("a call took 3 ms", "call", True, id="a word of plain text"),
        pytest.param("a call-back took 3 ms", "call", False, id="a part of a word"),
        pytest.param("recall", "call", False, id="the end of a word"),
        pytest.param('{"level": "INFO", "message": "the call"}', "call", True, id="a message"),
    ],
)
def test_an_event_is_found_by_its_name_and_plain_text_by_a_word(
    text: str, name: str, matches: bool
) -> None:
    assert matches_name(LogEvent("1", 0, text), name) is matches


def test_events_are_counted_by_name_and_path() -> None:
    texts = [json.dumps(FLAG)] * 3 + [json.dumps({**FLAG, "Path": "stable"}), "done"]
    events = [LogEvent(str(number), number, text) for number, text in enumerate(texts)]
    assert count_events(events) == {
        (EVENT, "canary"): 3,
        (EVENT, "stable"): 1,
        (TEXT, ""): 1,
    }


METRICS = {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "Shop"}]}
REQUEST = {"event": "request", "Path": "canary", "note": "größer"}


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        pytest.param("plain {text}", "plain {text}", id="plain text stays"),
        pytest.param('{"a":1}', '{"a":1}', id="other JSON stays to the letter"),
        pytest.param(json.dumps({"_aws": METRICS, **REQUEST}),
                     json.dumps(REQUEST, ensure_ascii=False), id="a line of metrics"),
        pytest.param("2026-01-05 INFO " + json.dumps({**REQUEST, "_aws": METRICS}),
                     "2026-01-05 INFO " + json.dumps(REQUEST, ensure_ascii=False),
                     id="what Lambda puts in front stays"),
        pytest.param(json.dumps({"level": "INFO", "message": {"_aws": METRICS, "a": 1}}),
                     '{"level": "INFO", "message": {"a": 1}}', id="within a message"),
        pytest.param(json.dumps({"message": json.dumps({"_aws": METRICS, "a": 1})}),
                     json.dumps({"message": '{"a": 1}'}), id="within a message that is text"),
    ],
)  # fmt: skip
def test_a_readable_line_has_no_declaration_of_metrics(text: str, readable: str) -> None:
    assert readable_text(text) == readable
