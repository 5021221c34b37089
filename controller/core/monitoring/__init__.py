"""What should watch a policy from outside: dashboard, alarms, topic; worked out from it alone."""

from controller.core.monitoring.parts import (
    TAG,
    Alarm,
    Bound,
    Change,
    Dashboard,
    Deployed,
    Line,
    Moment,
    Monitoring,
    Subscription,
    Widget,
    name_of,
)
from controller.core.monitoring.wanted import wanted

__all__ = [
    "TAG",
    "Alarm",
    "Bound",
    "Change",
    "Dashboard",
    "Deployed",
    "Line",
    "Moment",
    "Monitoring",
    "Subscription",
    "Widget",
    "name_of",
    "wanted",
]
