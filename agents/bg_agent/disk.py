"""Files that survive a power loss: written beside, synced, renamed, and the folder synced.

The one rule: whoever reads a file written here finds the old bytes or the new ones, whole. What may
be private is 0600, its folders 0700; what systemd or a program of another user has to read is not.
"""

from __future__ import annotations

import os

PRIVATE, READABLE = 0o600, 0o644


def write(path: str, data: bytes, mode: int = PRIVATE) -> None:
    """Replace the file, durably. One writer at a time; the caller sees to that. OSError."""
    beside = path + ".new"
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(file, mode)
        write_all(file, data)
        os.fsync(file)
    except BaseException:
        os.close(file)
        os.unlink(beside)
        raise
    os.close(file)
    os.rename(beside, path)
    sync_folder(os.path.dirname(path))


def write_beside(path: str, data: bytes, mode: int = READABLE) -> None:
    """Everything of a change of the file but the instant of it, which is `put_beside`."""
    beside = os.open(path + ".next", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(beside, mode)
        write_all(beside, data)
        os.fsync(beside)
    finally:
        os.close(beside)


def lies_beside(path: str) -> bytes | None:
    return read(path + ".next")


def put_beside(path: str) -> None:
    """The instant. The caller syncs the folder."""
    os.rename(path + ".next", path)


def write_if_other(path: str, data: bytes, mode: int = PRIVATE) -> bool:
    """Whether it had to be written."""
    if read(path) == data:
        return False
    write(path, data, mode)
    return True


def read(path: str, most: int = 1024 * 1024) -> bytes | None:
    """The file, bounded; None where there is none. Raises OSError for any other reason."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError):
        return None


def link(path: str, target: str) -> None:
    """Make the symlink, or move it, by one rename."""
    beside = path + ".new"
    delete(beside)
    os.symlink(target, beside)
    os.rename(beside, path)
    sync_folder(os.path.dirname(path))


def delete(path: str) -> None:
    """Delete one file, durably. Nothing happens where there is none."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    sync_folder(os.path.dirname(path))


def make_folder(path: str, mode: int = 0o700) -> None:
    """The folder and those above it, durably. The mode is that of each that is made."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_folder(above, mode)
    try:
        os.mkdir(path, mode)
        os.chmod(path, mode)
    except FileExistsError:
        return
    sync_folder(above)


def remove_empty(path: str) -> None:
    """The folder goes where nothing is in it."""
    try:
        os.rmdir(path)
    except OSError:
        pass


def sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def free(path: str) -> int:
    """Bytes that we may still write there, or at the nearest folder above that exists."""
    seen = os.statvfs(nearest(path))
    return seen.f_frsize * (seen.f_bfree if os.geteuid() == 0 else seen.f_bavail)


def nearest(path: str) -> str:
    while path != "/" and not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
