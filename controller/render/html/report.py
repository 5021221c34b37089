"""The report of a rollout as one page, which needs no terminal, no network and no account."""

import base64
import gzip
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from controller.core.judge.exposure import ExpectedExposure
from controller.core.judge.findings import Finding, Label
from controller.core.observation import MetricQuery
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, from_unix, number_text, time_range_text
from controller.core.words.criteria_table import NO_VALUE
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import next_action
from controller.immutable import Immutable
from controller.operations.report.criteria import CriterionReport
from controller.operations.report.exposure import Exposure
from controller.operations.report.report import Failure, RolloutReport
from controller.ports.json_view import document_text
from controller.render.history import history_data, weight_change_text
from controller.render.html.chart import Chart, Mark, Shading, chart, share_text
from controller.render.html.log_link import LogLink, log_link
from controller.render.html.pages import page
from controller.render.html.parts import Tile, policy_text
from controller.render.rollout_line import rollout_data, weight_text

# A whole history as a link: more would make the page too large to send.
MAX_HISTORY_CHARACTERS: Final = 150_000


class _CriterionView(Immutable):
    """One criterion. mark: its verdict in a word. opened: whether its details are shown at once."""

    identity: str
    name: str
    kind: str
    mark: str
    target: str
    measured: str
    samples: str
    label: str
    role: str
    sentence: str
    demand: str
    queries: tuple[str, ...]
    chart: Chart | None
    inconsistent: int
    opened: bool


class _FailureView(Immutable):
    """What rolled back, and what was seen: rows begin with a time, then come the columns."""

    name: str
    sentence: str
    interval: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    earlier: int
    logs: LogLink | None


def report_html(report: RolloutReport, *, scenario: str = "") -> str:
    """Return the page of `report`; the same report gives the same page.

    scenario: in which it was rehearsed; empty: on an account.
    """
    rollout = report.rollout
    return page(
        "report.html",
        report=report,
        scenario=scenario,
        rollout=rollout,
        policy=rollout.policy,
        phase=str(rollout.phase).replace("_", " "),
        tone=tone(rollout),
        headline=headline(rollout),
        why=rollout.sentence,
        weight=weight_text(rollout),
        next=next_action(rollout).text,
        conditions=[(str(kind), one) for kind, one in rollout.conditions.items()],
        drain=sentence_of(rollout.drain) if rollout.drain is not None else "",
        tiles=list(_tiles(report)),
        bad_requests=[_bad_requests(report, one.index) for one in report.steps],
        failures=[_failure(report, one) for one in report.failures],
        latencies=list(_latency_charts(report)),
        criteria=[_criterion(report, index, one) for index, one in enumerate(report.criteria)],
        chain=_chain_text(report),
        policy_text=policy_text(rollout.policy),
        state_text=document_text("status", rollout_data(rollout), indent=1),
        weight_change=weight_change_text,
        history_link=_history_link(report),
    )


def headline(rollout: Rollout) -> str:
    """Return what became of `rollout`, as the title of its page."""
    name, at = rollout.name, clock_text(rollout.since)
    match rollout.phase:
        case Phase.SUCCEEDED:
            return f"{name} succeeded at {rollout.weight} % at {at}"
        case Phase.ROLLED_BACK:
            back = f" from {rollout.from_weight} %" if rollout.from_weight else ""
            return f"{name} was rolled back{back} to 0 % at {at}"
        case Phase.ROLLING_BACK:
            return f"{name} is rolling back to 0 % since {at}"
        case Phase.PAUSED:
            return f"{name} is paused since {at}"
        case Phase.PROGRESSING:
            steps = len(rollout.policy.steps)
            return f"{name} is at {weight_text(rollout)}, step {rollout.step + 1} of {steps}"


