"""Policy files: every mistake in one run, at its line and column; hostile text is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import PolicyError
from controller.policy_file.loader import loads
from tests.support.cases import cases

PLAIN = """\
version: 1
name: checkout
target: {kind: lambda-env, function: handler, percentage: PERCENT}
metrics:
  requests: {namespace: Shop, name: Count, statistic: Sum}
  errors: {namespace: Shop, name: Errors, statistic: Sum}
  latency: {namespace: Shop, name: Latency, statistic: p95}
criteria:
  SC-003:
    {kind: latency_increase, judge: threshold, metric: latency, max_increase: 5%,
     baseline: {fixed: 300}}
  SC-004: {kind: success_rate, judge: threshold, total: requests, failures: [errors], min: 99.9%}
steps:
  - {weight: 10, bake: 1h}
  - {weight: 50, bake: 1h}
  - weight: 100
    bake: 24h
"""


def lines(text: str) -> list[str]:
    """Return the mistakes that `loads` reports in `text`."""
    with pytest.raises(PolicyError) as caught:
        loads(text, "p.yaml")
    return str(caught.value).split("\n")


def test_a_date_stays_what_was_written() -> None:
    window = "{frozen: latency, from: 2026-11-20T00:00:00Z, to: 2026-11-21T00:00:00Z}"
    policy = loads(PLAIN.replace("{fixed: 300}", window), "p.yaml")
    assert '"from":"2026-11-20T00:00:00Z"' in policy.snapshot()


@cases("old, new, reported", {
    "a missing key is reported at the top": ("version: 1\n", "", "1:1: version: is required"),
    "a name that is none is reported at the name": (
        "metrics:\n", "metrics:\n  5xx: {namespace: Shop, name: X, statistic: Sum}\n",
        [
            "5:3: metrics.'5xx': expected a name (a letter, then letters, digits, _ . -; at "
            "most 63), not '5xx'"
        ],
    ),
    "an item of a list": (
        "failures: [errors]", "failures: [errors, 5xx]",
        "12:86: criteria.SC-004.failures[1]: expected a name (a letter, then letters, digits, "
        "_ . -; at most 63), not '5xx'",
    ),
    "an empty value is reported at its key": (
        "    bake: 24h\n", "    bake:\n\n\n",
        "17:5: steps[2].bake: expected a number and a unit, like 90s, 10m, 1h or 2d, "
        "not nothing",
    ),
})  # fmt: skip
def test_a_mistake_is_one_line_at_its_position(
    old: str, new: str, reported: str | list[str]
) -> None:
    assert old in PLAIN
    expected = [reported] if isinstance(reported, str) else reported
    assert lines(PLAIN.replace(old, new, 1)) == [f"p.yaml:{line}" for line in expected]


def test_all_mistakes_of_a_file_are_reported_at_once_and_in_order() -> None:
    """Shape, references, duplicates, tags and unknown keys, in one run."""
    assert lines(
        """\
version: 1
name: Bad
sumary: many mistakes
target:
  kind: lambda-env
  function: handler
  percentage: AWS_PERCENT
metrics:
  requests: {namespace: Shop, name: Count, statistic: Sum, dimensions: {A: 5}}
  requests: {namespace: Shop, name: Count, statistic: Sum}
  secret: !vault abc
  errors: {namespace: Shop, name: Errors, statistic: Average}
  spare: {namespace: Shop, name: Spare, statistic: Sum}
criteria:
  SC-004: {kind: success_rate, judge: threshold, total: request, failures: [errors], min: 99.9%}
  traffic: {kind: traffic, judge: threshold, metric: requests, min: 1, max: 2}
  fast: {kind: latency, judge: threshold}
steps:
  - {weight: 50, bake: 1h, criteria: [SC-04]}
  - {weight: 20, bake: soon}
  - {bake: 1h}
  - {weight: 30, bake: 1h}
  - {weight: 25, bake: 1h}
