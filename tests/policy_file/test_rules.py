"""The rules of a store: which text is one, and what in a policy breaks them, at which place."""

from pathlib import Path
from typing import Any, get_args

import pytest

from controller.core.policy import Policy
from controller.errors import PolicyError, StoreError
from controller.policy_file.loader import loads
from controller.policy_file.rules import MAX_BYTES, Act, Rules, flaws_of, load_rules, stored_rules
from controller.policy_file.template import shipped_names, shipped_text
from controller.testing import installed
from tests.support.cases import cases

HEAD = 'version: 1\nowner: "platform team, #releases"\n'
POLICY = """\
version: 1
name: shop
target: {kind: lambda-env, function: shop, percentage: PERCENTAGE}
metrics:
  requests: {namespace: Shop, name: Requests, statistic: Sum}
  failures: {namespace: Shop, name: Failures, statistic: Sum}
  slow: {namespace: Shop, name: Duration, statistic: p95, unit: ms}
  stable_slow: {namespace: Shop, name: Duration, statistic: p95, unit: ms, dimensions: {Path: old}}
criteria:
  success: {kind: success_rate, total: requests, failures: [failures], min: 99.5%}
  latency:
    {kind: latency_increase, metric: slow, max_increase: 10%, baseline: {concurrent: stable_slow}}
  traffic: {kind: traffic, metric: requests, gates: false}
  look: {kind: attestation, statement: It was tried.}
steps:
  - {weight: 10, bake: 30m, criteria: [success, latency]}
  - {weight: 60, bake: 1h, criteria: [success, latency, look]}
  - {weight: 100, bake: 2h, criteria: [success, traffic]}
"""


def broken(rules: str, policy: str = POLICY) -> list[str]:
    """Return what in a policy breaks rules, a line each."""
    flaws = flaws_of(stored_rules(HEAD + rules), loads(policy, "shop.yaml"))
    return [flaw.text for flaw in flaws]


@cases("rules, kept", {
    "no rule": ("", True),
    "a bake as long as the shortest": ("min_bake: 30m", True),
    "a bake that is longer than the shortest": ("min_bake: 31m", False),
    "all bakes together": ("min_total_bake: 210m", True),
    "all bakes together, too short": ("min_total_bake: 4h", False),
    "the first weight": ("max_first_weight: 10", True),
    "the first weight, too large": ("max_first_weight: 9", False),
    "the largest raise": ("max_raise: 50", True),
    "a raise that is too large": ("max_raise: 49", False),
    "a channel": ("notify: required", False),
    "a kind of target": ("targets: [lambda-alias, lambda-env]", True),
    "another kind of target": ("targets: [lambda-alias]", False),
    "no target at all": ("targets: []", False),
    "a success rate": ("criteria: [{kind: success_rate}]", True),
    "a success rate as strict": ("criteria: [{kind: success_rate, min: 99.5%}]", True),
    "a success rate less strict": ("criteria: [{kind: success_rate, min: 99%}]", True),
    "a success rate that is stricter": ("criteria: [{kind: success_rate, min: 99.6%}]", False),
    "a latency, which compares with nothing at 100%":
        ("criteria: [{kind: latency_increase, max_increase: 10%}]", True),
    "a latency that is stricter": ("criteria: [{kind: latency_increase, max_increase: 5%}]", False),
    "a kind that only reports": ("criteria: [{kind: traffic}]", False),
    "a kind that gates one step": ("criteria: [{kind: attestation}]", False),
    "a kind that is not there": ("criteria: [{kind: burn_rate, slo: 99.9%}]", False),
    "forbidden acts are no part of a policy": ("forbid: [fix, promote]", True),
})  # fmt: skip
def test_a_policy_keeps_a_rule_or_breaks_it(rules: str, kept: bool) -> None:
    assert bool(broken(rules)) is not kept


