"""Dashboards, alarms and topics on the account, and the same as CloudFormation."""

from controller.adapters.monitoring.account import MonitoringAccount
from controller.adapters.monitoring.template import template

__all__ = ["MonitoringAccount", "template"]
