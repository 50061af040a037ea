"""What is written on: how wide it is, whether it bears color, and which zone its clocks show.

Every picture is drawn by a pure function that is given a `Paper` and returns text. Nothing here
asks the terminal, but for `paper_for`. Color only repeats what the words say already: without it
nothing is lost. Colors are those of the terminal's own palette, without brightness or background,
so they can be read on a light one, too.
"""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from enum import Enum
from typing import TextIO

WHOLE = re.compile(r"`[^`]*`|\d (?:ms|s|min|h|d)\b")  # is not broken over two lines
FIRST_WORD = re.compile(r"([a-z]+)(?:[,;:.]? (?! )|[,;:.]?$)")
KILLED = re.compile(r"(was ended by SIG(?:KILL|TERM) after [\d.]+ \w+); last words: .*?(?=\)|$)")
SAID_MAX = 300  # of what others said; all of it is in `history` and `-o json`
HARD_SPACE = "\xa0"
WIDTH = 80
WIDTH_MIN, WIDTH_MAX = 40, 100  # longer lines are hard to read, however wide the terminal is


class Ink(Enum):
    """What a color stands for. The value is the number of an ANSI attribute."""

    GOOD = "32"
    BAD = "31"
    CARE = "35"  # magenta: yellow cannot be read on white
    FAINT = "2"
    STRONG = "1"
    BLUE = "34"


@dataclass(frozen=True, slots=True)
class Paper:
    width: int = WIDTH
    color: bool = False
    zone: tzinfo | None = None  # None: the machine's own
    height: int | None = None  # lines there are room for; None: as many as it takes

    def ink(self, ink: Ink, text: str) -> str:
        return f"\x1b[{ink.value}m{text}\x1b[0m" if self.color and text else text

    def wrapped(self, text: str, *, first: str = "", later: str | None = None) -> list[str]:
        """The text as lines that fit; the first begins with `first`, the others with `later`."""
        lines = textwrap.wrap(
            WHOLE.sub(lambda found: found.group().replace(" ", HARD_SPACE), harmless(text)),
            self.width,
            initial_indent=first,
            subsequent_indent=" " * len(first) if later is None else later,
            break_on_hyphens=False,
        )
        return [line.replace(HARD_SPACE, " ") for line in lines] or [first.rstrip()]

    def less(self, columns: int) -> Paper:
        """The same paper, with so many columns taken by what stands before each line."""
        return replace(self, width=max(self.width - columns, 20))

    def rule(self, text: str, line: str = "─") -> str:
        """A line across the paper with words in it; too narrow a paper gets more lines."""
        said = self.wrapped(text, first=f"{line * 2} ")
        return "\n".join([*said[:-1], f"{said[-1]} ".ljust(self.width, line)])

    def apart(self, left: str, right: str) -> str:
        """Two texts at the two ends of a line; a space between them, however narrow it is."""
        return left + " " * max(self.width - len(left) - len(right), 1) + right

    def clock(self, at_s: float, now: float | None = None) -> str:
        """`14:03:12`, with the day where it is another one than that of `now`."""
        at = self._at(at_s)
        if now is None or at.date() == self._at(now).date():
            return f"{at:%H:%M:%S}"
        return f"{at:%Y-%m-%d %H:%M}"

    def day(self, at_s: float) -> str:
        return f"{self._at(at_s):%Y-%m-%d}"

    def _at(self, at_s: float) -> datetime:
        return datetime.fromtimestamp(at_s, UTC).astimezone(self.zone)


def moment(at_s: float) -> str:
    """A day and a minute, where we are."""
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone():%Y-%m-%d %H:%M}"


def paper_for(stream: TextIO, *, fit: bool = False) -> Paper:
    """The paper of a stream, as it is now: a terminal's width, color unless `NO_COLOR` is set.

    `fit`: also as high as the terminal, for pictures that are drawn again and again.
    """
    if not stream.isatty():
        return Paper()
    size = size_of(stream)
    width = max(WIDTH_MIN, min(size.columns, WIDTH_MAX))
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Paper(width, color=not plain, height=size.lines - 1 if fit else None)


def size_of(stream: TextIO) -> os.terminal_size:
    """Columns and lines of this terminal, as they are now."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
    return size if size.columns and size.lines else shutil.get_terminal_size()


def capital(text: str, names: Iterable[str] = ()) -> str:
    """The sentence with a capital letter, unless it begins with a name or with no plain word."""
    word = FIRST_WORD.match(text)
    return text if word is None or word[1] in names else text[:1].upper() + text[1:]


def briefly(text: str, most: int = SAID_MAX) -> str:
    """A long text without what a killed process said last, cut at a word."""
    text = KILLED.sub(r"\1", text)
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0].rstrip(' ,;:(')} …"


def harmless(text: str) -> str:
    """Text from outside, with everything that could command a terminal made visible."""
    return "".join(c if c.isprintable() or c in "\n\xa0" else _visible(c) for c in text)


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return " "
    if code < 0x20:
        return "^" + chr(code + 0x40)
    return "^?" if code == 0x7F else f"\\u{code:04x}"
