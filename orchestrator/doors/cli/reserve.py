"""Room put aside for the way back, on the disk of the state folder.

    STATE/reserve     bytes that say nothing: written before a rollout is opened, given back where
                      a disk is full and somebody wants to go back

The one rule: whoever goes forward never gets it. What a backout writes down (the epoch, the
switch's file) fits in many times over; the journal keeps room of its own in its WAL. It is only a
help: where there is no room for it, there is none.
"""

from __future__ import annotations

import os
from contextlib import suppress

FILE = "reserve"
BYTES = 512 * 1024
LOW = 64 * 1024  # less than that is free: full
PLENTY = 4 * BYTES


def put_aside(state: str) -> None:
    """Before something is opened, where there is plenty of room."""
    path = os.path.join(state, FILE)
    with suppress(OSError):
        if is_there(state) or (room_at(state) or 0) < PLENTY:
            return
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, BYTES)
        except OSError:
            os.unlink(path)
        finally:
            os.close(file)


def give_back(state: str) -> bool:
    """Before somebody goes back: whether the disk was full, and has room for that now."""
    room = room_at(state)
    with suppress(OSError):
        if room is not None and room < LOW and is_there(state):
            os.unlink(os.path.join(state, FILE))
            return True
    return False


def is_there(state: str) -> bool:
    return os.path.exists(os.path.join(state, FILE))


def room_at(state: str) -> int | None:
    """The bytes that are free for the journal; None where nobody can say."""
    try:
        disk = os.statvfs(state)
    except OSError:  # there is no state folder yet
        return None
    return disk.f_bavail * disk.f_frsize
