"""Texts that come from hosts, as people may see them.

The one rule: nothing of a host is obeyed, by a terminal either: control characters are made
visible, and what is too long is cut. It refuses to know who said it.
"""

from __future__ import annotations

from collections.abc import Iterable

WORDS_MAX = 2000  # of a message; a log is bounded by whoever asks for it
NAMED_MAX = 10  # hosts that each get their sentence; the others are counted


def plain(text: str, most: int = WORDS_MAX) -> str:
    """One line, printable, at most so many letters."""
    return _visible(" ".join(text[: 4 * most].split()), most)


def lines(text: str, most: int) -> str:
    """The same with its line ends left."""
    return "\n".join(_visible(line, most) for line in text[-most:].split("\n"))


def together(whys: Iterable[str]) -> str:
    """What many hosts say, each thing once: what a thousand say nobody reads.

    `web1: no room`, said by `web2`, too, is `web1, web2: no room`.
    """
    said: dict[str, list[str]] = {}
    for why in dict.fromkeys(whys):
        host, colon, what = why.partition(": ")
        told = colon and " " not in host
        said.setdefault(what if told else why, []).extend([host] if told else [])
    each = [f"{_named(hosts)}: {what}" if hosts else what for what, hosts in said.items()]
    more = len(each) - NAMED_MAX
    return "; ".join(each[:NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")


def _named(hosts: list[str]) -> str:
    more = len(hosts) - NAMED_MAX
    return ", ".join(hosts[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _visible(text: str, most: int) -> str:
    safe = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text.rstrip("\r"))
    return safe if len(safe) <= most else f"{safe[: most - 1]}…"
