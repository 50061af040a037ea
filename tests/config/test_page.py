"""The reference page is what the code says."""

from __future__ import annotations

from orchestrator.config.schema import schema
from tests.config.page import PAGE, SECTIONS, page


def test_the_page_is_made_from_the_code_of_today() -> None:
    assert PAGE.read_text() == page(), "stale: python -m tests.config.page"


def test_the_page_has_every_section_of_the_file() -> None:
    assert {name for name, _ in SECTIONS if name} == set(schema()["$defs"])
