"""What the checks of a start ask of CloudWatch: one read of all metrics, lists where data lack."""

from collections import Counter
from pathlib import Path
from typing import Any

from controller.operations.checks import CheckLevel
from controller.operations.start import check_start
from tests.support.stage import METRICS, SHORT_POLICY, open_stage, short_policy
from tests.tools.simulation.worlds import POLICY

LIST = ("cloudwatch", "ListMetrics")


def test_metrics_are_read_at_once_and_listed_once_for_each_name_without_data(
    tmp_path: Path,
) -> None:
    named = {**SHORT_POLICY["metrics"], "again": SHORT_POLICY["metrics"]["requests"]}
    traffic = {"kind": "traffic", "judge": "threshold", "metric": "again", "window": "1m"}
    policy = short_policy(metrics=named, criteria={**SHORT_POLICY["criteria"], "busy": traffic})
    with open_stage(tmp_path, policy=policy) as stage:
        listed, queries = Counter[str](), list[int]()

        def count(service: str, operation: str, request: Any, proceed: Any) -> Any:
            if (service, operation) == LIST:
                listed[request["MetricName"]] += 1
            if (service, operation) == METRICS:
                queries.append(len(request["MetricDataQueries"]))
            return proceed()

        stage.world.interceptors.append(count)
        check_start(stage.runner, stage.policy)
    assert listed == {"Count": 1, "4XXError": 1, "5XXError": 1}
    # Environments, a day, whose requests they are, and what fails already. At 0% none is late.
    assert len(queries) == 4


def test_a_metric_with_data_is_not_listed(tmp_path: Path) -> None:
    duration = {**POLICY["metrics"]["direct"], "counts": "stable"}
    quick = {"kind": "threshold", "judge": "threshold", "metric": "duration", "max": 5_000}
    criteria = {"quick": {**quick, "window": "1m", "failure_limit": 1}}
    policy = short_policy(metrics={"duration": duration}, criteria=criteria)
    with open_stage(tmp_path, policy=policy) as stage:
        checks = check_start(stage.runner, stage.policy).checks
        assert [check.level for check in checks if check.what == "metric duration"] == [
            CheckLevel.OK
        ]
        assert stage.world.calls[LIST] == 0
