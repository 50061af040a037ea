"""What a target says, made fit for people: one line, printable, short, and without what should stay
secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LONGEST = 200
HIDDEN = "•••"
SHORTEST_SECRET = 4
"""Shorter values would blot out ordinary words."""

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


def one_line(text: str, longest: int = LONGEST) -> str:
    """No control or ANSI characters, no direction marks, no line breaks; at most `longest`
    characters.
    """
    words = " ".join(_ESCAPES.sub("", text).split())
    shown = "".join(c if c.isprintable() else "·" for c in words)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def without(text: str, values: Iterable[str]) -> str:
    """The text with these values blotted out, the longest first."""
    for value in sorted(set(values), key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    return text


def filled(template: str, words: Mapping[str, str]) -> str:
    """The template with its known words filled in. Braces around anything else (JSON) stay as they
    are.
    """
    return re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), template)
