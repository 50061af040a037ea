"""Which of the lines that bg needs an nginx configuration lacks.

The text is what `nginx -T` prints: every file, with its name. Includes are put where they are
included. The one rule: what the user added is his. A `server` of an upstream may go on with words
of his own, a `listen` name an address, a location have another path; a line counts as missing only
where bg would not work with what is there. Pure: text in, lines out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import dirname, join

from orchestrator.adapters.nginx.fragment import Block, blocks
from orchestrator.core.model import ProxySpec, Site

Words = tuple[str, ...]

_FILE = re.compile(r"^# configuration file (/.+):$", re.MULTILINE)
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<end>[;{}])
      | "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)'
      | (?P<word>(?:\\.|\$\{[^}]*\}|[^\s;{}])+)""",
    re.VERBOSE | re.DOTALL,
)
_DEEP = 20  # how far files include each other


@dataclass(slots=True)
class There:
    """One directive of the user's, with what is in it."""

    words: Words
    body: list[There] = field(default_factory=list)


def missing(text: str, site: Site, spec: ProxySpec) -> tuple[str, ...]:
    """Each as `block: line`, in the order of the fragment; empty: nothing is missing."""
    found = _read(text, spec.config)
    return tuple(line for block in blocks(site, spec) for line in _lacking(block, found))


def sizes(site: Site, spec: ProxySpec) -> dict[str, int]:
    """How many lines each block has."""
    return {_name(block): len(_lines(block)) for block in blocks(site, spec) if block.head}


def _name(block: Block) -> str:
    return block.label or block.head


def _lacking(block: Block, there: list[There]) -> list[str]:
    """What is nowhere; of a block that there are several of, of the best of them."""
    if not block.head:
        everything = list(_all(there))
        return [line for line in _lines(block) if not any(_does(one, line) for one in everything)]
    places = [one for one in _all(there) if _is_such(one, block)]
    best = min((_not_in(block, place.body) for place in places), key=len, default=_lines(block))
    return [f"{_name(block)}: {line}" for line in best]


def _is_such(one: There, block: Block) -> bool:
    """A server is known by what it listens at, or by what is in it."""
    head = words_of(block.head)
    if head[0] == "location" and "=" not in head:
        return one.words[:1] == ("location",)
    if head != ("server",) or one.words != head:
        return one.words == head
    listens = [line for line in block.body if isinstance(line, str) and line.startswith("listen")]
    return block.anywhere or any(_does(inner, line) for line in listens for inner in one.body)


def _not_in(block: Block, body: list[There]) -> list[str]:
    """In order where the first that matches counts; else wherever they stand."""
    ordered = block.head.startswith("map ")
    lacking, at = [], 0
    for line in block.body:
        if isinstance(line, Block):
            places = [one for one in _all(body) if _is_such(one, line)]
            best = min((_not_in(line, one.body) for one in places), key=len, default=_lines(line))
            lacking += best
            continue
        begin = at if ordered else 0
        where = next((i for i in range(begin, len(body)) if _does(body[i], line)), None)
        if where is None:
            lacking.append(line)
        elif not line.startswith("default "):
            at = where + 1
    return lacking


def _lines(block: Block) -> list[str]:
    found: list[str] = []
    for line in block.body:
        found += _lines(line) if isinstance(line, Block) else [line]
    return found


def _does(one: There, line: str) -> bool:
    wanted = words_of(line)
    match wanted:
        case ("listen", address, *more):
            same = _port(one.words[1:2]) == _port((address,)) or one.words[1:2] == (address,)
            return one.words[:1] == ("listen",) and same and set(more) <= set(one.words)
        case ("server", address):
            return one.words[:2] == ("server", address)
        case _:
            return one.words == wanted


def _port(address: Words) -> str:
    return address[0].rpartition(":")[2] if address else ""


# -- Reading -------------------------------------------------------------------------------


def _read(text: str, config: str) -> list[There]:
    """The directives of the first file, with those of the files that it includes."""
    parts = _FILE.split(text)
    files = dict(zip(parts[1::2], map(_tree, parts[2::2]), strict=True))
    first = next(iter(files.values()), None)
    if first is None:
        return _tree(text)
    return _with_includes(first, files, dirname(config), _DEEP)


def _with_includes(
    body: Iterable[There], files: dict[str, list[There]], folder: str, deep: int
) -> list[There]:
    found: list[There] = []
    for one in body:
        inside = _with_includes(one.body, files, folder, deep)
        found.append(There(one.words, inside))
        if one.words[:1] == ("include",) and len(one.words) == 2 and deep:
            pattern = join(folder, one.words[1])
            for path in sorted(name for name in files if fnmatchcase(name, pattern)):
                found += _with_includes(files[path], files, folder, deep - 1)
    return found


def _tree(text: str) -> list[There]:
    top: list[There] = []
    open_, words = [top], []
    for kind, word in _tokens(text):
        if kind == "word":
            words.append(word)
            continue
        if words:
            open_[-1].append(There(tuple(words)))
            words = []
        if word == "{" and open_[-1]:
            open_.append(open_[-1][-1].body)
        elif word == "}" and len(open_) > 1:
            open_.pop()
    return top


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind == "end":
            yield "end", found[0]
        elif kind is not None:
            yield "word", found[kind]


def words_of(line: str) -> Words:
    return tuple(word for kind, word in _tokens(line) if kind == "word")


def _all(there: Iterable[There]) -> Iterator[There]:
    for one in there:
        yield one
        yield from _all(one.body)
