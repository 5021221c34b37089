"""AWS's published counts of requests: the fakes, the policies and the drafts keep to them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from controller.core.judge.criterion_judge import judge_of
from controller.core.policy import Metric, SuccessRate, Threshold
from controller.policy_file.loader import load, loads
from controller.tools.init.draft import policy_text
from controller.tools.simulation.world import World
from tests.support.core import Policy, Series
from tests.tools.init.test_policy_text import ALIAS, RULE, drafted
from tests.tools.simulation.service_model import hold_to_model
from tests.tools.simulation.worlds import HOUR, START, read, scenario

FACTS: Final[Mapping[str, Any]] = {
    name: YAML(typ="safe").load(Path(__file__).with_name(f"{name}.yaml"))
    for name in ("alb", "lambda")
}
SHIPPED: Final = {
    "alb": load(Path("policies/alb-weights.yaml")),
    "lambda": load(Path("policies/lambda-alias.yaml")),
}
TARGETS: Final = {"alb": RULE, "lambda": ALIAS}
REQUESTS: Final = [
    pytest.param(name, request, id=f"{name}: {request['ends'] or 'succeeded'}")
    for name, facts in FACTS.items()
    for request in facts["requests"]
]
SERVICES: Final = pytest.mark.parametrize("service", FACTS)


def policies(service: str) -> Iterator[Policy]:
    """Yield the shipped policy of a service, and the draft."""
    yield SHIPPED[service]
    yield loads(policy_text(drafted(target=TARGETS[service], days=1)), "draft.yaml")


def measured(service: str) -> Policy:
    """Return a policy that names each metric of the facts, by its finest dimensions."""
    facts, shipped = FACTS[service], SHIPPED[service]
    canary = shipped.metrics["requests"].dimensions
    metrics, criteria = {}, {}
    for name, published in facts["dimensions"]["of"].items():
        names = max(published, key=len)
        metric = {"namespace": facts["namespace"], "name": name, "statistic": "Sum"}
        metric["dimensions"] = {each: canary[each] for each in names}
        if "TargetGroup" not in names and "ExecutedVersion" not in names:
            metric["counts"] = "both"
        metrics[name] = metric
        criteria[name] = {
            "kind": "threshold", "judge": "threshold", "metric": name, "max": 1, "gates": False,
        }  # fmt: skip
    parts = {"metrics": metrics, "criteria": criteria, "steps": [{"weight": 100, "bake": "1h"}]}
    data = shipped.model_dump(mode="json", exclude_unset=True)
    policy = Policy.model_validate({**data, **parts})
    return policy.resolved(policy.target.rehearsed())


@pytest.mark.parametrize(("service", "request_"), REQUESTS)
def test_a_fake_counts_a_request_as_aws_does(service: str, request_: Mapping[str, Any]) -> None:
    policy, ends = measured(service), request_["ends"]
    canary = {"median_ms": 100, **({ends: "100%"} if ends else {})}
    played = scenario(canary=canary, function={"weight": 100})
    account = World.for_policy(policy, played, seed=1, start=START)
    account.interceptors.append(hold_to_model)
    account.clock.advance(timedelta(hours=2))
    counted = {name: _samples(account, metric) for name, metric in policy.metrics.items()}
    assert max(counted.values()) > 0
    assert counted == {
        name: max(counted.values()) if name in request_["counts"] else 0 for name in counted
    }


def _samples(account: World, metric: Metric) -> float:
    timed = metric.name in ("TargetResponseTime", "Duration")
    series = read(
        account, f"{metric.namespace}/{metric.name}", "SampleCount" if timed else "Sum",
        dimensions=metric.dimensions, end=START + HOUR,
    )  # fmt: skip
    return sum(series.values())


@pytest.mark.parametrize(("service", "request_"), REQUESTS)
def test_a_request_that_failed_is_seen_by_the_gates(
    service: str, request_: Mapping[str, Any]
) -> None:
    succeeded = FACTS[service]["requests"][0]["counts"]
    for policy in policies(service):
        counts: dict[str, float] = dict.fromkeys(succeeded, 900.0)
        for name in request_["counts"]:
            counts[name] = counts.get(name, 0.0) + 100
        breaching = {name for name, gates in _breaches(policy, counts) if gates}
        assert bool(breaching) is request_["failed"]


def _breaches(policy: Policy, counts: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
    """Yield each criterion on requests that a minute with these counts breaches; does it gate?"""
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, SuccessRate | Threshold):
            judge = judge_of(name, criterion, policy)
            series = {
                key: Series({0: counts.get(policy.metrics[metric].name, 0.0)})
                for metric, _, key in judge.series_keys
            }
            window = judge.measure(series, has_traffic=True)(0)
            if window is not None and window.breach:
                yield name, criterion.gating


@SERVICES
def test_a_policy_names_metrics_by_dimensions_that_aws_publishes(service: str) -> None:
    published = FACTS[service]["dimensions"]["of"]
    for policy in policies(service):
        assert {
            name: sorted(metric.dimensions)
            for name, metric in policy.metrics.items()
            if sorted(metric.dimensions) not in published[metric.name]
        } == {}


@SERVICES
def test_every_fact_names_its_page(service: str) -> None:
    facts = FACTS[service]
    assert facts["dimensions"]["page"] in facts["pages"]
    assert all(one["says"].keys() <= facts["pages"].keys() for one in facts["requests"])
