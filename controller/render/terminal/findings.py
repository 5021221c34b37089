"""The findings of a gate as a table for a terminal. Needs rich."""

from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.core.judge.criteria_table import bound_text, measured_text
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.sentences import sentence_of
from controller.core.rollout import Rollout
from controller.render.terminal.plain import plain

_VERDICTS: Final = {
    Verdict.PASS: Text("pass", "green"),
    Verdict.FAIL: Text("FAIL", "bold red"),
    Verdict.INCONCLUSIVE: Text("open", "yellow"),
}
_LONG_NAME = 24  # a longer name gets a line of its own


def findings_view(rollout: Rollout) -> RenderableType:
    """Return a row per finding, and the sentences of those that need attention."""
    has_long_name = max(len(one.criterion) for one in rollout.evidence.findings) > _LONG_NAME
    table = _stacked(rollout) if has_long_name else _side_by_side(rollout)
    findings = [one for one in rollout.evidence.findings if _needs_attention(one, rollout)]
    return Group(table, *(Padding(_sentence(one), (1, 0, 0, 0)) for one in findings))


def _side_by_side(rollout: Rollout) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("criterion", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("bound", overflow="fold")
    table.add_column("evidence", overflow="fold")
    for finding in rollout.evidence.findings:
        table.add_row(
            _VERDICTS[finding.verdict],
            plain(finding.criterion),
            plain(measured_text(finding, rollout.policy)),
            plain(bound_text(finding, rollout.policy)),
            _label_text(finding),
        )
    return table


def _stacked(rollout: Rollout) -> RenderableType:
    """Return two lines per criterion: after a long name there is no room for values."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in rollout.evidence.findings:
        measured = measured_text(finding, rollout.policy)
        figures = f"{measured}, bound {bound_text(finding, rollout.policy)}, {_label_text(finding)}"
        table.add_row(_VERDICTS[finding.verdict], plain(finding.criterion))
        table.add_row("", plain(figures, "dim"))
    return table


def _label_text(finding: Finding) -> str:
    """Return the evidence label, marked when the criterion only reports."""
    return finding.label_text if finding.gates else f"{finding.label_text} (report)"


def _needs_attention(finding: Finding, rollout: Rollout) -> bool:
    """Tell whether the sentence of `finding` explains a failure or a wait, and is not shown yet."""
    already_clear = finding.verdict is Verdict.PASS or finding.label is Label.NOT_JUDGED
    already_clear |= not finding.gates and finding.verdict is Verdict.INCONCLUSIVE  # blocks nothing
    return not already_clear and sentence_of(finding) not in rollout.sentence


def _sentence(finding: Finding) -> Text:
    return plain(sentence_of(finding), "red" if finding.verdict is Verdict.FAIL else "yellow")
