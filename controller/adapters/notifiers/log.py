"""Notices as log events, for collectors and for people who read the log."""

from controller.core.decision import Notice, Severity
from controller.core.rollout import Rollout
from controller.process import logging

log = logging.logger()


class LogNotifier:
    """`Notifier` on the log: event `notice_sent`, at a level that fits the severity."""

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Write `notice` to the log; never raises."""
        write = {
            Severity.INFO: log.info,
            Severity.WARNING: log.warning,
            Severity.CRITICAL: log.critical,
        }[notice.severity]
        write("notice_sent", rollout=rollout.id, severity=str(notice.severity), notice=notice.text)
