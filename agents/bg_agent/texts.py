"""What programs say, made fit to be sent on: printable, short, in lines.

The one rule: nothing that a terminal would obey goes through. Secrets are the controller's to take
out: it knows them.
"""

from __future__ import annotations

import re

_ORDERS = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
LINE_MAX = 200


def plain(text: str) -> str:
    """Without colors, cursor movements and other control characters, but for tab and newline."""
    return _ORDERS.sub("", text)


def one_line(text: str, most: int = LINE_MAX) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def last_lines(text: str, lines: int, most: int = LINE_MAX) -> list[str]:
    found = [one_line(line, most) for line in plain(text).splitlines() if line.strip()]
    return found[-lines:]


def tail(text: str, size: int) -> str:
    """The end of it, at most so many bytes, from the beginning of a line."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return text
    return data[-size:].partition(b"\n")[2].decode("utf-8", "replace")