@cases("rules, lines", {
    "each step that is too short": ("min_bake: 2h", [
        "steps[0].bake: must be at least 2h, not 30m (rule min_bake)",
        "steps[1].bake: must be at least 2h, not 1h (rule min_bake)",
    ]),
    "the raise": ("max_raise: 45", [
        "steps[1].weight: adds 50%, and at most 45 is allowed (rule max_raise)",
    ]),
    "the first raise, too": ("max_raise: 5", [
        "steps[0].weight: adds 10%, and at most 5 is allowed (rule max_raise)",
        "steps[1].weight: adds 50%, and at most 5 is allowed (rule max_raise)",
        "steps[2].weight: adds 40%, and at most 5 is allowed (rule max_raise)",
    ]),
    "the bound": ("criteria: [{kind: alarm}, {kind: success_rate, min: 99.9%}]", [
        "criteria: must have a criterion alarm (rule criteria[0])",
        "criteria.success.min: must be at least 99.9%, not 99.5% (rule criteria[1])",
    ]),
    "the steps that a criterion does not gate": ("criteria: [{kind: attestation}]", [
        "steps[0].criteria: must name look: attestation (rule criteria[0])",
        "steps[2].criteria: must name look: attestation (rule criteria[0])",
    ]),
    "a criterion that does not gate": ("criteria: [{kind: traffic}]", [
        "criteria.traffic.gates: must not be false (rule criteria[0])",
    ]),
})  # fmt: skip
def test_what_breaks_a_rule_is_named_with_the_rule(rules: str, lines: list[str]) -> None:
    assert broken(rules) == lines


def test_only_a_step_at_100_percent_needs_no_comparison_of_both_paths() -> None:
    rules = "criteria: [{kind: latency_increase}]"
    not_at_60 = POLICY.replace("[success, latency, look]", "[success, look]")
    assert broken(rules, not_at_60) == [
        "steps[1].criteria: must name latency: latency_increase (rule criteria[0])"
    ]
    stable = next(line for line in POLICY.splitlines() if "stable_slow:" in line)
    fixed = POLICY.replace(f"{stable}\n", "").replace("{concurrent: stable_slow}", "{fixed: 200}")
    assert broken(rules, fixed) == [
        "steps[2].criteria: must name latency: latency_increase (rule criteria[0])"
    ]


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_policy_can_be_held_to_rules(name: str) -> None:
    policy = loads(shipped_text(name), name)
    loose = "min_bake: 1m\nmin_total_bake: 1m\nmax_raise: 100\n"
    strict = "min_bake: 14d\ncriteria: [{kind: success_rate, min: 100%}]\n"
    assert not flaws_of(stored_rules(HEAD + loose), policy)
    assert len(flaws_of(stored_rules(HEAD + strict), policy)) > len(policy.steps)


def test_a_field_has_the_line_of_the_file_or_of_the_template_that_it_is_from(
    tmp_path: Path,
) -> None:
    (tmp_path / "base.yaml").write_text(POLICY)
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nextends: base.yaml\nsteps:\n  - {weight: 100, bake: 1h}\n")
    policy = Policy.model_validate({**loads(POLICY, "x").model_dump(exclude_none=True)})
    policy = policy.model_copy(update={"steps": policy.steps[2:]})
    rules = stored_rules(f"{HEAD}max_raise: 50\ncriteria: [{{kind: success_rate, min: 99.9%}}]\n")
    assert [(Path(one.file).name, one.line, one.path) for one in flaws_of(rules, policy, mine)] == [
        ("mine.yaml", 4, "steps[0].weight"),
        ("base.yaml", 10, "criteria.success.min"),
    ]


RETRIED = POLICY.replace(
    "  look:", "  retries: {kind: retried, retries: failures, total: requests, max: 5%}\n  look:"
).replace("criteria: [success,", "criteria: [success, retries,")


@cases("rule, lines", {
    "any": ("{kind: retried}", []),
    "as strict": ("{kind: retried, max: 5%}", []),
    "stricter": ("{kind: retried, max: 4%}", [
        "criteria.retries.max: must be at most 4%, not 5% (rule criteria[0])",
    ]),
})  # fmt: skip
def test_a_kind_of_another_package_is_bounded_by_its_share(rule: str, lines: list[str]) -> None:
    with installed("rolloutctl.criteria", {"retried": "tests.support.retried:Retried"}):
        assert broken(f"criteria: [{rule}]\n", RETRIED) == lines


