"""What a keeper notes beside its program: written beside, synced, renamed."""

from __future__ import annotations

import errno
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_note(folder: str) -> dict[str, Any]:
    """What is on the disk; empty where nothing is. Raises OSError, ValueError."""
    try:
        with open(os.path.join(folder, "state.json"), "rb") as file:
            note = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not isinstance(note, dict):
        raise ValueError("a note that is no object")
    return note


def write_note(folder: str, note: dict[str, Any]) -> None:
    path = os.path.join(folder, "state.json")
    data = json.dumps(note).encode()
    file = private(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(path + ".new", path)
    above = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def private(path: str, flags: int) -> int:
    """Open for its owner alone, and for no program that is begun."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
