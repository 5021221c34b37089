"""Contract suites are shared by the tests of several adapters; their asserts explain themselves."""

import pytest

pytest.register_assert_rewrite("tests.adapters.store_contract")
