"""Reading a request: each value by name, with its type and its bounds.

The one rule: nothing of a request is used that did not go through here, so every name that becomes
part of a path or of a unit is one, and every text can be written down.
"""

from __future__ import annotations

import re

from bg_agent.places import COLORS
from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
DIGEST = re.compile(r"[0-9a-f]{8,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
JOURNAL = re.compile(r"[A-Za-z0-9._:-]{1,128}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")

LIST_MAX = 1000
EPOCH_MAX = 10**15


class Release:
    """A version, and the digest that is its identity."""

    __slots__ = ("digest", "version")

    def __init__(self, version: str, digest: str) -> None:
        self.version, self.digest = version, digest

    @property
    def folder(self) -> str:
        return "%s@%s" % (self.version, self.digest)

    @property
    def label(self) -> str:
        return "%s@%s" % (self.version, self.digest[:4])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def plain(self) -> dict[str, str]:
        return {"version": self.version, "digest": self.digest}

    @classmethod
    def from_folder(cls, name: str) -> Release | None:
        version, _, digest = name.rpartition("@")
        fits = VERSION.fullmatch(version) and DIGEST.fullmatch(digest)
        return cls(version, digest) if fits else None


class Asked:
    """One object of a request. Every method raises Refused (`bad-request`)."""

    __slots__ = ("_given", "_where")

    def __init__(self, given: Any, where: str = "the request") -> None:
        if not isinstance(given, dict):
            raise bad("%s is no object" % where)
        self._given, self._where = given, where

    def get(self, key: str) -> Any:
        return self._given.get(key)

    def has(self, key: str) -> bool:
        return self._given.get(key) is not None

    def only(self, *known: str) -> None:
        strange = sorted(set(self._given) - set(known))
        if strange:
            raise bad("%s has a key of no meaning: %s" % (self._where, shown(strange[0])))

    def text(self, key: str, most: int, least: int = 0) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise self._bad(key, "a text of %d to %d letters" % (least, most))
        return encodable(value, "%s: %s" % (self._where, key))

    def like(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._bad(key, what)
        return value

    def name(self, key: str) -> str:
        return self.like(key, NAME, "a name: a-z, 0-9 and -, a letter first, at most 31")

    def names(self, key: str, most: int = 64) -> list[str]:
        return [Asked({key: one}, self._where).name(key) for one in self.items(key, most)]

    def color(self) -> str:
        value = self.get("color")
        if value not in COLORS:
            raise self._bad("color", "blue or green")
        return str(value)

    def sha256(self, key: str) -> str:
        return self.like(key, SHA256, "a SHA-256 in hexadecimal")

    def user(self) -> str:
        return self.like("user", USER, "a user's name") if self.has("user") else ""

    def number(self, key: str, most: int, least: int = 0, default: int | None = None) -> int:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._bad(key, "a number from %d to %d" % (least, most))
        return value

    def seconds(self, key: str, most: float, default: float) -> float:
        value = default if self.get(key) is None else self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
            raise self._bad(key, "seconds, more than 0 and at most %g" % most)
        return float(value)

    def yes(self, key: str) -> bool:
        value = self.get(key)
        if value not in (None, True, False):
            raise self._bad(key, "true or false")
        return bool(value)

    def items(self, key: str, most: int = LIST_MAX) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list) or len(value) > most:
            raise self._bad(key, "a list of at most %d" % most)
        return value

    def object(self, key: str) -> Asked:
        return Asked(self.get(key), "%s: %s" % (self._where, key))

    def pairs(self, key: str, most: int = LIST_MAX) -> dict[str, Any]:
        value = {} if self.get(key) is None else self.get(key)
        if not isinstance(value, dict) or len(value) > most:
            raise self._bad(key, "an object of at most %d keys" % most)
        return value

    def release(self, key: str = "release") -> Release:
        given = self.object(key)
        words = "letters, digits and . _ + - only"
        return Release(
            given.like("version", VERSION, words), given.like("digest", DIGEST, "hexadecimal")
        )

    def _bad(self, key: str, wanted: str) -> Refused:
        return bad("%s: %s has to be %s" % (self._where, shown(key), wanted))


def bad(why: str) -> Refused:
    return Refused(why, "bad-request")


def each(values: list[Any], check: Callable[[Asked], Any], where: str) -> list[Any]:
    return [check(Asked(one, "%s %d" % (where, n))) for n, one in enumerate(values)]


def encodable(text: str, where: str) -> str:
    """A text that can be written down: no lone surrogates, no NUL."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise bad("%s is not UTF-8" % where) from None
    if "\0" in text:
        raise bad("%s holds a NUL" % where)
    return text


def shown(text: str) -> str:
    """A name as people may see it."""
    safe = text.encode("unicode_escape", "backslashreplace").decode("ascii")
    return safe if len(safe) <= 80 else safe[:77] + "..."