evaluation_delay: 1m
"""
    ) == [
        "p.yaml:2:7: name: expected a name (a small letter, then small letters, digits, -; at most "
        "63), not 'Bad'",
        "p.yaml:3:1: sumary: unknown key; did you mean 'summary'?",
        "p.yaml:7:15: target.percentage: AWS_PERCENT is reserved by AWS Lambda",
        "p.yaml:9:76: metrics.requests.dimensions.A: expected text, not 5",
        "p.yaml:10:3: metrics.requests: duplicate key, first on line 9",
        "p.yaml:11:11: metrics.secret: the tag !vault is not allowed here: only the core tags of "
        "YAML are read, like !!str",
        "p.yaml:15:57: criteria.SC-004.total: no metric is called 'request'; "
        "did you mean 'requests'?",
        "p.yaml:15:77: criteria.SC-004.failures[0]: needs a count (Sum), but errors has statistic "
        "Average",
        "p.yaml:16:72: criteria.traffic.max: unknown key; known: kind, gates, judge, window, "
        "metric, min, control; like {kind: traffic, metric: requests, control: stable_requests}",
        "p.yaml:17:16: criteria.fast.kind: no kind of criterion is called 'latency'; "
        "did you mean 'latency_increase'?",
        "p.yaml:19:39: steps[0].criteria[0]: no criterion is called 'SC-04'; "
        "did you mean 'SC-004'?",
        "p.yaml:20:14: steps[1].weight: weights must climb, but 20 follows 50",
        "p.yaml:20:24: steps[1].bake: expected a number and a unit, like 90s, 10m, 1h or 2d, "
        "not 'soon'",
        "p.yaml:21:5: steps[2].weight: is required; like {weight: 50, bake: 1h}",
        "p.yaml:23:14: steps[4].weight: weights must climb, but 25 follows 30",
        "p.yaml:24:19: evaluation_delay: must be from 2m to 1h, not 1m",
    ]


def test_of_many_mistakes_fifty_are_listed_and_the_others_counted() -> None:
    metrics = "".join(f"  m{number}: {{}}\n" for number in range(17))  # three mistakes each
    with pytest.raises(PolicyError) as caught:
        loads(PLAIN.replace("metrics:\n", f"metrics:\n{metrics}"), "p.yaml")
    shown = str(caught.value).split("\n")
    more = len(caught.value.flaws) - 50
    assert (len(shown), shown[-1]) == (51, f"and {more} more in p.yaml")
    assert more > 0


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    assert all(line.startswith("p.yaml:") for line in lines(text))


_TOKENS = st.sampled_from(
    [
        *("&a ", "*a", "!x ", "!!int ", "!<", "? ", ": ", "- ", "[", "]", "{", "}", "|", ">-", "#"),
        *("'", '"', "\\", '"\\UFFFFFFFF"', "%YAML 1.1\n", "---\n", "...\n", "\t", "\n", "\r"),
        *("\u2028", "\x85", "\ufeff", "\x00", "<<: ", "0x", "1e999", ".nan", "9" * 5_000, "~", "@"),
        *("a", "steps: ", "metrics: ", "criteria: ", "kind: traffic", "%TAG ! x\n", "\ud800"),
    ]
)


@given(st.lists(_TOKENS, max_size=15).map("".join))
def test_any_yaml_is_a_policy_or_a_policy_error(text: str) -> None:
    assert all(line.startswith("p.yaml:") for line in lines(text))


@given(st.data())
def test_a_policy_with_a_piece_replaced_is_a_policy_or_a_policy_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(PLAIN)))
    end = data.draw(st.integers(start, len(PLAIN)))
    text = PLAIN[:start] + data.draw(_TOKENS) + PLAIN[end:]
    try:
        text_lines = loads(text, "p.yaml").steps_text().split("\n")
    except PolicyError as error:
        text_lines = str(error).split("\n")
    assert all(line.startswith(("p.yaml:", "10% for 1h, ")) for line in text_lines)
