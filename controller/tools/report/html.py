"""The report of a rollout as one page, which needs no terminal, no network and no account."""

import base64
import gzip
import re
import shlex
import string
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.core.judge.findings import Finding, Label
from controller.core.policy.model import failure_criteria
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, from_unix, number_text, time_range_text
from controller.core.words.criteria_table import NO_VALUE
from controller.core.words.findings import sentence_of
from controller.core.words.notices import with_fix
from controller.immutable import Immutable, replace
from controller.operations.recorded.exposure import Exposure
from controller.ports.json_view import document_text
from controller.render.history import history_data, weight_change_text
from controller.render.html import Tile, page, policy_text, tone
from controller.render.html.chart import Chart, Mark, Shading, chart, share_text
from controller.render.rollout_data import rollout_data
from controller.render.rollout_texts import rollout_texts, weight_text
from controller.tools.report import (
    MOST_WHOLE,
    CriterionReport,
    Failure,
    RolloutHistory,
    RolloutReport,
)

_TEMPLATE: Final = Path(__file__).with_name("report.html")

# A whole history as a link: more would make the page too large to send.
MAX_HISTORY_CHARACTERS: Final = 150_000


def report_html(
    report: RolloutReport, *, scenario: str = "", template: Path = _TEMPLATE, **more: object
) -> str:
    """Return the page of `report`; the same report gives the same page.

    scenario: in which it was rehearsed; empty: on an account.
    template: extends that of this page, and gets `more` values.
    """
    rollout = report.history.rollout
    texts = rollout_texts(rollout)
    return page(
        template,
        _TEMPLATE,
        report=report,
        scenario=scenario,
        rollout=rollout,
        policy=rollout.policy,
        phase=str(rollout.phase).replace("_", " "),
        tone=tone(rollout),
        headline=headline(rollout),
        why=with_fix(rollout, rollout.sentence),
        weight=texts.weight,
        next=texts.next,
        stable_path=texts.stable_path,
        conditions=[(str(kind), condition) for kind, condition in rollout.conditions.items()],
        sentence=sentence_of,
        tiles=list(_tiles(report)),
        bad_requests=[_bad_requests(report, step.index) for step in report.steps],
        failures=[(failure, *_window_table(failure)) for failure in report.failures],
        interval=time_range_text,
        log_link=lambda one: log_link(rollout, one.begin, one.end),
        overview=_overview_chart(report),
        latencies=list(_latency_charts(report)),
        criteria=[
            (criterion, _criterion_chart(report, index, criterion))
            for index, criterion in enumerate(report.criteria)
        ],
        not_judged=Label.NOT_JUDGED,
        read_from=_read_from,
        chain=_chain_text(report.history),
        policy_text=policy_text(rollout.policy),
        state_text=document_text("status", rollout_data(rollout), indent=1),
        weight_change=weight_change_text,
        history_link=_history_link(report),
        **more,
    )


def headline(rollout: Rollout) -> str:
    """Return what became of `rollout`, as the title of its page."""
    name, at = rollout.name, clock_text(rollout.since)
    match rollout.phase:
        case Phase.SUCCEEDED:
            return f"{name} succeeded at {rollout.weight}% at {at}"
        case Phase.ROLLED_BACK:
            back = f" from {rollout.from_weight}%" if rollout.from_weight else ""
            return f"{name} was rolled back{back} to 0% at {at}"
        case Phase.ROLLING_BACK:
            return f"{name} is rolling back to 0% since {at}"
        case Phase.PAUSED:
            return f"{name} is paused since {at}"
        case Phase.PROGRESSING:
            steps = len(rollout.policy.steps)
            return f"{name} is at {weight_text(rollout)}, step {rollout.step + 1} of {steps}"


# --- Head -----------------------------------------------------------------------------------------


