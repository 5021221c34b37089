"""Contract suites are shared by the tests of several adapters; their asserts explain themselves."""

import pytest

pytest.register_assert_rewrite(
    "tests.adapters.alarms_contract",
    "tests.adapters.logs_contract",
    "tests.adapters.metrics_contract",
    "tests.adapters.store_contract",
    "tests.adapters.target_contract",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the promises in a suite's CANNOT to be broken, and to stay so: `-rx` lists them."""
    for item in items:
        gaps = getattr(getattr(item, "cls", None), "CANNOT", {})
        reason = gaps.get(getattr(item, "originalname", item.name))
        if reason:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
