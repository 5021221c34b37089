import pytest
from structlog.testing import capture_logs

from controller.adapters.notifiers.log import LogNotifier
from controller.core.decision import Notice, Severity
from tests.support.rollouts import a_rollout


@pytest.mark.parametrize("severity", list(Severity))
def test_a_notice_is_one_event_at_a_level_of_its_severity(severity: Severity) -> None:
    with capture_logs() as logs:
        LogNotifier().notify(a_rollout(), Notice(severity, "10 % is in force."))
    assert logs == [
        {
            "event": "notice_sent",
            "log_level": str(severity),
            "rollout": "checkout#1",
            "severity": str(severity),
            "notice": "10 % is in force.",
        }
    ]
