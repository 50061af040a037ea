"""Whatever a site file holds, the answer is a site or its mistakes; nothing else is raised."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.config.document import read
from orchestrator.config.load import parse
from orchestrator.config.mistakes import BadSite, Mistakes
from orchestrator.config.schema import schema
from orchestrator.core.model import Site
from tests.config.json_schema import fits
from tests.config.refused import BASE
from tests.config.test_load import EXAMPLE

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
SOURCES = [EXAMPLE.read_text(), BASE]
PIECES = st.one_of(
    st.sampled_from("{}[]:?%@`#|'~ü0\"\n\t\x00\u2028"),
    st.sampled_from(["", "  ", "[[", "*a", "&a ", "- ", "---\n", "{a: b}", "-1", "9" * 20, "1.10"]),
    st.sampled_from(
        ["60", "true", "null", "!!int ", "<<: ", "<<: *a", "{port}", "{a", "none", "on"]
    ),
)
SCHEMA = schema()


def fuzzed(raw: bytes) -> Site | None:
    try:
        return parse(raw, file="bg.yaml", folder="/srv/shop", state_home="/var/state")
    except BadSite as bad:
        assert bad.mistakes
        assert all(mistake.what for mistake in bad.mistakes)
        return None


@FUZZ
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"site: \xed\xa0\x80")
@example(b"\x85: [\xef\xbb\xbf]")
@example(b'site: "\\ud800"')
def test_whatever_a_file_holds_the_answer_is_a_site_or_its_mistakes(raw: bytes) -> None:
    fuzzed(raw)


@FUZZ
@given(st.data())
def test_whatever_is_changed_in_a_file_the_answer_is_a_site_or_its_mistakes(data: Any) -> None:
    """And what is taken for a site has the shape that the schema describes."""
    text = data.draw(st.sampled_from(SOURCES))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.sampled_from([0, 1, 4, 12, 60]))
        text = text[:start] + data.draw(PIECES) + text[end:]
    if fuzzed(text.encode()):
        assert fits(read(text.encode(), Mistakes("bg.yaml")), SCHEMA)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "x", "{port}", "30s", "/", "none"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
)


@FUZZ
@given(st.data())
def test_whatever_stands_where_a_value_belongs_is_fitted_or_refused(data: Any) -> None:
    site = read(data.draw(st.sampled_from(SOURCES)).encode(), Mistakes("bg.yaml"))
    place: Any = site
    while True:
        key = data.draw(
            st.sampled_from(list(place) if isinstance(place, dict) else range(len(place)))
        )
        if (
            not (isinstance(place[key], dict | list) and place[key])
            or data.draw(st.integers(0, 3)) == 0
        ):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    if fuzzed(json.dumps(site).encode()):
        assert fits(read(json.dumps(site).encode(), Mistakes("bg.yaml")), SCHEMA)
