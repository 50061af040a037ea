"""What is written on: how wide it is, whether it bears color, and which zone its clocks show.

Every picture is drawn by a pure function that is given a `Paper` and returns text. Nothing here asks the
terminal, but for `paper_for`. Color only repeats what the words say already: without it nothing is lost.
Colors are the eight of the terminal's own palette, no brightness and no background, so they can be read on
a light one too.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from typing import TextIO

WIDTH = 80
WIDTH_MAX = 100  # longer lines are hard to read, however wide the terminal is


class Ink(Enum):
    """What a color stands for. The value is the number of an ANSI attribute."""

    GOOD = "32"
    BAD = "31"
    CARE = "35"
    FAINT = "2"
    STRONG = "1"
    BLUE = "34"
    GREEN = "32;1"


@dataclass(frozen=True, slots=True)
class Paper:
    width: int = WIDTH
    color: bool = False
    zone: tzinfo | None = None  # None: the machine's own

    def ink(self, ink: Ink, text: str) -> str:
        return f"\x1b[{ink.value}m{text}\x1b[0m" if self.color and text else text

    def wrap(self, text: str, *, indent: str = "", first: str | None = None) -> str:
        """The text as lines that fit; later ones begin with `indent`, the first with `first`."""
        return "\n".join(
            textwrap.wrap(
                text,
                self.width,
                initial_indent=indent if first is None else first,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def clock(self, at_s: float, now: float | None = None) -> str:
        """`14:03:12`, with the day where it is another one than that of `now`."""
        at = datetime.fromtimestamp(at_s, UTC).astimezone(self.zone)
        if now is None or at.date() == datetime.fromtimestamp(now, UTC).astimezone(self.zone).date():
            return f"{at:%H:%M:%S}"
        return f"{at:%Y-%m-%d %H:%M}"


def paper_for(stream: TextIO) -> Paper:
    """The paper of a stream, as it is now: a terminal's width, and color unless `NO_COLOR` is set."""
    if not stream.isatty():
        return Paper()
    width = max(40, min(shutil.get_terminal_size().columns, WIDTH_MAX))
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Paper(width, color=not plain)


def harmless(text: str) -> str:
    """Text from outside, with everything that could command a terminal made visible."""
    return "".join(c if c.isprintable() or c == "\n" else _visible(c) for c in text)


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return "    "
    if code < 0x20:
        return "^" + chr(code + 0x40)
    return "^?" if code == 0x7F else f"\\u{code:04x}"
