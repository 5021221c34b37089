"""The sources of an account that has metrics, and lists none; it has no alarms and no logs."""

from collections.abc import Iterable
from typing import NoReturn

from controller.core.observation import LogQuery
from controller.core.policy import Metric
from controller.ports.metrics import MetricListing


class OtherSources:
    """`AlarmSource`, `LogSource` and `MetricCatalogue`; no policy reads an alarm or a log here."""

    def states(self, alarms: Iterable[str]) -> NoReturn:
        raise AssertionError(f"there is no alarm: {[*alarms]}")

    def count(self, queries: Iterable[LogQuery]) -> NoReturn:
        raise AssertionError(f"there is no log: {[*queries]}")

    def similar(self, metric: Metric) -> MetricListing:
        return MetricListing(problem="no metrics can be listed from here")


OTHERS = OtherSources()
