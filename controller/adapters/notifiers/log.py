"""Notices as log events."""

from controller.core.decision import Notice, Severity
from controller.core.rollout import Rollout
from controller.process import logging

log = logging.logger()


class LogNotifier:
    """`Notifier` that logs each notice as `notice_sent`, at the level of its severity."""

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Write `notice` to the log; never raises."""
        write = {
            Severity.INFO: log.info,
            Severity.WARNING: log.warning,
            Severity.CRITICAL: log.critical,
        }[notice.severity]
        write("notice_sent", rollout=rollout.id, severity=str(notice.severity), notice=notice.text)
