"""Disks that are full or read-only, for as long as a test wants: a small tmpfs for root, else what
anybody can set.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

Room = Callable[[bool], None]
"""`room(False)`: there is none; `room(True)`: there is again."""


@contextlib.contextmanager
def limited(folder: Path) -> Iterator[Room]:
    """No file of this process may grow beyond what the WAL has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = folder / "journal.db-wal"

    def room(there: bool) -> None:
        size = wal.stat().st_size if wal.exists() else 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if there else size + 100, hard))

    try:
        yield room
    finally:
        room(True)


@contextlib.contextmanager
def small(folder: Path) -> Iterator[Room]:
    """A disk of one megabyte, and a file that fills it."""
    with mounted(folder):
        filler = folder / "filler"

        def room(there: bool) -> None:
            filler.unlink(missing_ok=True)
            if not there:
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(b"\0" * 4096):
                        pass

        yield room


def may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "t", "/mnt"], check=False)
    return done.returncode == 0


MAY_MOUNT = may_mount()
FULL = {"limited": limited} | ({"small": small} if MAY_MOUNT else {})


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "t", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], None]]:
    """A folder, and what makes it read-only from then on."""
    if not MAY_MOUNT:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield lambda: _close(folder, 0o500, 0o400)
        finally:
            _close(folder, 0o700, 0o600)
        return
    with mounted(folder):
        yield lambda: _run("mount", "-o", "remount,ro", str(folder))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)


def _close(folder: Path, mode: int, file_mode: int) -> None:
    folder.chmod(0o700)
    for file in folder.iterdir():
        file.chmod(file_mode)
    folder.chmod(mode)