def _tiles(report: RolloutReport) -> Iterator[Tile]:
    rollout, exposure = report.history.rollout, report.exposure
    yield _exposure_tile(exposure)
    expected = exposure.expected
    if expected is not None and expected.budget is not None:
        outage = f"An outage at {expected.weight}% would fail"
        failed = number_text(round(expected.bad_requests))
        yield Tile(outage, failed, f"requests: {expected.text}")
    if exposure.requests:
        control = exposure.counts.control_samples
        note = f"stable path: {number_text(round(control))}" if control else "by the canary"
        yield Tile("Requests served", number_text(round(exposure.requests)), note)
    weights = " → ".join(f"{span.weight}%" for span in report.history.weight_spans) or "none"
    yield Tile("Traffic on the canary for", duration_text(exposure.duration), weights)
    planned = sum((step.planned for step in report.steps), timedelta())
    yield Tile("Planned duration", duration_text(planned), "warm-up and bake of all steps")
    passed = sum(criterion.row.verdict == "pass" for criterion in report.criteria)
    label = rollout.evidence.label
    note = f"weakest evidence: {label}" if label else "no step is over yet"
    yield Tile("Criteria passed", f"{passed} of {len(report.criteria)}", note)


def _bad_requests(report: RolloutReport, step: int) -> str:
    """Return the bad requests of a step, and what its policy lets it be expected to serve."""
    policy, found = report.history.rollout.policy, report.exposure.at_step(step)
    budget = policy.max_bad_requests_of(step)
    counted = found is not None and found.requests
    text = number_text(round(found.failures)) if found and counted else NO_VALUE
    return text if budget is None else f"{text} (expected at most {number_text(budget)})"


def _exposure_tile(exposure: Exposure) -> Tile:
    name = "Exposure: bad requests served"
    if not exposure.criterion:
        return Tile(name, "not counted", "the policy has no criterion that counts failures")
    if not exposure.requests:
        return Tile(name, "not known", f"{exposure.criterion} has no recorded minute")
    counts = exposure.counts
    note = f"{share_text(counts.amount / counts.samples)} of the canary's requests"
    if counts.control_samples:
        share = counts.control_amount / counts.control_samples
        note += f"; stable path: {share_text(share)}"
    return Tile(name, number_text(round(counts.amount)), note)


# --- What rolled back -----------------------------------------------------------------------------


