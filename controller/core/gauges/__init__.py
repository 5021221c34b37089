"""What the metrics of a policy show now, each beside what its criteria expect. Pure."""

from controller.core.gauges.asked import MINUTES, Shown, shown_of, span_of
from controller.core.gauges.read import Gauge, Standing, Unit, gauges

__all__ = ["MINUTES", "Gauge", "Shown", "Standing", "Unit", "gauges", "shown_of", "span_of"]
