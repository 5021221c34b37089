"""Writes the tables into docs/policy.md."""

import logging

import structlog

from tests.tables import DOCUMENT, renewed

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