def _window_table(failure: Failure) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the columns beside the time of a window, and a row for each window."""
    control = any(one.counts.control_samples for _, one in failure.windows)
    unit = f" ({failure.unit})" if failure.unit else ""
    columns = ["canary requests", f"canary{unit}"]
    if failure.counted:
        columns.insert(1, "of these bad")
    if control:
        columns.append(f"stable path{unit}")
    rows = []
    for start, one in failure.windows:
        counts = one.counts
        cells = [number_text(round(counts.samples))]
        if failure.counted:
            failed = number_text(max(0, round(counts.amount)))
            cells += [failed, _share(counts.amount, counts.samples)]
        else:
            cells.append(number_text(float(f"{one.value:.4g}")))
        if control and failure.counted:
            cells.append(_share(counts.control_amount, counts.control_samples))
        elif control:
            samples = counts.control_samples
            mean = counts.control_amount / samples if samples else 0.0
            cells.append(number_text(float(f"{mean:.4g}")))
        rows.append((f"{from_unix(start):%H:%M}", *cells))
    return tuple(columns), rows


def _share(amount: float, samples: float) -> str:
    return share_text(max(0.0, amount) / samples) if samples else NO_VALUE


# --- Charts and criteria --------------------------------------------------------------------------


def _shadings(report: RolloutReport, finding: Finding | None) -> list[Shading]:
    """Return what a chart marks: the time that was not final, and the regression of `finding`."""
    marks = [
        Shading(failure.begin, failure.end, Mark.REGRESSION)
        for failure in report.failures
        if finding is not None and failure.finding.criterion == finding.criterion
    ]
    if spans := report.history.weight_spans:
        end = spans[-1].end.timestamp()
        marks.append(Shading(report.settled_to, end, Mark.NOT_FINAL))
    return marks


def _overview_chart(report: RolloutReport) -> Chart | None:
    """Return the weight over time with the failures of both paths; None where none are counted."""
    traces = {one.row.criterion: one.trace for one in report.criteria if one.trace is not None}
    counted = failure_criteria(report.history.rollout.policy.criteria)
    name = next((one for one in counted if one in traces), None)
    if name is None:
        return None
    title = f"Weight, and requests that failed on each path ({name})"
    return chart("overview-chart", title, traces[name], _shadings(report, None), with_weight=True)


def _latency_charts(report: RolloutReport) -> Iterator[tuple[str, Chart | None, str]]:
    """Yield title, chart and problem of each latency."""
    for index, latency in enumerate(report.latencies):
        title = f"{latency.metric}, {latency.statistic} of each minute"
        marks = _shadings(report, None)
        drawn = chart(f"latency-{index}", title, latency.trace, marks) if latency.trace else None
        yield title, drawn, latency.problem


def _criterion_chart(report: RolloutReport, index: int, one: CriterionReport) -> Chart | None:
    if one.trace is None:
        return None
    compared = report.history.rollout.policy.criteria[one.row.criterion].comparisons
    follows_weight = any(each.follows_weight for each in compared)
    title, bound_name = f"{one.row.criterion} over time", "weight" if follows_weight else "limit"
    return chart(f"chart-{index}", title, one.trace, _shadings(report, one.row.finding), bound_name)


def _read_from(one: CriterionReport) -> Iterator[str]:
    """Yield what is read for a criterion, a metric or a search of a log a line."""
    for query in one.queries:
        dimensions = ", ".join(f"{name}={value}" for name, value in query.dimensions)
        place = f"{query.place} {query.name}{{{dimensions}}}"
        yield f"{place}  {query.statistic}, every {query.period_s} s"
    for log in one.logs:
        yield f"{log.group}: {log.pattern}"


# --- Evidence of the report itself ----------------------------------------------------------------


def _chain_text(history: RolloutHistory) -> tuple[str, str]:
    """Return how the audit log is marked, and whether it is as it was written."""
    if history.broken_at is not None:
        return "bad", (
            f"The hash chain is broken: entry {history.broken_at} was changed, or one before it is "
            "missing. Do not trust what follows it."
        )
    if not history.digests.consistent:
        return "bad", "The hash chain is valid, but the policy is not the one of the start."
    return "good", "The hash chain is valid, and the policy is the one of the start."


def _history_link(report: RolloutReport) -> str:
    """Return the whole history as a link, as `history --json` prints it; empty if it is too long.

    The file has no time in it, so that the same history gives the same page.
    """
    history = report.history
    if len(history.entries) > MOST_WHOLE:
        return ""
    whole = history_data(
        history.rollout.id,
        history.entries,
        history.digests,
        report.exposure,
        intact=history.broken_at is None,
    )
    listed = replace(whole, entries=list(whole.entries))
    text = document_text("history", listed, separators=(",", ":"))
    data = gzip.compress(text.encode(), 9, mtime=0)
    coded = base64.b64encode(data).decode()
    return f"data:application/gzip;base64,{coded}" if len(coded) <= MAX_HISTORY_CHARACTERS else ""


# --- Log ----------------------------------------------------------------------------------------

_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")  # it becomes part of a host name
_INSIGHTS_QUERY: Final = "fields @timestamp, @message | sort @timestamp asc | limit 1000"


class LogLink(Immutable):
    """The log of an interval. url: empty where the region is not known."""

    group: str
    url: str
    command: str


def log_link(rollout: Rollout, begin: int, end: int) -> LogLink | None:
    """Return where the log of `rollout` from `begin` to `end`, unix seconds, is to be read.

    None where its target has no log group.
    """
    group = rollout.policy.target.log_group
    if not group:
        return None
    command = (
        f"aws logs filter-log-events --log-group-name {shlex.quote(group)} "
        f"--start-time {begin * 1000} --end-time {end * 1000}"
    )
    arn = rollout.target.split(":")
    if len(arn) < 5 or arn[1] not in _CONSOLES or not _REGION.fullmatch(arn[3]):
        return LogLink(group, "", command)
    region, console = arn[3], _CONSOLES[arn[1]]
    detail = (
        f"~(end~'{_console_time(end)}~start~'{_console_time(begin)}~timeType~'ABSOLUTE~tz~'UTC~editorString~'"
        f"{_encoded(_INSIGHTS_QUERY)}~source~(~'{_encoded(group)}))"
    )
    fragment = f"logsV2:logs-insights?queryDetail={detail}".replace("?", "$3F").replace("=", "$3D")
    return LogLink(
        group, f"https://{region}.{console}/cloudwatch/home?region={region}#{fragment}", command
    )


def _console_time(second: int) -> str:
    return _encoded(f"{from_unix(second):%Y-%m-%dT%H:%M:%S.000Z}")


def _encoded(text: str) -> str:
    """Return `text` as the console writes it in its addresses: `*2f` for a slash."""
    plain = set(string.ascii_letters + string.digits + "-_.")
    return "".join(
        one if one in plain else "".join(f"*{byte:02x}" for byte in one.encode()) for one in text
    )
