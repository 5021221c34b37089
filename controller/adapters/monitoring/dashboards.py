"""Dashboards on the account, which are the same in every region.

IAM: on the dashboard of a policy cloudwatch:GetDashboard, cloudwatch:ListTagsForResource,
cloudwatch:PutDashboard, cloudwatch:DeleteDashboards and, because it is made with a tag,
cloudwatch:TagResource.

It carries its tag in its text too: not every CloudWatch knows tags of dashboards.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from controller.adapters.aws import AWS_ERRORS
from controller.adapters.monitoring.refusals import failed, is_absent
from controller.adapters.monitoring.spelling import body, tags
from controller.adapters.monitoring.tagged import read_tags
from controller.adapters.permission import DASHBOARD, Job, Permission
from controller.core.monitoring import STEPS, Dashboard, Found, Kind, Monitoring, mark_of

_BOTH: Final = {Job.MONITORING, Job.DOCTOR}
IAM: Final = (
    Permission("cloudwatch:GetDashboard", DASHBOARD, _BOTH),
    Permission("cloudwatch:ListTagsForResource", DASHBOARD, _BOTH),
    Permission("cloudwatch:PutDashboard", DASHBOARD, {Job.MONITORING}),
    Permission("cloudwatch:TagResource", DASHBOARD, {Job.MONITORING}),
    Permission("cloudwatch:DeleteDashboards", DASHBOARD, {Job.MONITORING}),
)

_MARK: Final = re.compile(mark_of(r"([a-z0-9-]+)"))


class Dashboards:
    """The dashboard of one policy, with graphs of one region."""

    def __init__(self, client: Any, region: str) -> None:
        self._client = client
        self._region = region
        self._new = True

    def look(self, monitoring: Monitoring) -> Iterator[Found]:
        """Yield the dashboard if it is there, held against what it should be.

        Raises MonitoringError.
        """
        name = monitoring.dashboard.name
        self._new = True
        try:
            there = self._client.get_dashboard(DashboardName=name)
        except AWS_ERRORS as error:
            if is_absent(error):
                return
            raise failed(f"dashboard {name} could not be read", "GetDashboard", error) from error
        self._new = False
        marked = read_tags(self._client, there["DashboardArn"], f"dashboard {name}")
        drawn = _parsed(there["DashboardBody"])
        differs = _differing(monitoring.dashboard, drawn, self._region)
        owner = marked.policy or _owner(drawn)
        yield Found(Kind.DASHBOARD, name, owner, marked.stack, differs)

    def put(self, monitoring: Monitoring) -> list[str]:
        """Make the dashboard, or make it as it should be again; return what AWS warns of.

        Raises MonitoringError.
        """
        name = monitoring.dashboard.name
        drawn = json.dumps(body(monitoring.dashboard, self._region), ensure_ascii=False)
        tagged = {"Tags": tags(monitoring.policy)} if self._new and self._takes_tags() else {}
        try:
            answer = self._client.put_dashboard(DashboardName=name, DashboardBody=drawn, **tagged)
        except AWS_ERRORS as error:
            raise failed(f"dashboard {name} was not made", "PutDashboard", error) from error
        found = answer.get("DashboardValidationMessages", ())
        return [f"{one.get('DataPath', '')}: {one.get('Message', '')}" for one in found]

    def _takes_tags(self) -> bool:
        """Tell whether the installed boto3 knows that a dashboard can be tagged when it is made."""
        operation = self._client.meta.service_model.operation_model("PutDashboard")
        return "Tags" in operation.input_shape.members

    def delete(self, name: str) -> None:
        """Delete the dashboard; one that is gone already is no error. Raises MonitoringError."""
        try:
            self._client.delete_dashboards(DashboardNames=[name])
        except AWS_ERRORS as error:
            if not is_absent(error):
                raise failed(
                    f"dashboard {name} was not deleted", "DeleteDashboards", error
                ) from error


def _differing(dashboard: Dashboard, drawn: Any, region: str) -> tuple[str, ...]:
    """Return what is not drawn as it should be; only the steps, where the rollout has gone on."""
    if drawn == body(dashboard, region):
        return ()
    bare = body(replace(dashboard, moments=()), region)
    return (STEPS,) if _without_steps(drawn) == bare else ("its graphs",)


def _without_steps(drawn: Any) -> Any:
    """Return a page without what was drawn of a rollout."""
    if isinstance(drawn, Mapping):
        return {name: _without_steps(one) for name, one in drawn.items() if name != "vertical"}
    return [_without_steps(one) for one in drawn] if isinstance(drawn, list) else drawn


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _owner(drawn: Any) -> str:
    """Return the policy that a text on the dashboard names as its own; empty: none does."""
    for widget in _all(_of(drawn, "widgets")):
        if found := _MARK.search(str(_of(_of(widget, "properties"), "markdown"))):
            return str(found[1])
    return ""


def _of(part: Any, name: str) -> Any:
    """Return what a part of a page has as `name`; people may have written anything there."""
    return part.get(name, "") if isinstance(part, Mapping) else ""


def _all(parts: Any) -> list[Any]:
    return parts if isinstance(parts, list) else []