def tone(rollout: Rollout) -> str:
    """Return how the phase is marked: `good`, `bad`, `warn` or `plain`."""
    match rollout.phase:
        case Phase.SUCCEEDED:
            return "good"
        case Phase.ROLLED_BACK | Phase.ROLLING_BACK:
            return "bad"
        case Phase.PAUSED:
            return "warn"
        case Phase.PROGRESSING:
            return "plain"


# --- Head -----------------------------------------------------------------------------------------


def _tiles(report: RolloutReport) -> Iterator[Tile]:
    rollout, exposure = report.rollout, report.exposure
    yield _exposure_tile(exposure)
    if exposure.expected is not None and exposure.expected.budget is not None:
        yield _expected_tile(exposure.expected)
    if exposure.requests:
        control = exposure.control_requests
        note = f"stable path: {number_text(round(control))}" if control else "by the canary"
        yield Tile("Requests served", number_text(round(exposure.requests)), note)
    weights = " → ".join(f"{one.weight} %" for one in report.stretches) or "none"
    yield Tile("Traffic on the canary for", duration_text(exposure.duration), weights)
    planned = sum((one.planned for one in report.steps), timedelta())
    yield Tile("Planned duration", duration_text(planned), "warm-up and bake of all steps")
    passed = sum(one.row.verdict == "pass" for one in report.criteria)
    label = rollout.evidence.label
    note = f"weakest evidence: {label}" if label else "no step is over yet"
    yield Tile("Criteria passed", f"{passed} of {len(report.criteria)}", note)


def _bad_requests(report: RolloutReport, step: int) -> str:
    """Return the bad requests of a step, and what its policy lets it be expected to serve."""
    found, budget = report.exposure.at_step(step), report.rollout.policy.max_bad_requests_of(step)
    counted = found is not None and found.requests
    text = number_text(round(found.failures)) if found and counted else NO_VALUE
    return text if budget is None else f"{text} (expected at most {number_text(budget)})"


def _expected_tile(expected: ExpectedExposure) -> Tile:
    name = f"An outage at {expected.weight} % would fail"
    note = f"requests: {expected.text}"
    return Tile(name, number_text(round(expected.bad_requests)), note)


def _exposure_tile(exposure: Exposure) -> Tile:
    name = "Exposure: bad requests served"
    if not exposure.criterion:
        return Tile(name, "not counted", "the policy has no criterion that counts failures")
    if not exposure.requests:
        return Tile(name, "not known", f"{exposure.criterion} has no recorded minute")
    note = f"{share_text(exposure.failures / exposure.requests)} of the canary's requests"
    if exposure.control_requests:
        share = exposure.control_failures / exposure.control_requests
        note += f"; stable path: {share_text(share)}"
    return Tile(name, number_text(round(exposure.failures)), note)


# --- What rolled back -----------------------------------------------------------------------------


def _failure(report: RolloutReport, failure: Failure) -> _FailureView:
    finding, windows = failure.finding, [one for _, one in failure.windows]
    control = any(one.counts.control_samples for one in windows)
    return _FailureView(
        name=finding.criterion,
        sentence=sentence_of(finding),
        interval=time_range_text(failure.begin, failure.end),
        columns=_window_columns(failure, control),
        rows=tuple(_window_rows(failure, control)),
        earlier=failure.earlier,
        logs=log_link(report.rollout, failure.begin, failure.end),
    )


def _window_rows(failure: Failure, control: bool) -> Iterator[tuple[str, ...]]:
    """Yield a row for each window: its time, then what `_window_columns` names."""
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
        yield (f"{from_unix(start):%H:%M}", *cells)


def _window_columns(failure: Failure, control: bool) -> tuple[str, ...]:
    counted = ("of these bad",) if failure.counted else ()
    unit = f" ({failure.unit})" if failure.unit else ""
    other = (f"stable path{unit}",) if control else ()
    return ("canary requests", *counted, f"canary{unit}", *other)


def _share(amount: float, samples: float) -> str:
    return share_text(max(0.0, amount) / samples) if samples else NO_VALUE


# --- Charts and criteria --------------------------------------------------------------------------


