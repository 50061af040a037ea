"""The fence: one lock file, and beside it the youngest epoch that ever held it.

A file or a process on this machine cannot compare epochs, so whoever changes one does it while
holding this lock: check and effect are one section. A driver that is stopped inside the section
keeps the lock; whoever takes over first ends it, and the lock is free. A driver that is stopped
before the section finds a younger epoch when it wakes, and changes nothing.

The one rule: the epoch is on the disk before the effect. The lock is the kernel's (flock), so it
dies with its holder and is never "stale"; it is not handed to any child. Within one process the
section may be entered again (nested, or through a second `Fence` on the same file). It refuses to
know what is done inside.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.releases import disk

WAIT_S = 10.0
"""How long to wait for somebody else's section. They are short: this long, and it is stopped."""


class LocalFence:
    """A `Fence` on the file at `path` (the lock) and `path`.epoch (the youngest epoch, decimal)."""

    def __init__(self, path: str, *, wait_s: float = WAIT_S) -> None:
        self._path = os.path.realpath(path)
        self._wait_s = wait_s

    @contextmanager
    def holding(self, epoch: int | None) -> Iterator[None]:
        if epoch is None:
            yield
            return
        with _section(self._path, self._wait_s):
            self._pass(epoch)
            yield

    def youngest(self) -> int:
        path = f"{self._path}.epoch"
        with disk.told("reading the youngest epoch"):
            text = disk.read(path)
        if text is None:
            return 0
        if not text.strip().isdigit():
            raise Refused(f"{path} holds no epoch; put back the number of the newest driver")
        return int(text)

    def _pass(self, epoch: int) -> None:
        youngest = self.youngest()
        if epoch < youngest:
            raise Superseded(f"epoch {youngest} drives here now; this was epoch {epoch}")
        if epoch > youngest:
            with disk.told("writing down the youngest epoch"):
                disk.write(f"{self._path}.epoch", b"%d\n" % epoch)


# -- The lock: one per file and process, entered by one thread at a time ---------------------


@dataclass
class _Held:
    """What this process has of one lock file. A second open file would wait for the first."""

    turn: threading.RLock = field(default_factory=threading.RLock)
    depth: int = 0
    file: int = -1


_HELD: dict[str, _Held] = {}


@contextmanager
def _section(path: str, wait_s: float) -> Iterator[None]:
    held = _HELD.setdefault(path, _Held())
    with held.turn:
        if held.depth == 0:
            held.file = _lock(path, wait_s)
        held.depth += 1
        try:
            yield
        finally:
            held.depth -= 1
            if held.depth == 0:
                os.close(held.file)


def _lock(path: str, wait_s: float) -> int:
    with disk.told("taking the fence"):
        disk.make_folder(os.path.dirname(path))
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(file)
                raise Unreachable(f"the fence {path} is held by another process") from None
            time.sleep(0.002)  # noqa: TID251 - a poll for the lock with a deadline; the section is synchronous
