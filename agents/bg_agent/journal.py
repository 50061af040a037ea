"""What the journal of systemd kept of an instance: its log, and how a start of it ended.

The one rule: bounded, and never in the way. Where the journal cannot be read the answer is an empty
one, with the reason for people.
"""

from __future__ import annotations

import re

from bg_agent import commands, running, texts, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WITHIN_S = 8.0
LINES_READ = 60
WORDS = 5
TEXT_MAX = 64 * 1024
KEEP = 512 * 1024

_EXITED = re.compile(r"Main process exited, code=(\w+), status=(\S+)")


def log(how: str, unit: str, lines: int) -> str:
    """The newest lines of a unit, oldest first."""
    done = _read(how, unit, lines, "cat")
    if _why_not(done):
        return "the log cannot be read: %s\n" % _why_not(done)
    return texts.tail(texts.plain(done.out.decode("utf-8", "replace")), TEXT_MAX)


class Told:
    """What is told of the starts of a unit, newest last: [(invocation, said by systemd, text)]."""

    def __init__(self, lines: list[tuple[str, bool, str]], why_not: str = "") -> None:
        self._lines, self._why_not = lines, why_not

    def last_but(self, invocation: str) -> str:
        """The newest start that is another one; empty where none is told of."""
        for other, _, _ in reversed(self._lines):
            if other and other != invocation:
                return other
        return ""

    def words(self, invocation: str) -> list[str]:
        """The last that the program itself said in this start, or why that cannot be known."""
        if self._why_not:
            return ["(the log cannot be read: %s)" % self._why_not]
        said = [text for one, by, text in self._lines if one == invocation and not by]
        return texts.last_lines("\n".join(said), WORDS)

    def how(self, invocation: str) -> str:
        """How this start ended, as systemd noted it."""
        for one, by, text in reversed(self._lines):
            found = _EXITED.search(text) if by and one == invocation else None
            if found:
                return in_words(found[1], found[2])
        return "ended"


def told(how: str, unit: str) -> Told:
    done = _read(how, unit, LINES_READ, "json")
    lines = [one for one in map(_line, done.out.splitlines()) if one is not None]
    return Told(lines, _why_not(done))


def _read(how: str, unit: str, lines: int, form: str) -> running.Finished:
    """With sudo where it may, else as the user: the group `systemd-journal` may read it, too."""
    limits = running.How(WITHIN_S, keep=KEEP)
    argv = commands.journal(how, unit, lines, form)
    if how == "sudo":
        done = running.run(["sudo", "-n", *argv], limits)
        if done.code == 0:
            return done
    return running.run(argv, limits)


def _why_not(done: running.Finished) -> str:
    if done.code is None:
        return "it took too long"
    if done.code == 0 and (done.out or not done.err):
        return ""
    if "permission" in done.said:
        return "%s Let this user into the group systemd-journal" % done.said
    return done.said


def in_words(code: str, status: str) -> str:
    """`exited`, `1/FAILURE` -> ended with exit code 1."""
    number, _, name = status.partition("/")
    if code == "exited":
        named = " (%s)" % name if name and name not in ("FAILURE", "n/a") else ""
        return "ended with exit code %s%s" % (number, named)
    return "was ended by SIG%s" % name if name else "was ended by signal %s" % number


def _line(line: bytes) -> tuple[str, bool, str] | None:
    try:
        given = wire.decode(line)
        by_systemd = given.get("INVOCATION_ID") or given.get("USER_INVOCATION_ID")
        invocation = by_systemd or given.get("_SYSTEMD_INVOCATION_ID") or ""
        return str(invocation), bool(by_systemd), _message(given.get("MESSAGE"))
    except (ValueError, AttributeError):
        return None


def _message(given: Any) -> str:
    """A text; or bytes as numbers, where it is not printable; or null, where it is too long."""
    if isinstance(given, list):
        return bytes(one for one in given if isinstance(one, int) and 0 <= one < 256).decode(
            "utf-8", "replace"
        )
    return given if isinstance(given, str) else ""
