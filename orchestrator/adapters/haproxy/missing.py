"""Which of the lines that bg needs a haproxy.cfg lacks.

The one rule: what the user added is his. A `server` may go on with words of his own, a `bind` may
name an address, a socket other options; a line counts as missing only where bg would not work with
what is there. Pure: text in, lines out.
"""

from __future__ import annotations

import shlex

from orchestrator.adapters.haproxy.fragment import Section, sections
from orchestrator.core.model import ProxySpec, Site

_SECTIONS = (
    *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist"),
    *("mailers", "program", "cache", "ring", "http-errors", "fcgi-app", "log-forward", "crt-store"),
)

Words = tuple[str, ...]


def missing(cfg_text: str, site: Site, spec: ProxySpec) -> tuple[str, ...]:
    """Each as `section: line`, in the order of the fragment; empty: nothing is missing."""
    there = _read(cfg_text)
    lacking = []
    for section in sections(site, spec):
        lines = _lacking(section, there)
        lacking += [f"{section.head}: {line}" for line in lines]
    return tuple(lacking)


def sizes(site: Site, spec: ProxySpec) -> dict[str, int]:
    """How many lines each section has."""
    return {section.head: len(section.lines) for section in sections(site, spec)}


def _lacking(section: Section, there: list[tuple[Words, list[Words]]]) -> tuple[str, ...]:
    """The lines of it that are nowhere; of a section that may be anywhere, of the best place."""
    wanted = _words(section.head)
    places = [
        lines
        for head, lines in there
        if (head[0] in ("frontend", "listen") if section.anywhere else head == wanted)
    ]
    if not section.anywhere:
        places = [[line for lines in places for line in lines]]
    found = [_not_in(section, lines) for lines in places] or [section.lines]
    return min(found, key=len)


def _not_in(section: Section, lines: list[Words]) -> tuple[str, ...]:
    """In order where order decides; else wherever they stand."""
    lacking, at = [], 0
    for line in section.lines:
        wanted = _words(line)
        begin = at if section.anywhere else 0
        where = next((i for i in range(begin, len(lines)) if _does(lines[i], wanted)), None)
        if where is None:
            lacking.append(line)
        else:
            at = where + 1
    return tuple(lacking)


def _does(line: Words, wanted: Words) -> bool:
    match wanted:
        case ("bind", address):
            port = address.rpartition(":")[2]
            return line[:1] == ("bind",) and any(
                one.rpartition(":")[2] == port for one in ",".join(line[1:2]).split(",")
            )
        case ("stats", "socket", path, *_):
            same = line[:2] == ("stats", "socket") and line[2:3] in ((path,), (f"unix@{path}",))
            return same and " level admin" in " ".join(line)
        case ("server", _, address):
            return line[:1] == ("server",) and line[2:3] == (address,)
        case ("retries", _) | ("option", "redispatch", *_):
            return line[: len(wanted) - 1] == wanted[:-1]
        case _:
            return line == wanted


def _read(text: str) -> list[tuple[Words, list[Words]]]:
    found: list[tuple[Words, list[Words]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = _words(line)
        if words and words[0] in _SECTIONS:
            found.append((_head(words), []))
        elif words and found:
            found[-1][1].append(words)
    return found


def _head(words: Words) -> Words:
    """`backend x from y` is the backend x."""
    return words[:2] if words[0] != "global" else words[:1]


def _words(line: str) -> Words:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        return tuple(lexer)
    except ValueError:
        return tuple(line.split())
