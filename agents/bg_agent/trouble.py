"""What a request ends with when it does not end well. Each is one line of the protocol.

The one rule: a message is for people, names what and where, and never repeats a value of an
environment, a credential or a file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Trouble(Exception):
    """Something outside went wrong, in a way the controller knows how to live with."""

    word = "unsure"

    def __init__(self, why: str, **more: Any) -> None:
        super().__init__(why)
        self.why, self.more = why, more

    def line(self) -> dict[str, Any]:
        return dict(self.more, **{self.word: self.why})


class Unsure(Trouble):
    """It may have happened."""


class Refused(Trouble):
    """The host said no; nothing happened. `kind` is of a closed set, see the protocol."""

    word = "refused"

    def __init__(self, why: str, kind: str = "other", **more: Any) -> None:
        super().__init__(why, kind=kind, **more)


class Superseded(Trouble):
    """A younger epoch was here."""

    word = "superseded"


def of_system(doing: str, error: OSError) -> Refused:
    """What the disk or the kernel refused, in words."""
    kinds = {28: "no-room", 122: "no-room", 13: "not-permitted", 1: "not-permitted"}
    kinds[30] = "not-permitted"  # read-only
    where = " (%s)" % error.filename if isinstance(error.filename, str) else ""
    why = error.strerror or type(error).__name__
    return Refused("%s: %s%s" % (doing, why, where), kinds.get(error.errno or 0, "other"))
