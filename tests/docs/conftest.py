"""Debian's Chromium, as the tests of the report have it."""

from tests.reporting.html.conftest import chromium as chromium
