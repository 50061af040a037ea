"""The only exceptions that cross a port. Anything else that comes out of an adapter is a bug.

Each message is for people: what happened, and where. It never contains a secret.
"""

from __future__ import annotations


class Trouble(Exception):
    """Something outside us went wrong, in a way we know how to live with."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Refused(Trouble):
    """The world said no; nothing happened. Asking again is rude."""


class TooLate(Refused):
    """What had to happen by an instant did not, and will not."""


class Unreachable(Trouble):
    """We do not know whether it happened. Look again."""


class Unsuccessful(Trouble):
    """It ran to its end, or its time was over, and it says that it failed. Look; then try again."""


class Superseded(Trouble):
    """Someone younger drives. Stop, and change nothing more."""


class Raced(Trouble):
    """The journal has news that the writer had not read. Read them, and decide again."""


class Busy(Trouble):
    """Somebody else holds the lease."""


class NoRoom(Trouble):
    """The journal cannot be written: its disk is full or read-only. Nothing was written."""


class Damaged(Trouble):
    """The journal cannot be read by this version.

    Damaged, of another site, or of a newer version. Nothing was touched.
    """
