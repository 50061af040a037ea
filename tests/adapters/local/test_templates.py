"""Templates: every word in its place, and no word that nobody knows."""

from __future__ import annotations

import pytest

from orchestrator.ports.trouble import Refused
from orchestrator.releases.templates import fill, words_of

WORDS = {"port": "8110", "color": "blue", "api.url": "http://127.0.0.1:19000"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{port}", "8110"),
        ("--port={port} {color}", "--port=8110 blue"),
        ("{api.url}/v1", "http://127.0.0.1:19000/v1"),
        ('{{"port": {port}}}', '{"port": 8110}'),
        ("{{port}}", "{port}"),
        ("{{{port}}}", "{8110}"),
        ("", ""),
        ("nothing at all", "nothing at all"),
    ],
)
def test_words_are_filled_in_and_double_braces_are_braces(text: str, filled: str) -> None:
    assert fill(text, WORDS, "web") == filled


@pytest.mark.parametrize("text", ["{prot}", "{}", "{db.url}", "{PORT}", "a {port} and {nobody}"])
def test_an_unknown_word_is_refused_by_name_and_place(text: str) -> None:
    with pytest.raises(
        Refused, match=r"web, run: unknown word \{.*\}; known: api.url, color, port"
    ):
        fill(text, WORDS, "web, run")


@pytest.mark.parametrize("text", ["{", "}", "{port", "port}", "{port!r}", "{port:>9}", "{a b}"])
def test_a_lone_brace_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(Refused, match=r"'\{\{'|'\}\}'"):
        fill(text, WORDS, "web")


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "x"}, "web") == "{b}"


def test_the_words_of_a_text_are_told_in_order() -> None:
    assert words_of("{{no}} {port} {api.url} {port}") == ("port", "api.url", "port")
