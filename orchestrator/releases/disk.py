"""Files that survive a power loss: written beside, synced, renamed, and the folder synced.

The one rule: whoever reads a file written here finds the old bytes or the new ones, whole, whenever
the writer was killed. What is written may be private, so files are 0600 and folders 0700. It knows
nothing of what the bytes mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.ports.trouble import Refused


def write(path: str, data: bytes) -> None:
    """Replace the file, durably. One writer at a time; the caller sees to that. OSError."""
    beside = f"{path}.new"
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(beside, path)
    sync_folder(os.path.dirname(path))


def read(path: str) -> bytes | None:
    """The whole file; None where there is none. Raises OSError for any other reason."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def delete(path: str) -> None:
    """Delete one file, durably. Nothing happens where there is none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_folder(os.path.dirname(path))


def make_folder(path: str) -> None:
    """The folder and those above it, private, durably."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_folder(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    sync_folder(above)


def sync_folder(path: str | os.PathLike[str]) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """What the disk refuses is `Refused`, with what was being done: full, read-only, not ours."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        why = error.strerror or type(error).__name__
        raise Refused(f"{doing} failed: {why}{where}") from error


def write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
