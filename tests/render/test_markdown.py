"""Markdown pages: content, escaping, and the limit of their length."""

import re

import pytest

from controller.core.units import clock_text, time_range_text
from controller.render.pipeline import MAX_CHARACTERS, escape_markdown, rollout_markdown
from tests.support.core import Entry, Label, Rollout, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, a_rollout, a_state

WORKS = a_finding(
    "works",
    "works fails.",
    verdict=Verdict.FAIL,
    label=Label.REGRESSION,
    measured=0.98,
    samples=1_000,
)


def entry(sentence: str, kind: str = "applied") -> Entry:
    body = {"weight_to": 10, "reason": "baking", "sentence": sentence, "findings": []}
    return Entry(1, NOON, kind, body)


def page(rollout: Rollout, *entries: Entry) -> str:
    return rollout_markdown(rollout, entries, NOON + MINUTE)


def test_a_page_has_the_status_of_a_rollout_and_its_timeline() -> None:
    standing = a_rollout(state=a_state(applied=True, sentence="baking"), findings=(WORKS,))
    assert page(standing, entry("10% is applied")).splitlines() == [
        "### checkout\\#<!-- -->1: progressing at 10%",
        "",
        "baking",
        "",
        "- \\[10% 1h\\] > 100% 24h",
        "- next: 100% if every criterion of this step passes, at the first tick from "
        f"{clock_text(NOON + 68 * MINUTE)} on",
        f"- revision code-1, updated {clock_text(NOON)}, 1m ago",
        "",
        "|  | criterion | target | measured | samples | evidence | role |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
        "| open | errors-per-request | ≤ 0.1% | – | – | not judged yet | gate |",
        "| open | fast | ≤ +5% | – | – | not judged yet | gate |",
        "| FAIL | works | ≥ 99.9% | 98% | 1,000 | regression detected | gate |",
        "",
        f"measured over all judged minutes of a step, from {time_range_text(0, 300)}",
        "",
        "```text",
        "2026-11-24 12:00        10%  applied       10% is applied",
        "```",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c`d`", "a\\_b\\*c\\`d\\`"),
        ("<img src=x> & [link](http://x)", "&lt;img src=x> &amp; \\[link\\](http\\://x)"),
        ("![i](https://x) WWW.x.org", "!\\[i\\](https\\://x) WWW\\.x.org"),
        ("@octocat a@b.c @ 5", "@<!-- -->octocat a@<!-- -->b.c @ 5"),
        ("#12 of shop#1", "\\#<!-- -->12 of shop\\#<!-- -->1"),
        ("owner/repo#1", "owner/repo\\#<!-- -->1"),
        ("a.b/c_d#22,x-y/z-#3", "a.b/c\\_d\\#<!-- -->22,x-y/z-\\#<!-- -->3"),
        ("GH-12 gh-3 (Gh-4) _gH-5", "GH-<!-- -->12 gh-<!-- -->3 (Gh-<!-- -->4) \\_gH-<!-- -->5"),
        ("gh-pages, GH- 12, # 1", "gh-pages, GH- 12, \\# 1"),
        ("\x1b[2J\u202e", "\\\\u001b\\[2J\\\\u202e"),
        ("one | two", "one \\| two"),
        ("two\nlines\r\n# and a heading", "two lines \\# and a heading"),
        ("> a quote", "\\> a quote"),
        ("- an item", "\\- an item"),
        ("1. an item", "1\\. an item"),
        ("0.4% of them", "0.4% of them"),
        ("-3%", "\\-3%"),
        ("10% is applied", "10% is applied"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert escape_markdown(text) == shown


def test_nothing_in_a_timeline_ends_its_block() -> None:
    text = page(a_rollout(), entry("```"), entry("`````"))
    fence, *inside, last = text.splitlines()[-4:]
    assert (fence, last) == ("``````text", "``````")
    assert [line[-5:] for line in inside] == ["  ```", "`````"]


def test_a_page_fits_into_a_comment_and_says_what_it_leaves_out() -> None:
    entries = [entry(f"{number:>5} {'x' * 100}") for number in range(2_000)]
    text = page(a_rollout(), *entries)
    assert len(text) <= MAX_CHARACTERS < 65_536
    (left_out,) = re.findall(
        r"^\.\.\. (\d+) lines are left out; `rolloutctl history` has them all$", text, re.MULTILINE
    )
    assert len(re.findall("^2026-11-24", text, re.MULTILINE)) == 2_000 - int(left_out)
    assert f"    0 {'x' * 100}\n" in text
    assert f" 1999 {'x' * 100}\n```" in text
