"""Taking secrets out of text that goes to people: log lines, notes, what a program said last.

A `Redactor` knows the values that were resolved in this process, under their names, and takes them
out in the forms in which they usually turn up. What nobody told it of it still finds by the key
before it (`PASSWORD=…`, `"token": "…"`), as a bearer token, and as the password in a URL.

The one rule: better one word too many. It knows nothing of where secrets come from, and it cannot
help where a program writes them into files of its own.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

SHORTEST = 4  # taking out shorter values would garble every text, and hide nothing

_WORDS = "password|passwd|passphrase|token|secret|credential|[_-]key|apikey"
# All that may repeat is bounded or ends at once: a hostile text must not make this slow.
_BY_KEY = re.compile(
    rf"""({_WORDS})([\w.-]{{0,64}}["']?\s{{0,8}}[=:]\s{{0,8}})("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;&]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_IN_URL = re.compile(r"(://[^\s/:@]*):[^\s/@]+@")
_SECRET_NAME = re.compile(rf"{_WORDS}|^key$", re.IGNORECASE)


class Redactor:
    """Knows secrets, and takes them out of texts. Growing; never forgets."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def learn(self, name: str, value: str) -> None:
        """From now on this value reads `‹name›`."""
        for form in _forms(value):
            if len(form) >= SHORTEST and form not in self._marks:
                self._marks[form] = f"‹{name}›"
                self._pattern = None

    def clean(self, text: str) -> str:
        if self._marks:
            text = self._known().sub(lambda found: self._marks[found[0]], text)
        text = _BY_KEY.sub(r"\1\2‹hidden›", text)
        text = _BEARER.sub(r"\1 ‹hidden›", text)
        return _IN_URL.sub(r"\1:‹hidden›@", text)

    def _known(self) -> re.Pattern[str]:
        if self._pattern is None:
            longest_first = sorted(self._marks, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern


def sounds_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, by its name."""
    return _SECRET_NAME.search(name) is not None


def _forms(value: str) -> set[str]:
    """The value as it is, as it stands in a URL, in JSON, in Python, and its longer lines."""
    plain = value.encode("utf-8", "replace").decode()
    forms = {value, quote(plain, safe=""), quote_plus(plain), json.dumps(value)[1:-1]}
    forms |= {repr(value)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
    return forms | {line for line in value.splitlines() if len(line) >= 2 * SHORTEST}