def _shadings(report: RolloutReport, finding: Finding | None) -> list[Shading]:
    """Return what a chart marks: the time that was not final, and the regression of `finding`."""
    marks = [
        Shading(one.begin, one.end, Mark.REGRESSION)
        for one in report.failures
        if finding is not None and one.finding.criterion == finding.criterion
    ]
    if report.stretches:
        end = report.stretches[-1].end.timestamp()
        marks.append(Shading(report.settled_to, end, Mark.NOT_FINAL))
    return marks


def _latency_charts(report: RolloutReport) -> Iterator[tuple[str, Chart | None, str]]:
    """Yield title, chart and problem of each latency."""
    for index, one in enumerate(report.latencies):
        title = f"{one.pair.canary}, {one.statistic} of each minute"
        marks = _shadings(report, None)
        drawn = None
        if one.trace is not None:
            drawn = chart(f"latency-{index}", title, one.trace, marks)
        yield title, drawn, one.problem


def _criterion(report: RolloutReport, index: int, one: CriterionReport) -> _CriterionView:
    row = one.row
    title, bound_name = f"{row.criterion} over time", "weight" if row.kind == "share" else "limit"
    marks = _shadings(report, row.finding)
    fails = row.finding is not None and row.finding.fails
    return _CriterionView(
        identity=f"criterion-{index}",
        name=row.criterion,
        kind=row.kind,
        mark=row.mark,
        target=row.target,
        measured=row.measured,
        samples=row.samples,
        label=row.label,
        role=row.role,
        sentence=_criterion_sentence(report, one.finding),
        demand=f"Asks for: {one.demand}.",
        queries=(*map(_query_text, one.queries), *(f"{q.group}: {q.pattern}" for q in one.logs)),
        chart=None
        if one.trace is None
        else chart(f"chart-{index}", title, one.trace, marks, bound_name),
        inconsistent=0 if one.trace is None else one.trace.inconsistent,
        opened=fails,
    )


def _criterion_sentence(report: RolloutReport, finding: Finding | None) -> str:
    """Return the sentence of the newest finding; one that waited for more says when that was."""
    if finding is None:
        return ""
    ended = report.rollout.final and finding.label is Label.NOT_JUDGED
    return f"{'At the end of the rollout: ' if ended else ''}{sentence_of(finding)}"


def _query_text(query: MetricQuery) -> str:
    dimensions = ", ".join(f"{name}={value}" for name, value in query.dimensions)
    place = f"{query.namespace} {query.name}{{{dimensions}}}"
    return f"{place}  {query.statistic}, every {query.period_s} s"


# --- Evidence of the report itself ----------------------------------------------------------------


def _chain_text(report: RolloutReport) -> tuple[str, str]:
    """Return how the audit log is marked, and whether it is as it was written."""
    if report.broken_at is not None:
        return "bad", (
            f"The hash chain is broken: entry {report.broken_at} was changed, or one before it is "
            "missing. Do not trust what follows it."
        )
    if not report.digests.consistent:
        return "bad", "The hash chain is valid, but the policy is not the one of the start."
    return "good", "The hash chain is valid, and the policy is the one of the start."


def _history_link(report: RolloutReport) -> str:
    """Return the whole history as a link, as `history --json` prints it; empty if it is too long.

    The file has no time in it, so that the same history gives the same page.
    """
    whole = history_data(
        report.rollout.id,
        report.entries,
        report.digests,
        report.exposure,
        intact=report.broken_at is None,
    )
    text = document_text("history", whole, separators=(",", ":"))
    data = gzip.compress(text.encode(), 9, mtime=0)
    coded = base64.b64encode(data).decode()
    return f"data:application/gzip;base64,{coded}" if len(coded) <= MAX_HISTORY_CHARACTERS else ""


def file_name(rollout: Rollout) -> str:
    """Return the name of a report file: that of the rollout without `#`, which a URL cuts off."""
    return f"{rollout.id.replace('#', '-')}.html"
