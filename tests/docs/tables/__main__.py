"""Writes the tables into the documents."""

import logging

import structlog

from tests.docs.tables import TABLES, renewed

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
for document in TABLES:
    document.write_text(renewed(document), encoding="utf-8")
