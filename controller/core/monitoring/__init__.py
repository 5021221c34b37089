"""What should watch a policy from outside: dashboard, alarms, topic; worked out from it alone."""

from controller.core.monitoring.changes import Action, Change, changes, refused, removals, tells
from controller.core.monitoring.parts import (
    CONFIRMED,
    PENDING,
    STEPS,
    TAG,
    Alarm,
    Bound,
    Dashboard,
    Found,
    Kind,
    Line,
    Moment,
    Monitoring,
    Widget,
    mark_of,
    name_of,
)
from controller.core.monitoring.wanted import wanted

__all__ = [
    "CONFIRMED",
    "PENDING",
    "STEPS",
    "TAG",
    "Action",
    "Alarm",
    "Bound",
    "Change",
    "Dashboard",
    "Found",
    "Kind",
    "Line",
    "Moment",
    "Monitoring",
    "Widget",
    "changes",
    "mark_of",
    "name_of",
    "refused",
    "removals",
    "tells",
    "wanted",
]
