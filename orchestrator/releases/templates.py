"""Templates in recipes: `{port}`, `{color}`, `{api.url}`; `{{` and `}}` stand for braces.

Pure. The one rule: a word that is not known is refused, never left standing and never empty. There
is nothing else in a template, no formats and no conditions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.ports.trouble import Refused

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_.-]*)\}|[{}]")


def fill(text: str, words: Mapping[str, str], where: str) -> str:
    """The text with every word in its place. `Refused` names the word and `where` it stands."""

    def filled(piece: re.Match[str]) -> str:
        if piece[0] in ("{{", "}}"):
            return piece[0][0]
        word = piece[1]
        if word is None:
            raise Refused(f"{where}: a lone {piece[0]!r}; write {piece[0] * 2!r} for a brace")
        if word not in words:
            raise Refused(f"{where}: unknown word {{{word}}}; known: {', '.join(sorted(words))}")
        return words[word]

    return _PIECE.sub(filled, text)


def words_of(text: str) -> tuple[str, ...]:
    """The words that a template needs, in their order."""
    return tuple(piece[1] for piece in _PIECE.finditer(text) if piece[1] is not None)