# --- the text -------------------------------------------------------------------------------------


def problems(folder: Path, text: str) -> list[str]:
    """Return the mistakes in a file of rules, without the name of the file."""
    path = folder / "rules.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_rules(path)
    return [str(one).removeprefix(f"{path}:") for one in caught.value.flaws]


@cases("rules, problem", {
    "an unknown rule": ("forbids: [fix]", "3:1: forbids: unknown key; did you mean 'forbid'?"),
    "an unknown act": ("forbid: [fixes]", "3:10: forbid[0]: expected 'fix', 'despite', 'adopt'"),
    "the same rule twice": ("max_raise: 5\nmax_raise: 6", "4:1: max_raise: "),
    "a number for a time": ("min_bake: 30", "3:11: min_bake: expected a number and a unit"),
    "a weight with its sign": ("max_raise: 50%", "3:12: max_raise: expected a whole number: 50"),
    "true for a weight": ("max_raise: true", "3:12: max_raise: expected a whole number"),
    "a mistyped kind of criterion":
        ("criteria: [{kind: alarms}]", "3:19: criteria[0].kind: no kind of criterion is called"),
    "a mistyped kind of target":
        ("targets: [lambda]", "3:11: targets[0]: no kind of target is called 'lambda'"),
    "the bound of another kind":
        ("criteria: [{kind: success_rate, slo: 1%}]", "3:12: criteria[0]: `slo` is no bound of"),
    "a bound that is no percent":
        ("criteria: [{kind: traffic, min: 1%}]", "3:12: criteria[0]: `min` is no bound of traffic"),
    "a bound without its sign":
        ("criteria: [{kind: success_rate, min: 99.9}]", "3:38: criteria[0].min: expected a"),
    "a text that is no line": ('notify: "\\e[2J"', "3:9: notify: U+001B is not printable"),
})  # fmt: skip
def test_a_mistake_has_its_line(tmp_path: Path, rules: str, problem: str) -> None:
    (only,) = problems(tmp_path, HEAD + rules)
    assert only.startswith(problem)


def test_rules_name_whom_to_ask_and_have_a_version(tmp_path: Path) -> None:
    lines = problems(tmp_path, "min_bake: 1h\n")
    assert [line.partition(": ")[2].partition(";")[0] for line in lines] == [
        "version: is required",
        "owner: is required",
    ]
    assert problems(tmp_path, "version: 2\nowner: x\n") == ["1:10: version: expected 1, not 2"]


def test_the_rules_on_the_page_are_rules_and_name_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
    (example,) = [one for one in page.split("```") if "# rules.yaml" in one]
    rules = stored_rules(example.removeprefix("yaml\n"))
    assert rules.model_fields_set == Rules.model_fields.keys()
    assert set(rules.forbid) == set(get_args(Act))


@cases("text", {
    "nothing": "",
    "a policy": POLICY,
    "a rule that this version does not know": f"{HEAD}max_steps: 3",
    "a later version": HEAD.replace("1", "2"),
    "half a character": f"{HEAD}# \ud83d",
    "a tag": "!!python/object:os.system {}",
    "more than is ever written": HEAD + "#" * MAX_BYTES,
    "nested without end": "[" * 100_000,
})  # fmt: skip
def test_a_stored_text_that_is_no_rules_is_an_error_and_not_no_rules(text: str) -> None:
    with pytest.raises(StoreError, match=r"rules .* cannot be read, so nothing is started: "):
        stored_rules(text)


def test_stored_rules_may_name_kinds_of_a_package_that_is_not_installed_here(
    tmp_path: Path,
) -> None:
    text = f"{HEAD}targets: [fleet]\ncriteria: [{{kind: queue_age}}]\n"
    assert problems(tmp_path, text)
    lines: list[Any] = broken("targets: [fleet]\ncriteria: [{kind: queue_age}]\n")
    assert len(lines) == 2
